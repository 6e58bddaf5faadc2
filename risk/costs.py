"""What a round turn costs, by date: for the reserve of the gate, and for executions of which the venue tells no costs.

Source: the firm's page of fees and commissions (checked 2026-10). A commission is 1.00 a round turn, 0.50 for micros;
the rest are fees of the exchange and the NFA. Real costs come from fills as soon as the venue tells them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from market.products import PRODUCTS

CHECKED = date(2026, 10, 10)

_TABLE = """
3.78 ES NQ RTY YM
1.22 MES MNQ M2K MYM
5.32 NKD
2.82 MBT
0.72 MET
4.02 CL RB HO
1.52 MCL
3.42 QM
4.22 NG
2.02 QG
1.72 MNG
4.32 GC SI HG PL
1.92 MGC MHG
2.72 SIL
4.22 6A 6B 6C 6E 6J 6S 6M 6N
1.00 M6A M6B M6E
2.72 E7
2.32 ZT ZF
2.62 ZN TN
2.76 ZB
2.92 UB
5.22 HE LE
5.28 ZC ZW ZS ZM ZL
"""
_CHANGES = {
    date(2026, 10, 1): """
1.72 MCL
1.92 MNG
"""
}
"""What is different from a date on: the exchange's surcharge on energy micros."""

_COMMISSION, _OF_A_MICRO = Decimal("0.50"), Decimal("0.25")  # a contract and side
_MICRO_ALTHOUGH_FULL_WEIGHT = ("MBT", "MET")


def _read(table: str) -> dict[str, Decimal]:
    lines = map(str.split, table.strip().splitlines())
    return {symbol: Decimal(cost) for cost, *symbols in lines for symbol in symbols}


_DATED = [(date.min, _read(_TABLE)), *((first, _read(table)) for first, table in sorted(_CHANGES.items()))]

ROUND_TURN: dict[str, Decimal] = {symbol: cost for _, table in _DATED for symbol, cost in table.items()}
"""Dollars a contract for entry and exit together, fees and commissions, by product root; the newest known."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Dollars of one contract and one side."""

    fees: Decimal
    commissions: Decimal


def of_side(symbol: str, on: date) -> Costs | None:
    """Return what one contract costs at entry or exit on a date, None for a product that we do not know."""
    turn = None
    for first, table in _DATED:
        if first <= on:
            turn = table.get(symbol, turn)
    if turn is None:
        return None
    micro = PRODUCTS[symbol].weight < 1 or symbol in _MICRO_ALTHOUGH_FULL_WEIGHT
    commissions = _OF_A_MICRO if micro else _COMMISSION
    return Costs(turn / 2 - commissions, commissions)
