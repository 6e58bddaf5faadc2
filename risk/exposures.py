"""What is open or may open, as the gate counts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
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


class Tally(NamedTuple):
    """Exposures added up once for every rule that counts them; long and short add up.

    symbols     contracts of each product root, open or not; held: of them those that are open
    positions   millionths of a dollar that open positions lose at their stops, without costs; orders: what all others
                would lose. A stop that secures a profit counts as no loss, the profit is not lent to other orders
    unstopped   the first exposure without a stop: what is lost is then not known
    """

    symbols: dict[str, int]
    held: dict[str, int]
    positions: int
    orders: int
    unstopped: Exposure | None


def tally(exposures: Iterable[Exposure], *, slippage: int) -> Tally:
    """Return what `exposures` come to when every stop fills `slippage` ticks late."""
    symbols: dict[str, int] = {}
    held: dict[str, int] = {}
    positions = orders = 0
    unstopped = None
    for item in exposures:
        contract, quantity, ticks = item.contract, item.quantity, item.stop_ticks
        symbol = contract.symbol
        symbols[symbol] = symbols.get(symbol, 0) + quantity
        if ticks is None:
            unstopped, ticks = unstopped or item, 0
        ticks += slippage
        lost = ticks * quantity * contract.tick_micros if ticks > 0 else 0
        if item.is_position:
            held[symbol] = held.get(symbol, 0) + quantity
            positions += lost
        else:
            orders += lost
    return Tally(symbols, held, positions, orders, unstopped)
