"""Events of the user hub into rows: once, forward only, and the same whatever order they come in."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from msgspec import Raw

from brokers.base import BracketTicks, FillReport, OrderReport, PlaceOrder
from brokers.projectx.hubs import decode
from brokers.simulated import wire
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.events import Event
from market.calendar import generate
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import trade_date_of
from risk.gate import EntryRequest, EntrySide
from tests.tradingbot.operations.orders.desk import PRICE, START, Desk
from tradingbot.models import Account, Fill, Notification, Order, Position, Trade
from tradingbot.operations import orders, reconciliation
from tradingbot.operations.streaming.booking import Arrived, Booking, Outcome


class Told:
    """What the venue's hub would say, kept until a test hands it over."""

    def __init__(self, desk: Desk) -> None:
        self.events: list[Event] = []
        self.desk = desk
        self.booking = Booking(desk.account.login)
        desk.venue.listener = self.events.extend

    def take(self, events: list[Event] | None = None) -> Outcome:
        """Hand over events, all that came when none are given."""
        events = self.events[:] if events is None else events
        del self.events[:]
        return self.booking.take([arrived(event) for event in events], now=self.desk.now)


def arrived(event: Event) -> Arrived:
    target, model = event
    body = wire.encode({"action": 1, "data": model})
    return Arrived(decode(target, [Raw(body)]), time.monotonic())


def booked() -> tuple[Any, ...]:
    """Everything that bookings leave, without the times of our own writing."""
    return (
        list(
            Fill.objects.order_by("broker_trade_id").values_list("broker_trade_id", "quantity", "price", "order__tag")
        ),
        list(Position.objects.order_by("pk").values_list("quantity", "average_price")),
        list(Trade.objects.order_by("exit_fill__broker_trade_id").values_list("quantity", "net", "exit_role")),
    )


def statuses() -> dict[str, str]:
    return dict(Order.objects.order_by("tag").values_list("tag", "status"))


@pytest.fixture(scope="module", autouse=True)
def loaded_calendar() -> None:
    """What takes seconds must not happen within a transaction."""
    generate(START.date(), START.date())


@pytest.fixture
def desk(db) -> Desk:
    return Desk.open()


@pytest.fixture
def told(desk: Desk) -> Told:
    return Told(desk)


def test_a_filled_entry_is_booked_with_its_stop_and_the_cancel_of_its_opposite(desk: Desk, told: Told):
    buy, sell = desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    outcome = told.take()
    assert dict(outcome.booked) == {desk.account: 1}
    buy.refresh_from_db()
    sell.refresh_from_db()
    assert (buy.status, buy.filled) == (OrderStatus.FILLED, 3)
    assert sell.status == OrderStatus.CANCEL_PENDING
    assert Position.objects.get().quantity == 3
    stop = buy.legs.get(role=Role.STOP)
    assert (stop.status, stop.stop_price) == (OrderStatus.WORKING, buy.average_price - 10)


def test_the_stop_of_a_market_order_works_in_the_moment_in_which_it_began(desk: Desk, told: Told):
    request = EntryRequest(
        contract=desk.spec,
        quantity=1,
        sides=(EntrySide(Side.BUY, OrderType.MARKET, None, 40, 200),),
        reference=PRICE,
    )
    (entry,) = desk.send(
        orders.open(
            account=desk.account,
            contract=desk.contract,
            request=request,
            session_date=trade_date_of(desk.now),
            now=desk.now,
        )
    )
    told.take()
    assert {leg.role: leg.status for leg in entry.legs.all()} == {
        Role.STOP: OrderStatus.WORKING,
        Role.TARGET: OrderStatus.WORKING,
    }


def test_what_is_booked_is_what_the_check_by_rest_would_have_booked(desk: Desk, told: Told):
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    told.take()
    before = booked(), statuses()
    assert reconciliation.check_fills(desk.account, now=desk.now, max_age=0) == 0
    assert booked() == before[0]


def test_the_same_events_again_change_nothing(desk: Desk, told: Told):
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    events = told.events[:]
    told.take()
    before = booked(), statuses(), Order.objects.get(role=Role.ENTRY, side=Side.BUY).events.count()
    outcome = told.take(events * 3)
    assert not outcome.booked.total()
    assert (booked(), statuses()) == before[:2]
    Booking(desk.account.login).take([arrived(event) for event in events], now=desk.now)  # another process
    assert (booked(), statuses()) == before[:2]


def test_an_event_before_the_answer_to_the_place_finds_its_order_by_the_tag(desk: Desk, told: Told):
    decision = desk.pair()
    order = decision.orders.get(role=Role.ENTRY, side=Side.BUY)
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.SENDING)
    desk.broker.place(_as_sent(order))
    told.take()
    order.refresh_from_db()
    assert order.status == OrderStatus.WORKING
    assert order.broker_order_id is not None


def _as_sent(order: Order) -> PlaceOrder:
    return PlaceOrder(
        account_id=order.account.broker_account_id,
        contract_id=order.contract.broker_contract_id,
        tag=order.tag,
        side=Side(order.side),
        type=OrderType(order.type),
        quantity=order.quantity,
        stop_price=order.stop_price,
        bracket=BracketTicks(order.stop_ticks, order.target_ticks),
    )


