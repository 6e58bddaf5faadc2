"""What everything that is open or may open can lose, each at its own stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from market.contracts import Contract
from risk.costs import ROUND_TURN
from risk.exposures import Exposure
from risk.requests import EntrySide


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


def worst_case(exposures: Iterable[Exposure], *, slippage: int) -> WorstCase | None:
    """Return what `exposures` can lose, None if one of them has no stop or is of a product whose costs are unknown.

    A stop that secures a profit counts as no loss: the profit is not lent to other orders.
    """
    sums: dict[str, list[int]] = {}
    contracts: dict[str, Contract] = {}
    for item in exposures:
        ticks = item.stop_ticks
        if ticks is None:
            return None
        contract, quantity = item.contract, item.quantity
        sums_of = sums.get(contract.id)
        if sums_of is None:
            if contract.symbol not in ROUND_TURN:
                return None
            sums_of = sums[contract.id] = [0, 0, 0, 0]
            contracts[contract.id] = contract
        at = 0 if item.is_position else 2
        if ticks + slippage > 0:
            sums_of[at] += (ticks + slippage) * quantity
        sums_of[at + 1] += quantity
    positions = exits = orders = Decimal(0)
    for name, (position_ticks, position_size, order_ticks, order_size) in sums.items():
        contract = contracts[name]
        round_turn = ROUND_TURN[contract.symbol]
        closing = round_turn / 2 * position_size
        exits += closing
        positions += position_ticks * contract.tick_value + closing
        orders += order_ticks * contract.tick_value + round_turn * order_size
    return WorstCase(positions, exits, orders)


def loss_a_contract(contract: Contract, sides: Iterable[EntrySide], *, slippage: int) -> Decimal:
    """Return dollars that one contract on each of `sides` can lose. The stop hangs on the fill.

    Raises KeyError for a product whose costs are unknown.
    """
    cost = ROUND_TURN[contract.symbol]
    return sum(((side.stop_ticks + slippage) * contract.tick_value + cost for side in sides), Decimal(0))


def fitting(room: Decimal, each: Decimal) -> int:
    """Return how many times `each` dollars fit into `room` so that some of it is left; 0 when none does."""
    if room <= 0:
        return 0
    whole, rest = divmod(room, each)
    return int(whole) if rest else int(whole) - 1
