"""One account with the database: how often guard reads, what it notices, what it never does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from brokers.base import Lane, NotSent, PlaceOrder, ReadFailed
from brokers.budget import GUARD, LocalBudget
from brokers.projectx import gateway, session
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.faults import Legless
from market.orders import OrderStatus, OrderType, Role, Side
from tests.tradingbot.guard.clockwork import Clockwork, Running
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot.models import Account, Notification, Order, OrderEvent, Position, Snapshot
from tradingbot.operations import leases, orders, protection, reconciliation, snapshots
from tradingbot.operations.guard import watching
from tradingbot.operations.guard.clients import MemoryTokens, NeverEnters
from tradingbot.operations.guard.watching import EXPOSED, GLANCE, LADDER, Watch


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Clockwork:
    clockwork = Clockwork()
    monkeypatch.setattr(watching, "time", clockwork)
    monkeypatch.setattr(watching, "now", lambda: desk.now)
    return clockwork


@pytest.fixture
def calls(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each call was made to the venue."""
    counted: Counter[str] = Counter()

    def counting(name: str) -> Any:
        call = getattr(desk.broker, name)

        def count(*args: Any, **options: Any) -> Any:
            counted[name] += 1
            return call(*args, **options)

        return count

    for name in ("orders_in_flight", "positions", "fills", "orders_between", "place", "cancel", "close"):
        monkeypatch.setattr(desk.broker, name, counting(name))
    return counted


def turn(watch: Watch, machine: Clockwork, *, seconds: float) -> None:
    """Let guard look for so long; what is stored ages with the machine."""
    until = machine.monotonic() + seconds
    while machine.monotonic() < until:
        wait = watch.round()
        assert wait > 0
        machine.wait(wait)
        Snapshot.objects.update(started_at=Now() - timedelta(seconds=60))


def test_while_exposed_it_reads_every_two_seconds_within_its_budget(desk: Desk, machine: Clockwork, calls):
    long_position(desk)
    watch = Watch(desk.account.pk)
    turn(watch, machine, seconds=4)
    calls.clear()
    turn(watch, machine, seconds=60)
    assert watch.exposed
    assert calls["orders_in_flight"] >= 15 <= calls["positions"]
    assert sum(calls.values()) <= GUARD * 0.9
    assert calls["place"] == calls["cancel"] == calls["close"] == 0


def test_while_nothing_is_exposed_it_reads_every_five_seconds(desk: Desk, machine: Clockwork, calls):
    watch = Watch(desk.account.pk)
    turn(watch, machine, seconds=5)
    calls.clear()
    turn(watch, machine, seconds=60)
    assert not watch.exposed
    assert 12 <= sum(calls.values()) <= 24


def test_an_entry_that_was_just_sent_is_looked_at_within_a_glance(desk: Desk, machine: Clockwork, calls):
    watch = Watch(desk.account.pk)
    turn(watch, machine, seconds=2)
    long_position(desk)
    assert watch.round() == EXPOSED
    assert watch.exposed
    assert GLANCE <= 1


def test_readings_of_other_processes_are_used(desk: Desk, machine: Clockwork, calls):
    long_position(desk)
    watch = Watch(desk.account.pk)
    watch.round()
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    calls.clear()
    watch.round()
    assert sum(calls.values()) == 0


def test_a_stop_that_goes_is_noticed_and_replaced_by_the_ladder(desk: Desk, machine: Clockwork):
    entry = long_position(desk)
    watch = Watch(desk.account.pk)
    turn(watch, machine, seconds=4)
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    rounds = 0
    while not (bare := Position.objects.get().unprotected_since):
        machine.wait(watch.round())
        Snapshot.objects.update(started_at=Now() - timedelta(seconds=60))
        rounds += 1
    assert bare is not None
    assert rounds <= 2  # orders are read at every second look
    assert 0 < watch.round() <= LADDER
    Position.objects.update(unprotected_since=Now() - timedelta(seconds=2))
    watch.round()
    stop = Order.objects.get(role=Role.STOP, parent=None)
    assert stop.status == OrderStatus.WORKING
    assert watch.round() == LADDER or Position.objects.get().unprotected_since is None


