"""What everything that is open or may open can lose, each at its own stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from market.contracts import Contract
from risk.costs import ROUND_TURN
from risk.exposures import Tally
from risk.requests import EntrySide

_TURN_MICROS = {symbol: int(dollars * 1_000_000) for symbol, dollars in ROUND_TURN.items()}  # whole and even


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Dollars that are lost when every stop fills `slippage` ticks late, costs included.

    positions     from the entry prices of open positions; exits: what closing them costs, part of `positions`
    orders        of working and unknown entries, both sides of a pair
    """

    positions: Decimal
    exits: Decimal
    orders: Decimal

    def equity(self, *, balance: Decimal, equity: Decimal) -> Decimal:
        """Return the lowest equity that can follow: a position beyond its stop counts at what it is worth now."""
        return min(balance - self.positions, equity - self.exits) - self.orders


def worst_case(book: Tally) -> WorstCase | None:
    """Return what everything in `book` can lose, None if a stop is missing or the costs of a product are unknown."""
    if book.unstopped is not None:
        return None
    turns = held = 0
    try:
        for symbol, count in book.symbols.items():
            turns += _TURN_MICROS[symbol] * count
    except KeyError:
        return None
    for symbol, count in book.held.items():
        held += _TURN_MICROS[symbol] * count
    exits = held // 2
    positions, orders = book.positions + exits, book.orders + turns - held
    return WorstCase(Decimal(positions).scaleb(-6), Decimal(exits).scaleb(-6), Decimal(orders).scaleb(-6))


def loss_a_contract(contract: Contract, sides: Iterable[EntrySide], *, slippage: int) -> Decimal:
    """Return dollars that one contract on each of `sides` can lose. The stop hangs on the fill.

    Raises KeyError for a product whose costs are unknown.
    """
    ticks = [side.stop_ticks + slippage for side in sides]
    return sum(ticks) * contract.tick_value + len(ticks) * ROUND_TURN[contract.symbol]


def fitting(room: Decimal, each: Decimal) -> int:
    """Return how many times `each` dollars fit into `room` so that some of it is left; 0 when none does."""
    if room <= 0:
        return 0
    whole, rest = divmod(room, each)
    return int(whole) if rest else int(whole) - 1
