"""Guard as a process of its own: without queues, with a second one beside it, asked to end."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime

import pytest

from market.orders import OrderStatus, Role
from tests.tradingbot.guard.service import Service, soon
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot.models import Account, Heartbeat, Lease, Notification, Order, Position
from tradingbot.operations import orders, protection, reconciliation
from tradingbot.operations.snapshots import machine_now


def heard() -> Heartbeat | None:
    return Heartbeat.objects.filter(name="guard").first()


def test_it_needs_neither_celery_nor_redis(service: Service):
    process = service.guard(blocked=True)
    sign = soon(heard, what="a sign of life")
    assert (sign.pid, sign.note[:24]) == (process.pid, "1 account(s) of paper, 0")
    entry = long_position(service.desk)
    stop = entry.legs.get(role=Role.STOP)
    service.desk.broker.cancel(service.desk.account.broker_account_id, stop.broker_order_id)
    at = time.monotonic()
    placed = soon(lambda: Order.objects.filter(role=Role.STOP, parent=None, status=OrderStatus.WORKING).first())
    assert time.monotonic() - at < 12  # known within 4, placed within 3 more; the rest is a busy machine's
    assert (placed.quantity, placed.requested_by) == (3, "protection")
    assert "Traceback" not in service.log()


def test_asked_to_end_it_ends_after_the_acts_in_hand_and_gives_its_leases_back(service: Service):
    process = service.guard()
    soon(heard)
    process.terminate()
    assert process.wait(30) == 0
    assert "still wait for an answer" not in service.log()
    assert Lease.objects.filter(name__startswith="guard:", expires_at__lte=machine_now()).exists()
    assert service.log().rstrip().endswith("stops and targets rest at the venue")


def test_a_second_guard_stands_by_until_the_first_is_gone(service: Service):
    first = service.guard()
    soon(heard)
    second = service.guard(name="second")
    soon(lambda: "is guarded by another process" in service.log("second"))
    assert "watching" not in service.log("second")
    first.kill()
    first.wait(10)
    soon(lambda: "watching" in service.log("second"), what="the second one's turn")
    assert soon(lambda: heard().pid == second.pid)


def positions(service: Service) -> list[object]:
    return service.desk.venue.ledger.positions(service.desk.account.broker_account_id)


@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_without_postgresql_a_position_without_stop_is_closed_and_booked_later(service: Service, how: str):
    service.guard()
    soon(heard)
    long_position(service.desk)
    soon(lambda: "1 exposed" in heard().note, what="the position's first sight")
    getattr(service.postgres, how)()
    stop = Order.objects.get(role=Role.STOP, parent__isnull=False)
    service.desk.broker.cancel(service.desk.account.broker_account_id, stop.broker_order_id)
    soon(lambda: not positions(service), seconds=25, what="the close")
    journal = service.var / "guard.jsonl"
    assert soon(lambda: journal.exists() and "no stop of its full size" in journal.read_text())
    service.postgres.mend()
    soon(lambda: Notification.objects.filter(title__startswith="Done without PostgreSQL").exists(), seconds=30)
    soon(lambda: Position.objects.get().quantity == 0, what="the booking of the close")
    assert not journal.exists()


def test_without_postgresql_the_flat_time_is_kept(service: Service):
    desk = service.desk
    long_position(desk)
    desk.now = datetime(2026, 11, 18, 20, 59, 45, tzinfo=UTC)  # 15 s before the flat time
    desk.venue.advance(desk.now)
    service.guard()
    soon(lambda: "1 exposed" in (heard().note if heard() else ""))
    service.postgres.cut()
    soon(lambda: not positions(service), seconds=40, what="the close")
    soon(lambda: not desk.broker.orders_in_flight(desk.account.broker_account_id), what="the last cancel")
    service.postgres.mend()
    soon(lambda: not Order.objects.live().exists(), seconds=40, what="the booking")


def work(service: Service) -> None:
    """Do once what the critical workers do every few seconds."""
    account = Account.objects.select_related("login").get()
    moment = service.desk.now
    orders.sweep(now=moment)
    if reconciliation.check_fills(account, now=moment):
        protection.check(account, now=moment)
    protection.check(account, now=moment)
    orders.flatten_due(account, now=moment)


def test_with_workers_beside_it_nothing_happens_twice(service: Service):
    service.guard()
    soon(heard)
    desk = service.desk
    venue_account = desk.account.broker_account_id
    stop = long_position(desk).legs.get(role=Role.STOP)
    before = {order.id for order in desk.venue.ledger.orders(venue_account)}
    desk.broker.cancel(venue_account, stop.broker_order_id)
    soon(lambda: work(service) or Order.objects.filter(role=Role.STOP, parent=None, status="working").exists())
    give_up = time.monotonic() + 6
    while time.monotonic() < give_up:
        work(service)
    placed = [order for order in desk.venue.ledger.orders(venue_account) if order.id not in before]
    assert [order.tag for order in placed] == [Order.objects.get(role=Role.STOP, parent=None).tag]
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)
    soon(lambda: work(service) or Account.objects.get().flatten_requested_at is None, what="the flatten")
    fills = desk.venue.ledger.executions(venue_account, None, None)
    assert [(fill.side, fill.quantity) for fill in fills] == [(1, 3), (-1, 3)]  # bought once, sold once
    assert not Order.objects.live().exists()


def test_after_a_standstill_everything_is_read_before_anything_is_done(service: Service):
    process = service.guard()
    soon(heard)
    process.send_signal(signal.SIGSTOP)
    time.sleep(7)  # what is tested is the standing still
    process.send_signal(signal.SIGCONT)
    soon(lambda: "reading everything again before acting" in service.log())
    since = machine_now()
    assert soon(lambda: heard().at > since, what="a sign of life afterwards")