def test_a_missing_stop_is_replaced_while_the_executions_cannot_be_read(
    desk: Desk, machine: Clockwork, calls, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> None:
        calls["fills"] += 1
        raise ReadFailed("HTTP 500")

    desk.venue.faults.add(Legless(count=2))
    desk.send(desk.pair())
    watch = Watch(desk.account.pk)
    turn(watch, machine, seconds=4)
    monkeypatch.setattr(desk.broker, "fills", fail)
    desk.minute(22, 25, 21, 22)  # the buy stop at +20 fills
    turn(watch, machine, seconds=4)
    Position.objects.update(unprotected_since=Now() - timedelta(seconds=2))
    watch.round()
    stop = Order.objects.get(role=Role.STOP, parent=None)
    assert (stop.status, stop.quantity) == (OrderStatus.WORKING, 3)
    watch.forget()
    watch.round()
    assert Position.objects.get().unprotected_since is None
    calls.clear()
    turn(watch, machine, seconds=60)
    assert watch.exposed
    assert sum(calls.values()) <= GUARD * 0.9


def test_a_reader_that_hangs_holds_the_stop_check_up_for_a_second(
    desk: Desk, machine: Clockwork, monkeypatch: pytest.MonkeyPatch
):
    entry = long_position(desk)
    watch = Watch(desk.account.pk)
    turn(watch, machine, seconds=4)
    monkeypatch.setattr(snapshots, "time", machine)
    assert leases.take(f"snapshot:{desk.account.pk}", seconds=20)
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    began_at = machine.monotonic()
    while Position.objects.get().unprotected_since is None:
        assert machine.monotonic() - began_at < 4
        machine.wait(watch.round())


def watch_of_a_bare_position(desk: Desk) -> Watch:
    """Return a watch that has just seen that a stop is gone."""
    entry = long_position(desk)
    watch = Watch(desk.account.pk)
    watch.round()
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    watch.forget()
    Snapshot.objects.update(started_at=Now() - timedelta(seconds=60))
    watch.round()
    return watch


def test_the_ladder_costs_one_read_a_second_between_its_steps(desk: Desk, machine: Clockwork, calls):
    watch = watch_of_a_bare_position(desk)
    calls.clear()
    watch.round()
    assert calls == {"orders_in_flight": 1}


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("answers_after", [0.0, 0.3])
def test_the_close_comes_when_it_is_due_however_long_the_venue_takes(
    desk: Desk, machine: Clockwork, monkeypatch: pytest.MonkeyPatch, answers_after: float, dies: bool
):
    """Nine seconds without a stop, and four more if guard dies between its claim to close and the call."""
    machine = Running()
    monkeypatch.setattr(watching, "time", machine)
    monkeypatch.setattr(protection, "time", machine)
    began_at, day = machine.monotonic(), desk.now
    monkeypatch.setattr(watching, "now", lambda: day + timedelta(seconds=machine.monotonic() - began_at))
    monkeypatch.setattr(watching, "LADDER", 5.0)
    watch = watch_of_a_bare_position(desk)
    due = machine.monotonic() + 9
    desk.broker.lose, desk.broker.reaches = 99, False
    acts: list[str] = []

    def passes(seconds: float) -> None:
        machine.wait(seconds)
        back = timedelta(seconds=seconds)
        Position.objects.update(
            unprotected_since=F("unprotected_since") - back, close_sent_at=F("close_sent_at") - back
        )
        Order.objects.update(status_at=F("status_at") - back)
        OrderEvent.objects.update(machine_at=F("machine_at") - back)
        Snapshot.objects.update(started_at=F("started_at") - back)

    def slow(call: Any) -> Any:
        def answer(*args: Any, **options: Any) -> Any:
            passes(answers_after)
            return call(*args, **options)

        return answer

    def close(*args: Any, **options: Any) -> Any:
        acts.append("close")
        return SimulatedBroker.close(desk.broker, *args, **options)

    def point(name: str) -> None:
        if dies and not acts:
            acts.append("death")
            raise ProcessLookupError(name)

    for name in ("orders_in_flight", "positions"):
        monkeypatch.setattr(desk.broker, name, slow(getattr(desk.broker, name)))
    monkeypatch.setattr(desk.broker, "close", close)
    monkeypatch.setattr(protection, "point", point)
    ended_at = woken_at = machine.monotonic()
    while "close" not in acts and machine.monotonic() < began_at + 40:
        before, started_at = len(acts), machine.monotonic()
        try:
            wait = watch.round()
        except ProcessLookupError:
            watch, wait = Watch(desk.account.pk), 0.5
        if len(acts) > before:
            assert woken_at <= max(due, ended_at) + 1.0
            due = machine.monotonic() + 4
        ended_at = machine.monotonic()
        woken_at = max(ended_at, started_at + wait)  # an activity waits from its round's start
        passes(woken_at - ended_at)
    assert acts == (["death", "close"] if dies else ["close"])


def test_a_close_that_cannot_leave_is_tried_once_a_second(desk: Desk, machine: Clockwork, monkeypatch):
    watch = watch_of_a_bare_position(desk)
    tries: list[int] = []

    def close(*args: Any, **options: Any) -> None:
        tries.append(1)
        raise NotSent("no connection")

    monkeypatch.setattr(desk.broker, "close", close)
    Position.objects.update(unprotected_since=Now() - timedelta(seconds=9.5))
    assert [watch.round(), watch.round()] == [LADDER, LADDER]
    assert len(tries) == 2


def test_at_the_flat_time_the_account_is_flattened(desk: Desk, machine: Clockwork):
    long_position(desk)
    watch = Watch(desk.account.pk)
    watch.round()
    desk.now = datetime(2026, 11, 18, 21, 0, 1, tzinfo=UTC)
    for _ in range(4):
        machine.wait(watch.round())
        Account.objects.filter(flat_seen_at__isnull=False).update(flat_seen_at=Now() - timedelta(seconds=3))
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    assert not Order.objects.live().exists()
    assert Account.objects.get().flatten_requested_at is None


def test_an_entry_that_waits_to_be_sent_is_left_to_the_workers(desk: Desk, machine: Clockwork, calls):
    desk.pair()
    Order.objects.get(role=Role.ENTRY, side=1).events.update(machine_at=Now() - timedelta(seconds=60))
    turn(Watch(desk.account.pk), machine, seconds=10)
    assert set(Order.objects.filter(role=Role.ENTRY).values_list("status", "attempt")) == {("new", 0)}
    assert calls["place"] == 0


def test_a_stop_that_waits_to_be_sent_is_sent(desk: Desk, machine: Clockwork):
    long_position(desk)
    (stop,) = orders.protect(
        desk.account, desk.contract, stop=desk.spec.price(83_900), target=None, now=desk.now, by="test"
    )
    stop.events.update(machine_at=Now() - timedelta(seconds=3))
    Watch(desk.account.pk).round()
    stop.refresh_from_db()
    assert stop.attempt == 1


def test_an_abandoned_entry_that_filled_after_all_is_closed(desk: Desk, machine: Clockwork):
    buy = desk.pair().orders.get(role="entry", side=1)
    desk.broker.lose = 1
    orders.send(buy, now=desk.now)
    Order.objects.filter(pk=buy.pk).update(status=OrderStatus.ABANDONED)
    desk.minute(22, 25, 21, 22)
    watch = Watch(desk.account.pk)
    for _ in range(8):
        machine.wait(watch.round())
        Account.objects.filter(flat_seen_at__isnull=False).update(flat_seen_at=Now() - timedelta(seconds=3))
    buy.refresh_from_db()
    assert (buy.status, buy.filled) == (OrderStatus.FILLED, 3)
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    assert Notification.objects.filter(title__endswith=": flattening").count() == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"lane": Lane.PLACE},
        {},  # the port's own lane of a placement
        {"lane": Lane.STOP, "bracket": True},
    ],
)
def test_its_client_has_no_way_to_send_an_entry(request_: dict[str, Any]):
    way = gateway.Gateway("http://127.0.0.1:1", LocalBudget(GUARD), observe=lambda call: None, wall=lambda: 0.0)
    client = NeverEnters(way, session.MemoryTokens(session.Login(way, "demo", "demo")))
    from brokers.base import BracketTicks

    order = PlaceOrder(
        account_id=1,
        contract_id="CON.F.US.MNQ.Z26",
        tag="tb-1",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=1,
        bracket=BracketTicks(40) if request_.pop("bracket", False) else None,
    )
    with pytest.raises(NotSent, match="guard sends no entries"):
        client.place(order, **request_)


class Stored:
    """The row's token as it was last seen."""

    last = "stored"


class Venue:
    """Gives a new token with every login."""

    logins = 0

    def login(self) -> str:
        self.logins += 1
        return f"own {self.logins}"


def test_the_token_outlives_the_row():
    tokens = MemoryTokens(Stored(), Venue())
    assert tokens.get() == "stored"
    assert (tokens.renew("stored"), tokens.get()) == ("own 1", "own 1")


def test_a_token_that_was_stored_since_goes_before_an_own_one():
    stored, venue = Stored(), Venue()
    tokens = MemoryTokens(stored, venue)
    tokens.renew("stored")
    stored.last = "stored later"
    assert tokens.get() == "stored later"


def test_a_token_that_was_refused_is_not_tried_again():
    venue = Venue()
    tokens = MemoryTokens(Stored(), venue)
    tokens.renew("stored")
    assert (tokens.renew("own 1"), tokens.get()) == ("own 2", "own 2")
    assert (tokens.renew("stored"), venue.logins) == ("own 2", 2)  # another thread was refused meanwhile
