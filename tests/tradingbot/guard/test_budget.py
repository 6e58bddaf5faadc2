"""What guard may send in a minute: enough to look at every account of a login, and always enough for a close."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.db.models import F

from brokers.base import Broker, FillReport, Lane, NotSent, OrderReport, OverBudget, PlaceOrder, PositionReport
from brokers.budget import GUARD, LocalBudget
from market.orders import Role
from tests.tradingbot.guard.clockwork import Clockwork, Running
from tests.tradingbot.operations.orders.desk import Desk, LosingBroker
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot.models import Account, Order, OrderEvent, Position, Snapshot
from tradingbot.operations import accounts, protection, reconciliation, snapshots, venues
from tradingbot.operations.guard import clients, pacing, remembering, watching
from tradingbot.operations.guard.activities import AGAIN
from tradingbot.operations.guard.journal import Journal
from tradingbot.operations.guard.remembering import Alone
from tradingbot.operations.guard.watching import Watch, learn

REQUEST = 0.1
"""Seconds that the venue takes to answer."""


class MeteredBroker(LosingBroker):
    """The venue behind guard's budget; `sent`: what left when, in which lane."""

    def meter(self, machine: Clockwork, budget: LocalBudget) -> None:
        self.machine, self.budget = machine, budget
        self.sent: list[tuple[float, str, Lane]] = []

    def _send(self, what: str, lane: Lane, *, wait: bool) -> None:
        self.budget.take(lane, wait=wait)
        self.sent.append((self.machine.monotonic(), what, lane))
        self.machine.wait(REQUEST)

    def place(self, order: PlaceOrder, *, lane: Lane = Lane.PLACE) -> int:
        self._send("place", lane, wait=False)
        return super().place(order, lane=lane)

    def cancel(self, account_id: int, order_id: int) -> None:
        self._send("cancel", Lane.CANCEL, wait=False)
        super().cancel(account_id, order_id)

    def close(self, account_id: int, contract_id: str, quantity: int | None = None) -> None:
        self._send("close", Lane.CANCEL, wait=False)
        super().close(account_id, contract_id, quantity)

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        self._send("orders", lane, wait=True)
        return super().orders_in_flight(account_id, lane=lane)

    def orders_between(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[OrderReport]:
        self._send("history", lane, wait=True)
        return super().orders_between(account_id, start, end, lane=lane)

    def positions(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[PositionReport]:
        self._send("positions", lane, wait=True)
        return super().positions(account_id, lane=lane)

    def fills(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[FillReport]:
        self._send("fills", lane, wait=True)
        return super().fills(account_id, start, end, lane=lane)


def metered(desk: Desk, machine: Clockwork, requests: int = GUARD) -> MeteredBroker:
    broker = MeteredBroker(desk.venue, lambda: desk.now)
    broker.meter(machine, LocalBudget(requests, clock=machine.monotonic, sleep=machine.wait))
    venues.use(desk.account.login, broker)
    return broker


def accounts_of(desk: Desk, *, exposed: int, idle: int) -> list[Account]:
    """Return so many accounts of the login with a protected position, and so many with nothing."""
    for number in range(1, exposed + idle):
        desk.venue.open_account(f"50KTC-V2-2-{number}", Decimal(50_000), desk.now)
    accounts.discover(desk.account.login, now=desk.now)
    found = list(Account.objects.select_related("login").order_by("pk"))
    for account in found:
        desk.account = account
        desk.look()
        if account in found[:exposed]:
            long_position(desk)
            desk.settle()
    return found


@dataclass
class Looks:
    """When each account was looked at, and how often the budget said no."""

    at: dict[int, list[float]]
    over: int = 0

    def longest(self, account: Account) -> float:
        return max(later - earlier for earlier, later in pairwise(self.at[account.pk]))


def look_after(watched: list[Account], machine: Clockwork, broker: MeteredBroker, *, seconds: float) -> Looks:
    """Let guard look after accounts alone: nobody else reads the venue."""
    watches: dict[int, Watch] = {}
    looks = Looks({account.pk: [machine.monotonic()] for account in watched})
    for account in watched:
        watches[account.pk] = Watch(
            account.pk,
            lambda pk=account.pk: pacing.stretch(watches[pk], watches.values(), spent=broker.budget.spent),
        )

    def round(pk: int) -> float:
        Snapshot.objects.update(started_at=F("started_at") - timedelta(seconds=60))
        return watches[pk].round()

    go_on(looks, machine, broker, round, seconds=seconds)
    return looks


def go_on(
    looks: Looks, machine: Clockwork, broker: MeteredBroker, round: Callable[[int], float], *, seconds: float
) -> None:
    """Let rounds follow each other as the activities do, and note when each account was read."""
    until = machine.monotonic() + seconds
    due = [(machine.monotonic() + number * 0.3, pk) for number, pk in enumerate(looks.at)]
    while due[0][0] < until:
        at, pk = heapq.heappop(due)
        machine.wait(max(0.0, at - machine.monotonic()))
        began_at, before = machine.monotonic(), len(broker.sent)
        try:
            wait = round(pk)
            if len(broker.sent) > before:
                looks.at[pk].append(machine.monotonic())
        except OverBudget:
            looks.over, wait = looks.over + 1, AGAIN
        heapq.heappush(due, (max(machine.monotonic(), began_at + wait), pk))
    for times in looks.at.values():
        times.append(until)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Clockwork:
    """The machine's time, for the age of what was read as well."""
    clockwork = Clockwork()
    began_at, machine_now = clockwork.monotonic(), snapshots.machine_now
    monkeypatch.setattr(watching, "time", clockwork)
    monkeypatch.setattr(watching, "now", lambda: desk.now)
    monkeypatch.setattr(
        snapshots, "machine_now", lambda: machine_now() + timedelta(seconds=clockwork.monotonic() - began_at)
    )
    return clockwork


@pytest.mark.parametrize(("idle", "most"), [(0, 6.0), (1, 6.0), (4, 8.0)])
def test_idle_accounts_do_not_use_up_what_the_exposed_one_needs(desk: Desk, machine: Clockwork, idle: int, most: float):
    exposed, *others = accounts_of(desk, exposed=1, idle=idle)
    looks = look_after([*others, exposed], machine, metered(desk, machine), seconds=125)
    assert (looks.over, looks.longest(exposed) <= most) == (0, True)
    assert all(looks.longest(account) <= 62 for account in others)


def test_five_exposed_accounts_are_each_looked_at_every_fifteen_seconds(desk: Desk, machine: Clockwork):
    exposed = accounts_of(desk, exposed=5, idle=0)
    looks = look_after(exposed, machine, metered(desk, machine), seconds=240)
    assert max(looks.longest(account) for account in exposed) <= 24  # now and then all of them read everything at once
    gaps = [later - earlier for account in exposed for earlier, later in pairwise(looks.at[account.pk])]
    assert sum(gap <= 15.5 for gap in gaps) >= len(gaps) * 0.9


@pytest.mark.parametrize("idle", [1, 2, 5])
def test_idle_accounts_share_one_look_in_five_seconds(desk: Desk, machine: Clockwork, idle: int):
    watched = accounts_of(desk, exposed=0, idle=idle)
    looks = look_after(watched, machine, metered(desk, machine), seconds=125)
    assert looks.over == 0
    assert max(looks.longest(account) for account in watched) <= 5 * idle + 1.5  # rows are looked at each second


@pytest.mark.parametrize(("exposed", "idle", "most"), [(1, 0, 2.5), (1, 4, 2.5), (5, 0, 6.5), (0, 5, 25.5)])
def test_from_memory_every_account_is_looked_at_in_time(
    desk: Desk, machine: Clockwork, monkeypatch: pytest.MonkeyPatch, tmp_path, exposed: int, idle: int, most: float
):
    monkeypatch.setattr(remembering, "time", machine)
    watched = accounts_of(desk, exposed=exposed, idle=idle)
    plans = {account.pk: learn(account, now=desk.now) for account in watched}
    broker = metered(desk, machine, requests=clients.WITHOUT_ROWS)
    journal = Journal(tmp_path / "guard.jsonl")
    ones = {account.pk: Alone(journal, lambda login: broker) for account in watched}
    looks = Looks({account.pk: [machine.monotonic()] for account in watched})

    def round(pk: int) -> float:
        ones[pk].round(plans[pk], now=desk.now)
        return pacing.alone(ones[pk], ones.values())

    go_on(looks, machine, broker, round, seconds=125)
    assert looks.over == 0
    assert max(looks.longest(account) for account in watched[: exposed or None]) <= most


def test_what_the_looks_with_postgresql_have_spent_holds_up_none_without(desk: Desk):
    ours, login = clients.Clients(), desk.account.login
    with_rows = ours.make(login)  # to an address where nobody answers
    venues.use(login, with_rows)

    def is_over(broker: Broker) -> bool:
        try:
            broker.positions(1)
        except NotSent as error:
            return isinstance(error, OverBudget)
        pytest.fail("somebody answered")

    assert any(is_over(with_rows) for _ in range(GUARD + 1))
    assert not is_over(ours.without_rows(login))


class Wound(Running):
    """Winds on what PostgreSQL dates, too."""

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        back = timedelta(seconds=seconds)
        Position.objects.update(
            unprotected_since=F("unprotected_since") - back, close_sent_at=F("close_sent_at") - back
        )
        Order.objects.update(status_at=F("status_at") - back)
        OrderEvent.objects.update(machine_at=F("machine_at") - back)
        Snapshot.objects.update(started_at=F("started_at") - back)


def test_a_ladder_closes_in_time_though_the_looks_before_it_have_used_up_their_share(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """No stop can be had, and nothing leaves the window meanwhile: one is tried, and the close waits for no read."""
    machine = Wound()
    began_at, day = machine.monotonic(), desk.now + timedelta(seconds=60)
    for module in (watching, protection):
        monkeypatch.setattr(module, "time", machine)
    monkeypatch.setattr(watching, "now", lambda: day + timedelta(seconds=machine.monotonic() - began_at))
    entry = long_position(desk)
    watch = Watch(desk.account.pk)
    watch.round()
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    reconciliation.reconcile(desk.account, now=day, max_age=0)
    watch.forget()
    watch.round()
    assert Position.objects.get().unprotected_since is not None
    broker, bare_at = metered(desk, machine), machine.monotonic()
    broker.lose, broker.reaches = 99, False
    while not broker.budget.attempt(Lane.RECONCILE):
        pass
    while "close" not in [what for _, what, _ in broker.sent] and machine.monotonic() < bare_at + 30:
        started_at = machine.monotonic()
        try:
            wait = watch.round()
        except OverBudget:
            wait = AGAIN
        machine.wait(max(0.0, started_at + wait - machine.monotonic()))
    closed_at, *more = [at - bare_at for at, what, _ in broker.sent if what == "close"]
    assert more == []
    assert 8.9 <= closed_at < 11  # a read that its budget refuses is tried again after a second
    assert "place" in [what for _, what, _ in broker.sent]
