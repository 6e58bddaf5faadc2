"""From fills to positions and round-turn trades, first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from market.orders import Side

_CENT = Decimal("0.01")
_Any = TypeVar("_Any")


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill as the arithmetic needs it; `price` in points, costs in dollars for this execution."""

    id: int
    at: datetime
    side: Side
    quantity: int
    price: Decimal
    fees: Decimal = Decimal(0)
    commissions: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError(f"execution {self.id}: quantity {self.quantity} must be positive")


@dataclass(frozen=True, slots=True)
class RoundTurn:
    """One closed piece of a position: `quantity` contracts from one fill to another.

    direction  Side of the opening fill; costs are the shares of both fills, in dollars
    """

    entry_id: int
    exit_id: int
    direction: Side
    quantity: int
    entry_price: Decimal
    exit_price: Decimal
    entered_at: datetime
    exited_at: datetime
    fees: Decimal
    commissions: Decimal

    def gross(self, point_value: Decimal) -> Decimal:
        """Return profit in dollars before costs."""
        return (self.exit_price - self.entry_price) * self.direction * self.quantity * point_value

    def net(self, point_value: Decimal) -> Decimal:
        """Return profit in dollars after fees and commissions of both sides."""
        return self.gross(point_value) - self.fees - self.commissions


@dataclass(frozen=True, slots=True)
class Book:
    """What the fills add up to: signed `quantity`, the venue's `average_price` (0 when flat), closed round turns."""

    quantity: int
    average_price: Decimal
    trades: tuple[RoundTurn, ...]
    open_lots: tuple[tuple[int, int, Decimal], ...]  # (execution id, contracts left, price), oldest first


def book(executions: Iterable[Execution]) -> Book:
    """Match `executions` first in, first out, by time and then id. A fill larger than the position flips it.

    Costs are split by contracts, to the cent, and sum exactly: the last piece of a fill takes the rest. The costs of
    contracts that are still open are in no trade yet. Raises ValueError for two executions with one id.
    """
    executions = in_order(executions, lambda execution: execution)
    lots: deque[Piece] = deque()
    trades: list[RoundTurn] = []
    for execution in executions:
        rest = Piece(execution)
        while rest.left and lots and lots[0].execution.side is not execution.side:
            trades.append(round_turn(lots[0], rest))
            if not lots[0].left:
                lots.popleft()
        if rest.left:
            lots.append(rest)
    kept = at_average(executions)
    return Book(
        quantity=kept.quantity,
        average_price=kept.average_price,
        trades=tuple(trades),
        open_lots=tuple((lot.execution.id, lot.left, lot.execution.price) for lot in lots),
    )


@dataclass(frozen=True, slots=True)
class AtAverage:
    """A position as the venue keeps it: signed `quantity`, size-weighted `average_price` of what was opened (0 when
    flat), and what closing has realised against it: `points` times contracts, before costs.
    """

    quantity: int = 0
    average_price: Decimal = Decimal(0)
    points: Decimal = Decimal(0)


def at_average(executions: Iterable[Execution]) -> AtAverage:
    """Return the position that `executions` make where closing leaves the average of the rest as it is.

    Its cash and its open profit belong together: the open profit of contracts first in, first out, goes with our trades
    alone. A fill larger than the position opens the rest at its price. Raises ValueError as `book`.
    """
    held, average, points = 0, Decimal(0), Decimal(0)
    for one in in_order(executions, lambda execution: execution):
        closed = min(abs(held), one.quantity) if held * one.side < 0 else 0
        points += (one.price - average) * closed * -one.side
        held += one.side * closed
        if opened := one.quantity - closed:
            average = (average * abs(held) + one.price * opened) / (abs(held) + opened)
            held += one.side * opened
    return AtAverage(held, average if held else Decimal(0), points)


def in_order(items: Iterable[_Any], execution_of: Callable[[_Any], Execution]) -> list[_Any]:
    """Return `items` by time and then id of their executions. Raises ValueError for two with one id."""
    ordered = sorted(items, key=lambda item: (execution_of(item).at, execution_of(item).id))
    ids = [execution_of(item).id for item in ordered]
    if len(set(ids)) < len(ids):
        raise ValueError(f"an execution is given twice: {sorted(ids)}")
    return ordered


class Piece:
    """What is left of one execution."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.left = execution.quantity

    def take(self, quantity: int) -> tuple[Decimal, Decimal]:
        """Take `quantity` contracts and return their fees and commissions."""
        before = self.execution.quantity - self.left
        self.left -= quantity
        fees, commissions = self.execution.fees, self.execution.commissions
        return (
            self._share(fees, before + quantity) - self._share(fees, before),
            self._share(commissions, before + quantity) - self._share(commissions, before),
        )

    def _share(self, costs: Decimal, quantity: int) -> Decimal:
        """Return what the first `quantity` contracts cost, in whole cents; all of them cost exactly `costs`."""
        if quantity == self.execution.quantity:
            return costs
        return (costs * quantity / self.execution.quantity).quantize(_CENT, rounding=ROUND_HALF_UP)


def round_turn(entry: Piece, leave: Piece, quantity: int | None = None) -> RoundTurn:
    """Close what `leave` can close of `entry` (or `quantity` of it): both become smaller, their costs go along."""
    quantity = quantity or min(entry.left, leave.left)
    entry_fees, entry_commissions = entry.take(quantity)
    exit_fees, exit_commissions = leave.take(quantity)
    return RoundTurn(
        entry_id=entry.execution.id,
        exit_id=leave.execution.id,
        direction=entry.execution.side,
        quantity=quantity,
        entry_price=entry.execution.price,
        exit_price=leave.execution.price,
        entered_at=entry.execution.at,
        exited_at=leave.execution.at,
        fees=entry_fees + exit_fees,
        commissions=entry_commissions + exit_commissions,
    )
