"""The venue in process: the port over a direct call, for tests and simulations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

from brokers.base import (
    AccountReport,
    BarReport,
    BracketTicks,
    ContractReport,
    FillReport,
    Lane,
    OrderReport,
    OutcomeUnknown,
    PlaceOrder,
    PositionReport,
    ReadFailed,
    Refused,
    TagInUse,
)
from brokers.simulated.codes import Changing, Closing, PartlyClosing, Placing, Refusal
from brokers.simulated.engine import Venue
from brokers.simulated.history import Unit
from brokers.simulated.products import LISTED, Listing, front, is_active
from brokers.simulated.records import Execution, Order, Status, Type
from brokers.simulated.tickets import Close, Leg, Modify, OneOrder, PartialClose, Place
from market.bars import Timeframe, moment
from market.orders import OrderStatus, OrderType, Side
from market.sessions import trade_date_of

_TYPES = {
    OrderType.MARKET: Type.MARKET,
    OrderType.LIMIT: Type.LIMIT,
    OrderType.STOP: Type.STOP,
    OrderType.TRAILING_STOP: Type.TRAILING_STOP,
}
_OUR_TYPES = {number: kind for kind, number in _TYPES.items()}
_STATUSES = {
    Status.OPEN: OrderStatus.WORKING,
    Status.FILLED: OrderStatus.FILLED,
    Status.CANCELLED: OrderStatus.CANCELLED,
    Status.EXPIRED: OrderStatus.EXPIRED,
    Status.REJECTED: OrderStatus.REJECTED,
    Status.PENDING_CANCELLATION: OrderStatus.CANCEL_PENDING,
    Status.SUSPENDED: OrderStatus.SUSPENDED,
}
_UNITS = {"s": Unit.SECOND, "m": Unit.MINUTE, "h": Unit.HOUR, "d": Unit.DAY, "w": Unit.WEEK, "M": Unit.MONTH}


class SimulatedBroker:
    """One login at a venue in this process; see `brokers.base.Broker`. `now` is market time; no budget, no lanes."""

    def __init__(self, venue: Venue, now: Callable[[], datetime]) -> None:
        self._venue = venue
        self._now = now

    def accounts(self) -> list[AccountReport]:
        with self._reading():
            found = [account for account in self._venue.ledger.accounts() if account.visible]
        return [AccountReport(a.id, a.name, a.balance, a.can_trade, a.visible, simulated=True) for a in found]

    def contracts(self) -> list[ContractReport]:
        day = trade_date_of(self._now())
        return [_contract(front(product, day), active=True) for product in LISTED]

    def contract(self, contract_id: str) -> ContractReport:
        with _refused():
            month = self._venue.listing(contract_id)
        return _contract(month, active=is_active(month, self._now()))

    def bars(
        self, contract_id: str, timeframe: Timeframe, start: datetime, end: datetime, *, limit: int = 20_000
    ) -> list[BarReport]:
        with self._reading() as at:
            month = self._venue.listing(contract_id)
            unit = _UNITS[timeframe.unit]
            found = self._venue.history.bars(month, unit, timeframe.number, start, end, now=at)
        price = month.contract.price
        rows = [
            BarReport(moment(b.opened_at), price(b.open), price(b.high), price(b.low), price(b.close), b.volume)
            for b in found.between(start, end)
        ]
        return rows[-limit:]

    def place(self, order: PlaceOrder, *, lane: Lane = Lane.PLACE) -> int:
        stop, target = _legs(order.bracket, order.side, positive=self._venue.behaviour.bracket_ticks == "positive")
        ticket = Place(
            account_id=order.account_id,
            contract_id=order.contract_id,
            type=_TYPES[order.type],
            side=0 if order.side is Side.BUY else 1,
            size=order.quantity,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            trail_price=order.trail_price,
            custom_tag=order.tag,
            stop_loss_bracket=stop,
            take_profit_bracket=target,
        )
        with _refused(Placing.ORDER_PENDING, Placing.UNKNOWN_ERROR):
            return self._venue.place(ticket, self._now())

    def modify(
        self,
        account_id: int,
        order_id: int,
        *,
        quantity: int | None = None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        trail_price: Decimal | None = None,
        lane: Lane = Lane.STOP,
    ) -> None:
        ticket = Modify(
            account_id=account_id,
            order_id=order_id,
            size=quantity,
            limit_price=limit_price,
            stop_price=stop_price,
            trail_price=trail_price,
        )
        with _refused(Changing.PENDING, Changing.UNKNOWN_ERROR):
            self._venue.modify(ticket, self._now())

    def cancel(self, account_id: int, order_id: int) -> None:
        with _refused(Changing.PENDING, Changing.UNKNOWN_ERROR):
            self._venue.cancel(OneOrder(account_id=account_id, order_id=order_id), self._now())

    def close(self, account_id: int, contract_id: str, quantity: int | None = None) -> None:
        if quantity is None:
            with _refused(Closing.ORDER_PENDING, Closing.UNKNOWN_ERROR):
                self._venue.close(Close(account_id=account_id, contract_id=contract_id), self._now())
            return
        with _refused(PartlyClosing.ORDER_PENDING, PartlyClosing.UNKNOWN_ERROR):
            ticket = PartialClose(account_id=account_id, contract_id=contract_id, size=quantity)
            self._venue.close_part(ticket, self._now())

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        with self._reading():
            account = self._venue.account(account_id)
            found = [order for order in self._venue.ledger.in_flight() if order.account_id == account.id]
        return [_order(self._venue.listing(order.contract_id), order) for order in found]

    def orders_between(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[OrderReport]:
        with self._reading():
            found = self._venue.ledger.orders(self._venue.account(account_id).id, start, end)
        shown = [
            order for order in found if order.status is not Status.SUSPENDED or self._venue.behaviour.show_suspended
        ]
        return [_order(self._venue.listing(order.contract_id), order) for order in shown]

    def positions(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[PositionReport]:
        with self._reading():
            found = self._venue.ledger.positions(self._venue.account(account_id).id)
        ticks = {p.id: self._venue.listing(p.contract_id).contract.tick_size for p in found}
        places = Decimal("1e-9")
        return [PositionReport(p.contract_id, p.quantity, (p.average * ticks[p.id]).quantize(places)) for p in found]

    def fills(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[FillReport]:
        with self._reading():
            found = self._venue.ledger.executions(self._venue.account(account_id).id, start, end)
        shown = self._venue.behaviour.commissions
        return [_fill(self._venue.listing(one.contract_id), one, commissions=shown) for one in found]

    def clock_skew(self) -> float | None:
        return 0.0

    @contextmanager
    def _reading(self) -> Iterator[datetime]:
        with _refused(read=True), self._venue.looking(self._now()) as at:
            yield at


@contextmanager
def _refused(*ambiguous: int, read: bool = False) -> Iterator[None]:
    """Turn the venue's refusal into the port's error: what it proves depends on the endpoint's code."""
    try:
        yield
    except Refusal as refusal:
        text = f"code {refusal.code}: {refusal.message}"
        kind = ReadFailed if read else OutcomeUnknown if refusal.code in ambiguous else Refused
        if kind is Refused and refusal.message and "tag is already in use" in refusal.message:
            kind = TagInUse
        raise kind(text, code=refusal.code) from refusal


