"""A lost answer means "may have happened": looked up, adopted or abandoned, never sent again."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from brokers.base import BracketTicks, NotSent, OutcomeUnknown, PlaceOrder
from brokers.simulated.broker import SimulatedBroker
from market.orders import OrderStatus, OrderType, Side
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Account, Notification, Order, TradingState
from tradingbot.operations import orders, reconciliation, trading, venues


class Unreachable(SimulatedBroker):
    """A venue whose port nobody listens on."""

    def place(self, order: PlaceOrder, **options: object) -> int:
        raise NotSent("connection refused")


def one_at_venue(desk: Desk) -> int:
    """Return how many entries the venue's ledger holds."""
    return sum(not tag.endswith(("-SL", "-TP")) for tag, *_ in desk.ledger())


def sole(desk: Desk) -> Order:
    """Send a pair's buy entry while the wire loses its answer."""
    buy = desk.pair().orders.get(role="entry", side=1)
    desk.broker.lose = 1
    orders.send(buy, now=desk.now)
    buy.refresh_from_db()
    assert buy.status == OrderStatus.UNKNOWN
    return buy


def read_again(order: Order, times: int = 5) -> None:
    """Let resolution read `times` times over more than 30 seconds of the machine's time."""
    for _ in range(times):
        orders.resolve(order.account, now=order.sent_at)
        Order.objects.filter(pk=order.pk, absent_since__isnull=False).update(
            absent_since=F("absent_since") - timedelta(seconds=10)
        )
    order.refresh_from_db()


class Babbling(SimulatedBroker):
    """A venue whose answers to a place and a cancel cannot be read."""

    def place(self, order: PlaceOrder, **options: object) -> int:
        raise OutcomeUnknown("cannot read the answer", raw="<html>502</html>")

    def cancel(self, account_id: int, order_id: int) -> None:
        raise OutcomeUnknown("cannot read the answer", raw="<html>503</html>")


def test_what_cannot_be_read_stays_in_the_orders_history(desk: Desk) -> None:
    working = desk.send(desk.pair())[0]
    desk.broker.__class__ = Babbling
    orders.request_cancel(working, by="test", now=desk.now)
    orders.cancel(working, now=desk.now)
    assert working.events.get(kind="cancel sent").detail["raw"] == "<html>503</html>"
    Account.objects.update(trading_state=TradingState.ACTIVE)
    Order.objects.filter(role="entry").update(status=OrderStatus.CANCELLED)
    again = desk.pair().orders.filter(role="entry").first()
    assert again is not None
    orders.send(again, now=desk.now)
    assert again.events.get(kind="unknown").detail["raw"] == "<html>502</html>"


def test_an_order_that_arrived_is_adopted_by_its_tag(desk: Desk) -> None:
    buy = sole(desk)
    orders.resolve(desk.account, now=desk.now)
    buy.refresh_from_db()
    assert (buy.status, one_at_venue(desk)) == (OrderStatus.WORKING, 1)
    assert buy.broker_order_id is not None


def test_an_order_that_never_arrived_is_abandoned_after_five_reads_and_not_resent(desk: Desk) -> None:
    desk.broker.reaches = False
    buy = sole(desk)
    read_again(buy, times=4)
    assert buy.status == OrderStatus.UNKNOWN
    read_again(buy, times=2)
    assert buy.status == OrderStatus.ABANDONED
    orders.sweep(now=desk.now)
    assert not [tag for tag, *_ in desk.ledger() if tag.startswith(buy.tag)]


def test_an_abandoned_order_that_appears_after_all_is_cancelled(desk: Desk) -> None:
    desk.broker.reaches = False
    buy = sole(desk)
    read_again(buy, times=6)
    desk.broker.place(_as_sent(desk, buy))  # the venue accepts it late
    for _ in range(2):
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
        orders.sweep(now=desk.now)
    buy.refresh_from_db()
    assert buy.status == OrderStatus.CANCELLED
    assert Notification.objects.filter(title__startswith="Ghost order").count() == 1


def test_a_claim_whose_process_died_becomes_unknown_and_is_found(desk: Desk) -> None:
    buy = desk.pair().orders.get(role="entry", side=1)
    desk.broker.place(_as_sent(desk, buy))  # the call went out, then the process was killed
    Order.objects.filter(pk=buy.pk).update(
        status=OrderStatus.SENDING, sent_at=desk.now, attempt=1, claimed_at="2026-01-01T00:00:00Z"
    )
    orders.sweep(now=desk.now)
    buy.refresh_from_db()
    assert (buy.status, one_at_venue(desk)) == (OrderStatus.WORKING, 1)
    assert buy.attempt == 1


def test_what_never_left_is_tried_again_and_given_up_after_three_pauses(desk: Desk) -> None:
    buy = desk.pair().orders.get(role="entry", side=1)
    refused = Unreachable(desk.venue, lambda: desk.now)
    venues.use(desk.account.login, refused)
    for attempt in range(1, 5):
        Order.objects.filter(pk=buy.pk).update(not_before=None)
        orders.send(buy, now=desk.now)
        buy.refresh_from_db()
        assert buy.attempt == attempt
    assert (buy.status, one_at_venue(desk)) == (OrderStatus.REJECTED, 0)
    assert set(buy.legs.values_list("status", flat=True)) == {OrderStatus.REJECTED}


def test_a_refusal_is_final_and_takes_the_legs_with_it(desk: Desk) -> None:
    desk.venue.set_account(desk.account.broker_account_id, desk.now, can_trade=False)
    buy, _ = desk.send(desk.pair())
    assert buy.status == OrderStatus.REJECTED
    assert set(buy.legs.values_list("status", flat=True)) == {OrderStatus.REJECTED}
    orders.sweep(now=desk.now)
    buy.refresh_from_db()
    assert buy.attempt == 1


def test_no_entry_leaves_after_a_halt(desk: Desk) -> None:
    decision = desk.pair()
    trading.halt(desk.account, reason="news", by="test", now=desk.now)
    assert [order.status for order in desk.send(decision)] == ["new", "new"]
    assert desk.ledger() == []
    assert Account.objects.get().trading_state == TradingState.HALTED
    trading.resume(desk.account, by="test", now=desk.now)
    assert [order.status for order in desk.send(decision)] == ["working", "working"]


def _as_sent(desk: Desk, order: Order) -> PlaceOrder:
    """Return the request that the lost call carried."""
    order.refresh_from_db()
    return PlaceOrder(
        account_id=desk.account.broker_account_id,
        contract_id=desk.contract.broker_contract_id,
        tag=order.tag,
        side=Side(order.side),
        type=OrderType(order.type),
        quantity=order.quantity,
        stop_price=order.stop_price.normalize(),
        bracket=BracketTicks(order.stop_ticks, order.target_ticks),
    )