def test_an_execution_waits_for_its_order_and_is_booked_with_it(desk: Desk, told: Told):
    desk.send(desk.pair())
    buy = Order.objects.get(role=Role.ENTRY, side=Side.BUY)
    desk.minute(0, 25, 0, 22)
    fill = [event for event in told.events if event[0] == "GatewayUserTrade"]
    number = buy.broker_order_id
    Order.objects.filter(pk=buy.pk).update(broker_order_id=None, status=OrderStatus.SENDING)
    assert told.take(fill).booked.total() == 0
    assert told.booking.waits
    Order.objects.filter(pk=buy.pk).update(broker_order_id=number, status=OrderStatus.WORKING)
    assert told.take([]).booked.total() == 1
    assert Fill.objects.get().order_id == buy.pk


def test_an_execution_whose_order_never_comes_is_left_to_rest(desk: Desk, told: Told, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tradingbot.operations.streaming.booking.PATIENCE", 0.0)
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    fill = next(event for event in told.events if event[0] == "GatewayUserTrade")
    told.events.clear()
    stranger = (fill[0], fill[1] | {"orderId": 77, "id": 78})
    assert told.take([stranger]).check == {desk.account} or told.take([]).check == {desk.account}
    assert not Fill.objects.exists()


def test_an_order_that_had_ended_is_not_woken_by_an_old_event(desk: Desk, told: Told):
    _, sell = desk.send(desk.pair())
    working = told.events[:]
    desk.minute(0, 25, 0, 22)
    told.take()
    desk.look()  # sends the cancel
    desk.look()
    sell.refresh_from_db()
    assert sell.status == OrderStatus.CANCELLED
    fresh = Booking(desk.account.login)
    outcome = fresh.take([arrived(event) for event in working], now=desk.now)
    sell.refresh_from_db()
    assert sell.status == OrderStatus.CANCELLED
    assert outcome.check == {desk.account}
    assert not Notification.objects.filter(title__startswith="Ghost").exists()


def test_a_foreign_order_is_ours_to_know(desk: Desk, told: Told):
    desk.broker.place(
        _market(desk, tag="by-hand"),
    )
    outcome = told.take()
    assert outcome.booked.total() == 1
    order = Order.objects.get()
    assert (order.role, order.status, order.filled) == (Role.EXTERNAL, OrderStatus.FILLED, 1)
    assert Position.objects.get().quantity == 1


def _market(desk: Desk, tag: str) -> PlaceOrder:
    return PlaceOrder(
        account_id=desk.account.broker_account_id,
        contract_id=desk.contract.broker_contract_id,
        tag=tag,
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=1,
    )


def test_a_position_that_differs_from_ours_is_asked_about(desk: Desk, told: Told):
    desk.broker.place(_market(desk, tag="by-hand"))
    events = [event for event in told.events if event[0] != "GatewayUserTrade"]
    told.events.clear()
    assert told.take(events).check == {desk.account}


def test_a_balance_that_moved_is_asked_about(desk: Desk, told: Told):
    desk.broker.place(_market(desk, tag="by-hand"))
    assert told.take().balance == {desk.account}
    desk.look()
    desk.venue.set_account(desk.account.broker_account_id, desk.now, can_trade=True)
    assert told.take().balance == set()
    desk.venue.set_account(desk.account.broker_account_id, desk.now, can_trade=False)
    assert told.take().balance == {desk.account}


def test_a_voided_execution_is_taken_back(desk: Desk, told: Told):
    desk.broker.place(_market(desk, tag="by-hand"))
    trade = next(event for event in told.events if event[0] == "GatewayUserTrade")
    told.take()
    told.take([(trade[0], trade[1] | {"voided": True})])
    assert Position.objects.get().quantity == 0


def test_accounts_that_are_not_ours_are_left_alone(desk: Desk, told: Told):
    desk.broker.place(_market(desk, tag="by-hand"))
    Account.objects.update(enabled=False)
    assert told.take().booked.total() == 0
    assert not Fill.objects.exists()


class TestShuffled(TestCase):
    """An entry filled in three parts, its target hit: events in any order, some twice."""

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 10_000), batch=st.integers(1, 12))
    def test_nothing_is_booked_twice_and_everything_once(self, seed: int, batch: int):
        chance = random.Random(seed)
        desk = Desk.open(behaviour=Behaviour(segments=12, partial=1))
        told = Told(desk)
        desk.send(desk.pair(target=8))
        desk.minute(0, 22, 0, 22)
        desk.minute(22, 34, 22, 34)
        desk.minute(34, 36, 30, 30)
        events = told.events[:]
        shuffled = events + chance.sample(events, len(events) // 2)
        chance.shuffle(shuffled)
        for start in range(0, len(shuffled), batch):
            told.take(shuffled[start : start + batch])
        told.take([])
        ledger = desk.venue.ledger.executions(desk.account.broker_account_id, None, None)
        known = {fill.id for fill in ledger}
        fills = list(Fill.objects.values_list("broker_trade_id", flat=True))
        assert len(fills) == len(set(fills))
        assert set(fills) <= known
        assert not Order.objects.filter(status=OrderStatus.GHOST).exists()
        reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
        assert set(Fill.objects.values_list("broker_trade_id", flat=True)) == known
        assert Position.objects.get().quantity == sum(int(fill.side) * fill.quantity for fill in ledger)
        for row in Order.objects.filter(broker_order_id__isnull=False, role=Role.ENTRY):
            assert row.filled == sum(fill.quantity for fill in ledger if fill.order_id == row.broker_order_id)


def test_reports_say_their_own_account(desk: Desk, told: Told):
    desk.broker.place(_market(desk, tag="by-hand"))
    found = [arrived(event).event for event in told.events]
    assert {event.account_id for event in found if isinstance(event, OrderReport | FillReport)} == {
        desk.account.broker_account_id
    }
