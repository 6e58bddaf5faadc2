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

    contracts   by their ids
    sums        of each: how many are open, ticks times contracts that those lose at their stops, how many may open,
                what those lose; a stop that secures a profit counts as no loss, the profit is not lent to other orders
    symbols     contracts of each product root
    unstopped   the first exposure without a stop: what is lost is then not known
    """

    contracts: dict[str, Contract]
    sums: dict[str, list[int]]
    symbols: dict[str, int]
    unstopped: Exposure | None


def tally(exposures: Iterable[Exposure], *, slippage: int) -> Tally:
    """Return what `exposures` come to when every stop fills `slippage` ticks late."""
    contracts: dict[str, Contract] = {}
    sums: dict[str, list[int]] = {}
    unstopped = None
    for item in exposures:
        key = item.contract.id
        if key not in sums:
            contracts[key] = item.contract
            sums[key] = [0, 0, 0, 0]
        line, quantity, ticks = sums[key], item.quantity, item.stop_ticks
        if ticks is None:
            unstopped, ticks = unstopped or item, 0
        ticks += slippage
        if item.is_position:
            line[0] += quantity
            if ticks > 0:
                line[1] += ticks * quantity
        else:
            line[2] += quantity
            if ticks > 0:
                line[3] += ticks * quantity
    symbols: dict[str, int] = {}
    for key, (held, _, working, _) in sums.items():
        symbol = contracts[key].symbol
        symbols[symbol] = symbols.get(symbol, 0) + held + working
    return Tally(contracts, sums, symbols, unstopped)
