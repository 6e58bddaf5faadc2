"""First in, first out as one would do it by hand: every contract is a slip of paper in a queue. Slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from market.books import BY_HAND, Owned
from market.positions import Execution


@dataclass
class Slip:
    """One contract: where it came from, and what it cost."""

    fill: Execution
    cost: Decimal


@dataclass
class Closed:
    owner: int
    entry: int
    exit: int
    points: Decimal
    costs: Decimal


def slips(fill: Execution) -> list[Slip]:
    """Return a slip a contract; rounded shares of fees and commissions, so that the first n slips cost what n do."""
    cent = Decimal("0.01")

    def upto(total: Decimal, count: int) -> Decimal:
        return total if count == fill.quantity else (total * count / fill.quantity).quantize(cent, ROUND_HALF_UP)

    return [
        Slip(fill, sum((upto(t, n + 1) - upto(t, n) for t in (fill.fees, fill.commissions)), Decimal(0)))
        for n in range(fill.quantity)
    ]


def close_by_hand(fills: Sequence[Owned]) -> tuple[list[Closed], dict[int, list[Slip]]]:
    """Return what was closed, contract by contract, and the slips that are left by owner."""
    queue: list[tuple[int, Slip]] = []
    closed = []
    for owned in sorted(fills, key=lambda one: (one.execution.at, one.execution.id)):
        for slip in slips(owned.execution):
            other = [at for at, (_, held) in enumerate(queue) if held.fill.side == -slip.fill.side]
            if owned.owner is None:
                smaller = sum(held.fill.side for _, held in queue) * slip.fill.side < 0
                other = [at for at in other if queue[at][0] == BY_HAND] or (other if smaller else [])
            else:
                other = [at for at in other if queue[at][0] == owned.owner]
            if not other:
                queue.append((BY_HAND if owned.owner is None else owned.owner, slip))
                continue
            owner, entry = queue.pop(other[0])
            points = (slip.fill.price - entry.fill.price) * entry.fill.side
            closed.append(Closed(owner, entry.fill.id, slip.fill.id, points, entry.cost + slip.cost))
    left: dict[int, list[Slip]] = {}
    for owner, slip in queue:
        left.setdefault(owner, []).append(slip)
    return closed, left
