"""Virtual positions: whose contracts a fill opened and closed, first in, first out inside the book of each owner.

The venue knows one net position for an account and contract; which strategy holds which part of it only we know. The
profit of all books together is the account's, whoever is given which part: every contract is opened and closed once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from market.orders import Side
from market.positions import Execution, Piece, RoundTurn, at_average, in_order, round_turn

BY_HAND = 0
"""Owner of what no strategy did: entries that a person typed, and what ownerless fills open."""


@dataclass(frozen=True, slots=True)
class Owned:
    """An execution, whose it is (an owner's id, None where nobody knows) and the session in which it happened."""

    execution: Execution
    owner: int | None
    session: date


@dataclass(frozen=True, slots=True)
class OwnedTurn:
    """A round turn in the book of `owner`, closed in `session`.

    crossed  no fill closed it: it was set off against another owner's opposite contracts, see `keep`
    """

    owner: int
    session: date
    turn: RoundTurn
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class Books:
    """Round turns in the order in which they closed, open contracts by owner (signed), and what is finished.

    averages  price of the open contracts by owner: of those that are left first in, first out
    settled   so many executions, the oldest, are closed for good: nothing was open where their session ended
    """

    trades: tuple[OwnedTurn, ...]
    quantities: dict[int, int]
    averages: dict[int, Decimal]
    settled: int


def keep(executions: Iterable[Owned], *, ended: date | None = None) -> Books:
    """Match executions first in, first out, inside the book of each owner, by time and then id.

    A fill of an owner closes that owner's contracts alone, and what is left of it opens his position. A fill that
    nobody owns (a flatten, an order typed at the platform) closes what is by hand first; then, as far as it makes the
    account's position smaller, the oldest contracts of any owner on the other side; what is left of it opens by hand.

    ended   newest session that is over. Where a session ends and the account is flat, contracts of different owners
            that offset each other are crossed at the price of the last fill: nothing at the venue will close them.
    Raises ValueError for two executions with one id.
    """
    ordered = in_order(executions, lambda owned: owned.execution)
    desk = _Desk()
    settled = 0
    for number, owned in enumerate(ordered):
        if number and ordered[number - 1].session != owned.session:
            desk.cross(ordered[number - 1])
            settled = settled if desk.is_open else number
        desk.fill(owned)
    if ordered and ended is not None and ordered[-1].session <= ended:
        desk.cross(ordered[-1])
    return Books(tuple(desk.trades), desk.quantities, desk.averages, settled)


def owed_by_venue(executions: Iterable[Execution], point_value: Decimal) -> Decimal:
    """Return what these fills have changed a balance by, in dollars, while some of their contracts may still be open.

    A venue realises against the average price, we first in, first out: before the position is flat again the two
    differ. The costs of what is open are paid. Source: the venue's profit of a closing trade, "against the average".
    """
    executions = list(executions)
    costs = sum((one.fees + one.commissions for one in executions), Decimal(0))
    return at_average(executions).points * point_value - costs


@dataclass(slots=True)
class _Desk:
    """The books while they are written; the lots of an owner are all on one side, oldest first."""

    lots: dict[int, deque[Piece]] = field(default_factory=dict)
    trades: list[OwnedTurn] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return any(self.lots.values())

    @property
    def quantities(self) -> dict[int, int]:
        return {owner: sum(_signed(lot) for lot in lots) for owner, lots in self.lots.items() if lots}

    @property
    def averages(self) -> dict[int, Decimal]:
        return {
            owner: sum((lot.left * lot.execution.price for lot in lots), Decimal(0)) / sum(lot.left for lot in lots)
            for owner, lots in self.lots.items()
            if lots
        }

    @property
    def net(self) -> int:
        """Return the account's position."""
        return sum(_signed(lot) for lots in self.lots.values() for lot in lots)

    def fill(self, owned: Owned) -> None:
        rest = Piece(owned.execution)
        while rest.left and (owner := self._closes(owned)) is not None:
            lots = self.lots[owner]
            quantity = min(lots[0].left, rest.left)
            if owned.owner is None and owner != BY_HAND:
                quantity = min(quantity, abs(self.net))
            self.trades.append(OwnedTurn(owner, owned.session, round_turn(lots[0], rest, quantity)))
            if not lots[0].left:
                lots.popleft()
        if rest.left:
            self.lots.setdefault(BY_HAND if owned.owner is None else owned.owner, deque()).append(rest)

    def cross(self, last: Owned) -> None:
        """Set opposite contracts off against each other, oldest first, if the account is flat after `last`."""
        if self.net:
            return
        while self.is_open:
            long, short = self._oldest(Side.BUY), self._oldest(Side.SELL)
            pair = self.lots[long][0], self.lots[short][0]
            quantity = min(pair[0].left, pair[1].left)
            for owner, piece, other in ((long, pair[0], pair[1]), (short, pair[1], pair[0])):
                turn = _crossed(piece, other, quantity, last.execution.price, last.execution.at)
                self.trades.append(OwnedTurn(owner, last.session, turn, crossed=True))
                if not piece.left:
                    self.lots[owner].popleft()

    def _oldest(self, side: Side) -> int:
        """Return whose contracts on `side` are the oldest."""
        held = {owner: lots[0] for owner, lots in self.lots.items() if lots and lots[0].execution.side is side}
        return min(held, key=lambda owner: _age(held[owner]))

    def _closes(self, owned: Owned) -> int | None:
        """Return whose oldest contracts the fill closes next, None if it closes nothing (more)."""
        side = owned.execution.side
        against = {o: lots[0] for o, lots in self.lots.items() if lots and lots[0].execution.side is not side}
        if owned.owner is not None:
            return owned.owner if owned.owner in against else None
        if BY_HAND in against:
            return BY_HAND
        if self.net * side >= 0:
            return None
        return min(against, key=lambda owner: _age(against[owner]))


def _signed(piece: Piece) -> int:
    return piece.left * piece.execution.side


def _age(piece: Piece) -> tuple[datetime, int]:
    return piece.execution.at, piece.execution.id


def _crossed(piece: Piece, other: Piece, quantity: int, price: Decimal, at: datetime) -> RoundTurn:
    fees, commissions = piece.take(quantity)
    return RoundTurn(
        entry_id=piece.execution.id,
        exit_id=other.execution.id,
        direction=piece.execution.side,
        quantity=quantity,
        entry_price=piece.execution.price,
        exit_price=price,
        entered_at=piece.execution.at,
        exited_at=at,
        fees=fees,
        commissions=commissions,
    )
