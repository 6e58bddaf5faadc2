"""What is open or may open, as the gate counts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from market.contracts import Contract
from market.orders import Side


@dataclass(frozen=True, slots=True)
class Exposure:
    """An open position, or an order that is or may become one.

    quantity      contracts, positive
    stop_ticks    ticks from its entry to its stop, negative when the stop secures a profit; None when it has no stop of
                  full size that we know, which stands for an unlimited loss
    is_position   it is open: its entry was filled and paid for
    is_unknown    an order whose call had no answer: counts like the others, and as filled
    """

    contract: Contract
    side: Side
    quantity: int
    stop_ticks: int | None
    is_position: bool = False
    is_unknown: bool = False
    oco_group: UUID | None = None


def contracts_by_symbol(exposures: Iterable[Exposure]) -> dict[str, int]:
    """Return how many contracts of each product are open or may open; long and short add up."""
    counts: dict[str, int] = {}
    for item in exposures:
        symbol = item.contract.symbol
        counts[symbol] = counts.get(symbol, 0) + item.quantity
    return counts