def _legs(bracket: BracketTicks | None, side: Side, *, positive: bool) -> tuple[Leg | None, Leg | None]:
    if bracket is None:
        return None, None
    sign = 1 if positive else side
    stop = Leg(ticks=bracket.stop if positive else -sign * bracket.stop, type=Type.STOP)
    return stop, None if bracket.target is None else Leg(ticks=sign * bracket.target, type=Type.LIMIT)


def _contract(month: Listing, *, active: bool) -> ContractReport:
    return ContractReport(month.contract, month.name, month.description, active)


def _order(month: Listing, of: Order) -> OrderReport:
    partly = of.status is Status.OPEN and of.filled
    price = month.contract.price
    return OrderReport(
        id=of.id,
        account_id=of.account_id,
        contract_id=of.contract_id,
        created_at=of.created_at,
        updated_at=of.updated_at,
        status=OrderStatus.PARTIAL if partly else _STATUSES.get(of.status),
        type=_OUR_TYPES.get(of.type),
        side=of.side,
        quantity=of.size,
        filled=of.filled,
        limit_price=None if of.limit is None else price(of.limit),
        stop_price=None if of.stop is None else price(of.stop),
        filled_price=Decimal(of.fill_cost) / of.filled * month.contract.tick_size if of.filled else None,
        tag=of.tag,
        parent_id=of.parent_id,
        linked_id=of.linked_id,
    )


def _fill(month: Listing, of: Execution, *, commissions: bool) -> FillReport:
    return FillReport(
        id=of.id,
        account_id=of.account_id,
        contract_id=of.contract_id,
        order_id=of.order_id,
        at=of.at,
        side=of.side,
        quantity=of.quantity,
        price=month.contract.price(of.price),
        fees=of.fees,
        commissions=of.commissions if commissions else None,
        profit=of.profit,
        voided=of.voided,
    )
