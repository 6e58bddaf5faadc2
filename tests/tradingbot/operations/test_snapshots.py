"""What one reading of an account is worth when a part of it fails, or another process holds it up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from brokers.base import Lane, PositionReport, ReadFailed
from market.orders import OrderStatus, Role
from tests.tradingbot.guard.clockwork import Clockwork
from tests.tradingbot.operations.ledgers import go
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import flatten_until_done, long_position, waited
from tradingbot.models import Account, Order, Position
from tradingbot.operations import leases, orders, protection, reconciliation, snapshots, venues

EVENING = datetime(2026, 11, 18, 23, 5, tzinfo=UTC)  # 18:05 New York, in the next session


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """An account that may trade, at 10:00 New York of an ordinary Wednesday."""
    yield Desk.open()
    venues.forget()


def fail(*_: Any, **__: Any) -> list[Any]:
    raise ReadFailed("HTTP 500")


def test_a_missing_stop_is_placed_while_the_executions_cannot_be_read(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    entry = long_position(desk)
    monkeypatch.setattr(desk.broker, "fills", fail)
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    protection.check(desk.account, now=desk.now, max_age=0)
    waited(4)
    protection.check(desk.account, now=desk.now, max_age=0)
    assert Order.objects.get(role=Role.STOP, parent=None).status == OrderStatus.WORKING
    assert protection.check(desk.account, now=desk.now, max_age=0) == []


def test_a_flatten_closes_while_the_executions_cannot_be_read_and_ends_when_they_can(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    long_position(desk)
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)
    with monkeypatch.context() as failing:
        failing.setattr(desk.broker, "fills", fail)
        for _ in range(3):
            assert not orders.flatten(desk.account, now=desk.now)
        assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
        assert desk.venue.ledger.in_flight() == []
        assert Account.objects.get().flat_seen_at is None  # our books do not say so yet
    flatten_until_done(desk)
    assert Position.objects.get().quantity == 0


def test_what_cannot_be_booked_keeps_no_position_open(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    long_position(desk)
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)

    def apply(*_: Any, **__: Any) -> int:
        raise ArithmeticError("a price that no column takes")

    monkeypatch.setattr(reconciliation, "apply_orders_and_fills", apply)
    with pytest.raises(ArithmeticError):
        orders.flatten(desk.account, now=desk.now)
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []


def test_without_the_executions_orders_and_positions_are_written_and_nothing_is_compared(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    buy, _ = desk.send(desk.pair())
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    monkeypatch.setattr(desk.broker, "fills", fail)
    desk.minute(22, 25, 21, 22)  # the buy stop at +20 fills
    reconciled_at = Account.objects.get().reconciled_at
    with pytest.raises(ReadFailed, match="executions"):
        reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    with pytest.raises(ReadFailed, match="executions"):
        reconciliation.check_fills(desk.account, now=desk.now)
    buy.refresh_from_db()
    assert (buy.status, set(buy.legs.values_list("status", flat=True))) == (OrderStatus.FILLED, {OrderStatus.WORKING})
    position = Position.objects.get()
    assert (position.quantity, position.broker_quantity, position.differs_since) == (0, 3, None)
    assert Account.objects.get().reconciled_at == reconciled_at


def test_executions_that_could_not_be_read_before_the_session_ended_are_booked_in_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    long_position(desk)
    with monkeypatch.context() as failing:
        failing.setattr(desk.broker, "fills", fail)
        desk.broker.close(desk.account.broker_account_id, desk.contract.broker_contract_id)
        for at in (desk.now, EVENING):
            go(desk, at)
            assert snapshots.read(desk.account, max_age=0, now=desk.now).fills_failed == "HTTP 500"
    assert reconciliation.check_fills(desk.account, now=desk.now, max_age=0) == 1


def test_a_reading_that_was_overtaken_replaces_no_newer_one(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshots, "time", Clockwork())
    answer = desk.broker.positions

    def hang(*args: Any, **options: Any) -> list[PositionReport]:
        monkeypatch.setattr(desk.broker, "positions", answer)
        newer.append(snapshots.read(desk.account, max_age=0, now=desk.now, lane=Lane.STOP))
        return answer(*args, **options)

    newer: list[snapshots.Reading] = []
    monkeypatch.setattr(desk.broker, "positions", hang)
    older = snapshots.read(desk.account, max_age=0, now=desk.now)
    assert older.started_at < newer[0].started_at
    assert snapshots.newest(desk.account) == newer[0]


@pytest.mark.parametrize(("lane", "seconds"), [(Lane.CANCEL, 1), (Lane.STOP, 1), (Lane.RECONCILE, 3)])
def test_a_stop_or_a_close_waits_for_another_reader_for_a_second_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lane: Lane, seconds: int
):
    machine = Clockwork()
    monkeypatch.setattr(snapshots, "time", machine)
    assert leases.take(f"snapshot:{desk.account.pk}", seconds=20)
    began_at = machine.monotonic()
    snapshots.read(desk.account, max_age=0, now=desk.now, lane=lane)
    assert seconds <= machine.monotonic() - began_at < seconds + 0.1
