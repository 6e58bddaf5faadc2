"""Which entries are open, and what protects and closes each of them: the account's fills, by their orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db.models import Q

from market.orders import ENTRY_TAKEN, LIVE, OrderStatus, Role
from market.sessions import trade_date_of
from tradingbot.models import Contract, Fill, Order, Position
from tradingbot.operations import closes, statements

_ENGAGED = """
SELECT 0, account_id FROM tradingbot_position
WHERE contract_id = %(contract)s AND quantity <> 0
  AND (close_sent_at IS NULL OR close_sent_at <= statement_timestamp() - %(in_flight)s)
UNION ALL
SELECT DISTINCT 1, strategy_id FROM tradingbot_order
WHERE contract_id = %(contract)s AND session_date = %(trade_date)s AND role = 'entry'
  AND (filled > 0 OR status = ANY(%(taken)s))
"""
_TAKEN = sorted(status.value for status in ENTRY_TAKEN)


@dataclass(frozen=True, slots=True)
class Engaged:
    """Who has something at work in a contract: all others need no further look.

    holders      ids of the accounts with a position that no close is under way for
    strategies   ids of the strategies with an entry of this session that has filled or may; None for manual entries
    """

    holders: frozenset[int]
    strategies: frozenset[int | None]


def engaged(contract: Contract, *, now: datetime) -> Engaged:
    """Return who has something at work in `contract`, read in one statement."""
    values = {"contract": contract.pk, "trade_date": trade_date_of(now), "taken": _TAKEN, "in_flight": closes.IN_FLIGHT}
    rows = statements.rows(_ENGAGED, values)
    return Engaged(*(frozenset(key for kind, key in rows if kind == wanted) for wanted in (0, 1)))


@dataclass(slots=True)
class Holding:
    """An entry that has filled since its account was last flat in the contract.

    left       contracts of it that are still open
    alone      whether nothing else is open on its side: no other entry, and nothing by hand
    by_hand    contracts, signed, that a person opened beside the entries
    booked     contracts of it whose fills are booked; fewer than the venue says for an instant
    filled_at  market time of its first booked fill, None before
    legs       live orders that protect it or take its profit
    exits      market orders that close parts of it, ended ones too; live ones that name no entry are of every holding
    """

    entry: Order
    left: int = 0
    alone: bool = True
    by_hand: int = 0
    booked: int = 0
    filled_at: datetime | None = None
    legs: list[Order] = field(default_factory=list)
    exits: list[Order] = field(default_factory=list)

    @property
    def stops(self) -> list[Order]:
        return [leg for leg in self.legs if leg.role == Role.STOP]

    @property
    def settled(self) -> bool:
        """Return whether the entry fills no further and everything that it filled is booked."""
        return not self.entry.is_live and self.booked >= self.entry.filled


def holdings(accounts: Collection[int], contract: Contract, session_date: date) -> list[Holding]:
    """Return the open entries of the accounts, oldest first; one of which nothing is left is there while others are.

    A fill of a leg or of an exit that names its entry closes that entry. An order of nobody's, typed at the platform or
    the venue's own close, closes what such orders opened first, as in `market.books`. What else closes, the rest of it
    or a stop that replaced a lost one, closes entries that have no stop any more first, then the oldest. What the venue
    says to be filled counts before its fill is booked: nothing is closed twice, and nothing is entered on top of it.
    """
    rows = list(
        Order.objects.filter(account__in=accounts, contract=contract, session_date=session_date)
        .filter(Q(filled__gt=0) | Q(status__in=LIVE))
        .select_related("account__login", "contract", "decision", "strategy")
        .order_by("pk")
    )
    if not any(row.role == Role.ENTRY and row.filled for row in rows):
        return []
    fills = list(
        Fill.objects.filter(account__in=accounts, contract=contract, session_date=session_date)
        .order_by("at", "broker_trade_id")
        .only("account_id", "order_id", "side", "quantity", "at", "voided")
    )
    return [
        holding
        for account in sorted(accounts)
        for holding in _of_account(
            [row for row in rows if row.account_id == account], [fill for fill in fills if fill.account_id == account]
        )
    ]


def opened_by(position: Position, *, now: datetime) -> Order | None:
    """Return the newest of our entries that has contracts left in `position`; None if it is not ours (any more)."""
    found = holdings({position.account_id}, position.contract, trade_date_of(position.opened_at or now))
    return next((one.entry for one in reversed(found) if one.left > 0), None)


def _of_account(rows: list[Order], fills: list[Fill]) -> list[Holding]:
    known = {row.pk: row for row in rows}
    open_: dict[int, Holding] = {}
    loose = by_hand = net = 0
    booked: Counter[int | None] = Counter()
    for fill in fills:
        booked[fill.order_id] += fill.quantity
        if fill.voided:
            continue
        order = known.get(fill.order_id or 0)
        before, net = net, net + fill.side * fill.quantity
        if order is not None and order.role == Role.ENTRY:
            if before * net < 0:
                open_, loose, by_hand = {}, 0, 0
            holding = open_.setdefault(order.pk, Holding(order, filled_at=fill.at))
            holding.left += fill.quantity if before * net >= 0 else abs(net)
        elif order is not None and order.parent_id in open_:
            open_[order.parent_id].left -= fill.quantity
        else:
            of_hand = _of_hand(order, fill.side, fill.quantity, by_hand)
            of_entries = max(0, min(fill.quantity, -before * fill.side) - of_hand)
            loose += of_entries
            by_hand += fill.side * (fill.quantity - of_entries) if _is_nobodys(order) else 0
        if not net:
            open_, loose, by_hand = {}, 0, 0
    for row in rows:
        ahead = row.filled - booked[row.pk]
        if ahead <= 0:
            continue
        if row.role == Role.ENTRY:
            open_.setdefault(row.pk, Holding(row)).left += ahead
        elif row.parent_id in open_:
            open_[row.parent_id].left -= ahead
        elif row.role in (Role.STOP, Role.TARGET, Role.EXIT):
            of_hand = _of_hand(row, row.side, ahead, by_hand)
            loose += ahead - of_hand
            by_hand += row.side * of_hand
    _hang_on(open_, rows)
    _close_loosely(open_.values(), loose)
    left = sum(holding.left for holding in open_.values())
    for holding in open_.values():
        holding.booked, holding.by_hand = booked[holding.entry.pk], by_hand
        holding.alone = holding.left == left and by_hand * holding.entry.side <= 0
    return list(open_.values())


def _is_nobodys(order: Order | None) -> bool:
    return order is None or (order.strategy_id is None and order.role in (Role.EXIT, Role.EXTERNAL))


def _of_hand(order: Order | None, side: int, quantity: int, by_hand: int) -> int:
    """Return how many of `quantity` contracts close what is open by hand (signed)."""
    return max(0, min(quantity, -by_hand * side)) if _is_nobodys(order) else 0


def _hang_on(open_: dict[int, Holding], rows: list[Order]) -> None:
    """Give every open entry its legs and exits; a stop that names no entry belongs to the only one that has none."""
    for row in rows:
        if row.role == Role.EXIT and row.parent_id is None and row.is_live:
            for holding in open_.values():
                holding.exits.append(row)
        elif row.parent_id in open_:
            holding = open_[row.parent_id]
            if row.role == Role.EXIT:
                holding.exits.append(row)
            elif row.is_live:
                holding.legs.append(row)
    bare = [holding for holding in open_.values() if holding.left > 0 and not holding.stops]
    if len(bare) == 1:
        entry = bare[0].entry
        bare[0].legs += [
            row
            for row in rows
            if row.role == Role.STOP and row.parent_id is None and row.is_live and row.side == -entry.side
        ]


def _close_loosely(open_: Iterable[Holding], quantity: int) -> None:
    for holding in sorted(open_, key=lambda holding: bool(holding.stops)):
        closed = min(quantity, max(holding.left, 0))
        holding.left -= closed
        quantity -= closed


def resting(leg: Order) -> bool:
    """Return whether the venue holds the leg open and nothing is asked to end it."""
    return leg.status in (OrderStatus.WORKING, OrderStatus.PARTIAL) and leg.broker_order_id is not None
