"""What a round turn costs, for the reserve of the gate; real costs come from fills.

Source: the firm's page of fees and commissions (checked 2026-10). Energy micros with the surcharge of 2026-10-01.
"""

from __future__ import annotations

from decimal import Decimal

_TABLE = """
3.78 ES NQ RTY YM
1.22 MES MNQ M2K MYM
5.32 NKD
2.82 MBT
0.72 MET
4.02 CL RB HO
1.72 MCL
3.42 QM
4.22 NG
2.02 QG
1.92 MNG
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

ROUND_TURN: dict[str, Decimal] = {
    symbol: Decimal(cost) for cost, *symbols in map(str.split, _TABLE.strip().splitlines()) for symbol in symbols
}
"""Dollars a contract for entry and exit together, fees and commissions, by product root."""
