"""What the venue tells late or in another order than it happened ends as if it had been told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db.models import F

from brokers.base import PlaceOrder, ReadFailed
from brokers.simulated.behaviour import Behaviour
from market.orders import OrderStatus, OrderType, Side
from tests.tradingbot.operations.orders.desk import START, Desk
from tradingbot.models import Contract, Fill, Notification, Order, Position
from tradingbot.operations import order_facts, orders, reconciliation, snapshots


def test_a_fill_that_is_read_before_its_order_is_found_still_ends_the_pair(desk: Desk, monkeypatch) -> None:
    desk.broker.lose = 1
    buy, sell = desk.send(desk.pair())
    assert buy.status == OrderStatus.UNKNOWN
    desk.minute(0, 25, 0, 22)
    with monkeypatch.context() as outage:
        outage.setattr(desk.broker, "orders_between", _unreadable)
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    orders.resolve(desk.account, now=desk.now)
    desk.settle()
    assert Fill.objects.get().order == buy
    buy.refresh_from_db()
    sell.refresh_from_db()
    assert (buy.status, buy.filled, sell.status) == (OrderStatus.FILLED, 3, OrderStatus.CANCELLED)


def test_a_fill_that_was_booked_without_its_order_is_given_to_it(desk: Desk, monkeypatch) -> None:
    desk.broker.lose = 1
    buy, sell = desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    with monkeypatch.context() as late:  # the history shows the order later than the executions show its fill
        late.setattr(desk.broker, "orders_between", lambda *_, **__: [])
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
        assert Fill.objects.get().order is None
    orders.resolve(desk.account, now=desk.now)
    desk.settle()
    assert Fill.objects.get().order == buy
    buy.refresh_from_db()
    sell.refresh_from_db()
    assert (buy.status, buy.filled, sell.status) == (OrderStatus.FILLED, 3, OrderStatus.CANCELLED)
    assert Notification.objects.filter(kind="fill").count() == 1


@pytest.mark.django_db
def test_a_part_filled_before_the_rest_was_cancelled_is_no_ghost() -> None:
    desk = Desk.open(behaviour=Behaviour(segments=1, partial=1))
    buy, sell = desk.send(desk.pair())
    desk.look()
    desk.minute(0, 25, 0, 22)
    desk.broker.cancel(desk.account.broker_account_id, buy.broker_order_id)
    desk.settle()
    buy.refresh_from_db()
    sell.refresh_from_db()
    desk.account.refresh_from_db()
    assert (buy.status, sell.status) == (OrderStatus.CANCELLED, OrderStatus.CANCELLED)
    assert 0 < buy.filled < buy.quantity
    assert desk.account.flatten_requested_at is None
    assert Position.objects.get().quantity == buy.filled
    assert buy.legs.get(role="stop").status == OrderStatus.WORKING


def test_an_entry_that_filled_though_it_had_ended_is_a_ghost(desk: Desk) -> None:
    buy, _ = desk.send(desk.pair())
    desk.broker.cancel(desk.account.broker_account_id, buy.broker_order_id)
    desk.settle()
    (report,) = [
        r for r in desk.broker.orders_between(desk.account.broker_account_id, START, desk.now) if r.tag == buy.tag
    ]
    assert order_facts.adopt(buy, replace(report, filled=1), read_at=snapshots.machine_now(), now=desk.now)
    buy.refresh_from_db()
    assert buy.status == OrderStatus.GHOST


def test_an_entry_that_could_not_leave_for_long_is_not_sent(desk: Desk) -> None:
    buy, sell = desk.pair().orders.filter(role="entry").order_by("-side")
    Order.objects.update(status_at=F("status_at") - timedelta(minutes=2))
    orders.sweep(now=desk.now)
    assert desk.ledger() == []
    assert list(Order.objects.values_list("status", flat=True).distinct().order_by("status")) == [
        "cancelled",
        "expired",
    ]
    assert {buy.status, sell.status} == {"new"}
    told = Notification.objects.filter(title__startswith="Entry not sent", level="alert")
    assert told.count() == 2
    assert not orders.send(buy, now=desk.now)


def test_a_position_in_a_month_that_was_not_known_is_flattened(desk: Desk) -> None:
    mes = Contract.objects.get(symbol="MES", active=True)
    desk.broker.place(
        PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=mes.broker_contract_id,
            tag="by hand",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=1,
        )
    )
    mes.delete()
    orders.request_flatten(desk.account, reason="test", by="test", now=desk.now)
    orders.flatten(desk.account, now=desk.now)
    assert desk.broker.positions(desk.account.broker_account_id) == []


def _unreadable(*_: object, **__: object) -> list[object]:
    raise ReadFailed("HTTP 503")
