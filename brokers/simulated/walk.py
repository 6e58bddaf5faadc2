"""The market's way over the orders: each minute in pieces, each piece matched against what worked when it began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from brokers.simulated import hours
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.clearing import Clearing
from brokers.simulated.ledger import Ledger
from brokers.simulated.market import Market, offset, way
from brokers.simulated.products import listed
from brokers.simulated.records import Order, Status, Type
from market.matching import Resting, step
from market.orders import OrderType
from market.sessions import Session

_TYPES = {
    Type.LIMIT: OrderType.LIMIT,
    Type.MARKET: OrderType.MARKET,
    Type.STOP: OrderType.STOP,
    Type.TRAILING_STOP: OrderType.TRAILING_STOP,
    Type.JOIN_BID: OrderType.LIMIT,
    Type.JOIN_ASK: OrderType.LIMIT,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


class Walk:
    """Matches a market against the orders of a ledger. The caller holds a transaction."""

    def __init__(self, ledger: Ledger, clearing: Clearing, market: Market, behaviour: Behaviour) -> None:
        self._ledger = ledger
        self._clearing = clearing
        self._market = market
        self._behaviour = behaviour
        self._piece = timedelta(minutes=1) / behaviour.segments

    def last_boundary(self, at: datetime) -> datetime:
        """Return when the last whole piece before `at` ended."""
        return at - (at - _EPOCH) % self._piece

    def run(self, start: datetime, end: datetime) -> bool:
        """Match from `start` to `end` and expire at each close between them; return whether any order changed.

        A piece that `start` or `end` cuts is matched in part: an order works from the very moment of its acceptance.
        """
        changed = False
        orders = self._ledger.in_flight() if start < end else []
        for session in hours.sessions(start, end) if orders else ():
            for begin, until in self._pieces(max(start, session.opens_at), min(end, session.closes_at)):
                if orders and self._match(session, orders, begin, until):
                    orders, changed = self._ledger.in_flight(), True
            if orders and self._behaviour.expire and start < session.closes_at <= end:
                for order in orders:
                    self._clearing.change(order, session.closes_at, status=Status.EXPIRED)
                orders, changed = [], True
        return changed

    def _pieces(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        while start < end:
            until = min(self.last_boundary(start) + self._piece, end)
            yield start, until
            start = until

    def _match(self, session: Session, orders: Sequence[Order], begin: datetime, until: datetime) -> bool:
        """Match one piece; return whether any order changed.

        Its fills happen before it ends: one in the minute of 10:00 is stamped 10:00:59.999999 at the latest, as at an
        exchange, where the minute that a fill belongs to is the one of the bar that made it.
        """
        by_contract = defaultdict(list)
        for order in orders:
            by_contract[order.contract_id].append(order)
        changed = [self._match_contract(session, id_, group, begin, until) for id_, group in by_contract.items()]
        return any(changed)

    def _match_contract(
        self, session: Session, contract_id: str, orders: Sequence[Order], begin: datetime, until: datetime
    ) -> bool:
        whole = way(self._market, listed(contract_id), session, begin)
        if whole is None:
            return False
        bar = whole.piece(offset(whole, begin), offset(whole, until))
        resting = self._resting(_live(orders))
        outcome = step(bar, resting, slippage=self._behaviour.slippage)
        for fill in outcome.fills:
            self._clearing.fill(fill.order_id, fill.quantity, fill.price, until - _INSTANT)
        return self._move_trailing(resting, outcome.working, until) or bool(outcome.fills)

    def _resting(self, orders: Sequence[Order]) -> list[Resting]:
        """Return the orders as the matching sees them, in quantities of at most one partial fill."""
        by_id = {order.id: order for order in orders}
        siblings: dict[int, int] = {}
        for order in orders:
            for other in orders:
                if order.parent_id is not None and other.parent_id == order.parent_id and other.id != order.id:
                    siblings[order.id] = other.id
        return [self._rest(order, by_id.get(order.parent_id or 0), siblings.get(order.id)) for order in orders]

    def _rest(self, order: Order, entry: Order | None, sibling: int | None) -> Resting:
        suspended = order.status is Status.SUSPENDED and entry is not None
        quantity = entry.remaining if suspended and entry is not None else order.remaining
        return Resting(
            id=order.id,
            side=order.side,
            type=_TYPES[order.type],
            quantity=min(quantity, self._behaviour.partial or quantity),
            price=order.limit if order.limit is not None else order.stop,
            parent=order.parent_id if suspended else None,
            offset=order.offset if suspended else None,
            sibling=sibling,
            trail=order.trail,
        )

    def _move_trailing(self, before: Sequence[Resting], after: Sequence[Resting], at: datetime) -> bool:
        prices = {resting.id: resting.price for resting in before}
        moved = [r for r in after if r.type is OrderType.TRAILING_STOP and prices[r.id] != r.price]
        for resting in moved:
            order = self._ledger.order(resting.id)
            if order is not None:
                self._clearing.change(order, at, stop=resting.price)
        return bool(moved)


def _live(orders: Sequence[Order]) -> list[Order]:
    """Return what may fill: neither what is still pending nor the legs that hang on it."""
    pending = {order.id for order in orders if order.status is Status.PENDING}
    return [order for order in orders if not pending & {order.id, order.parent_id}]
