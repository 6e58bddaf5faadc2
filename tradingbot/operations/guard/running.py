"""Guard as a process: who leads, what runs, what happens when PostgreSQL goes away or the machine has slept."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.db import Error

from tradingbot.clock import clock, now, period
from tradingbot.models import Account, Login
from tradingbot.operations import heartbeats, hints, leases, orders, sessions, venues
from tradingbot.operations.bars import counting
from tradingbot.operations.guard import needs, pacing
from tradingbot.operations.guard.activities import Activity
from tradingbot.operations.guard.clients import Clients
from tradingbot.operations.guard.journal import Journal
from tradingbot.operations.guard.remembering import Alone
from tradingbot.operations.guard.watching import Watch

log = logging.getLogger(__name__)

LEASE = 10.0
KEEP_HOUSE = 1.0
LOST, HUNG = 2.0, 4.0
"""Seconds since PostgreSQL last answered after which guard goes on from memory: with an error, and without a word."""
HEARTBEAT, HANGS = 10.0, 45.0
"""Seconds between two signs of life; none is given while a part of guard has not ended a round for so long."""
STEPS, STEPS_OF_OTHERS = 5.0, 10.0
"""Seconds between two looks at due steps, and for which a due step is left to the workers."""
LEAVE = 5.0
"""Seconds that the acts in hand get when guard is to end; one call to the venue takes 2.5 at most."""
SLEPT = 5.0
"""Seconds that a tenth of a second may take before the machine must have slept."""
TICK, LOOK_OUT = 0.1, 0.5


@dataclass(slots=True)
class Ward:
    """What guard has going for one account."""

    watch: Watch
    alone: Alone
    login_id: int
    activities: list[Activity] = field(default_factory=list)


class Guard:
    """Watches every account of the logins that it leads; a second guard on the same database stands by."""

    def __init__(self, var: Path) -> None:
        self.journal = Journal(var / "guard.jsonl")
        self._clients = Clients()
        self._fences: dict[int, int] = {}
        self._wards: dict[int, Ward] = {}
        self._ending = threading.Event()
        self._beat_at = float("-inf")
        self._standing_by: set[str] = set()
        self._house = Activity("guard", self._keep_house)
        self._steps = Activity("session steps", self._run_steps)
        venues.make_with(self._clients.make)
        hints.keep_silent()
        counting.keep_alone()

    def end(self) -> None:
        """Let `run` return after the acts in hand."""
        self._ending.set()

    def run(self) -> None:
        """Guard until `end` is called."""
        log.info("guard starts; it cancels, closes and places stops, and never enters")
        self._house.start()
        self._steps.start()
        at, wall = time.monotonic(), _wall()
        while not self._ending.wait(TICK):
            passed, passed_wall = time.monotonic() - at, _wall() - wall
            at, wall = at + passed, wall + passed_wall
            if max(passed, passed_wall) > SLEPT:
                self._wake(max(passed, passed_wall))
        self._stop()

    def _stop(self) -> None:
        activities = [self._house, self._steps, *self._of_wards()]
        for activity in activities:
            activity.end()
        give_up_at = time.monotonic() + LEAVE
        for activity in activities:
            activity.join(max(0.0, give_up_at - time.monotonic()))
        hanging = [activity.name for activity in activities if activity.is_alive()]
        if hanging:
            log.warning("guard ends while %s still wait for an answer", ", ".join(hanging))
        elif not self._away:
            self._give_leases_back()
        log.info("guard has ended; stops and targets rest at the venue")

    def _wake(self, seconds: float) -> None:
        """Take nothing for known after the machine, or this process, stood still."""
        log.warning("nothing ran for %.0f s: reading everything again before acting", seconds)
        for ward in tuple(self._wards.values()):
            ward.watch.forget()
            ward.alone.forget()
        for activity in (self._house, *self._of_wards()):
            activity.hurry()

    def _of_wards(self) -> list[Activity]:
        return [activity for ward in tuple(self._wards.values()) for activity in ward.activities]

    # --- with PostgreSQL

    def _keep_house(self) -> float:
        """Hold the leases, follow the accounts, end claims of the dead, give a sign of life, book the journal."""
        led = [login for login in Login.objects.filter(enabled=True) if self._leads(login)]
        accounts = Account.objects.filter(enabled=True, login__in=led).select_related("login")
        wanted = {account.pk: account for account in accounts}
        for account_id in set(self._wards) - set(wanted):
            self._leave(account_id)
        for account_id, account in wanted.items():
            if account_id not in self._wards:
                self._take(account)
        orders.expire_claims(now=now())
        needs.check(led, now=now())
        hanging = [activity.name for activity in self._of_wards() if time.monotonic() - activity.went_well_at > HANGS]
        if led and not hanging and time.monotonic() - self._beat_at >= HEARTBEAT:
            heartbeats.beat("guard", note=self._note(led))
            self._clients.tally.flush()
            self._beat_at = time.monotonic()
        if self.journal.waits and (booked := self.journal.book()):
            log.warning("%d act(s) of the time without PostgreSQL are booked", booked)
            for ward in self._wards.values():
                ward.watch.forget()
        return KEEP_HOUSE

    def _leads(self, login: Login) -> bool:
        name = f"guard:{login.pk}"
        fence = self._fences.get(login.pk)
        if fence is not None and leases.renew(name, fence, seconds=LEASE):
            return True
        fence = leases.take(name, seconds=LEASE)
        if fence is None:
            if self._fences.pop(login.pk, None) is not None or login.name not in self._standing_by:
                log.warning("%s is guarded by another process; this one stands by", login)
            self._standing_by.add(login.name)
            return False
        self._fences[login.pk] = fence
        self._standing_by.discard(login.name)
        log.info("guarding %s", login)
        return True

    def _take(self, account: Account) -> None:
        watch = Watch(account.pk, lambda: self._stretch(ward))
        ward = Ward(watch, Alone(self.journal, self._clients.without_rows), account.login_id)
        ward.activities = [
            Activity(str(account), lambda: ward.alone.settling or ward.watch.round()),
            Activity(f"{account} from memory", lambda: self._go_on(ward)),
        ]
        self._wards[account.pk] = ward
        for activity in ward.activities:
            activity.start()
        log.info("watching %s", account)

    def _leave(self, account_id: int) -> None:
        ward = self._wards.pop(account_id)
        for activity in ward.activities:
            activity.end()
        log.info("no longer watching %s", ward.watch.plan.name if ward.watch.plan else account_id)

    def _stretch(self, ward: Ward) -> float:
        watches = [other.watch for other in self._of_login(ward)]
        return pacing.stretch(ward.watch, watches, spent=self._clients.spent(ward.login_id))

    def _of_login(self, ward: Ward) -> list[Ward]:
        return [other for other in tuple(self._wards.values()) if other.login_id == ward.login_id]

    def _run_steps(self) -> float:
        if self._fences and clock.started():
            sessions.due(now=now(), left_for=timedelta(seconds=STEPS_OF_OTHERS * clock.speed))
        return period(STEPS)

    def _note(self, led: list[Login]) -> str:
        exposed = sum(ward.watch.exposed for ward in self._wards.values())
        return (
            f"{len(self._wards)} account(s) of {', '.join(login.name for login in led)}, {exposed} exposed, "
            f"{sum(map(self._clients.spent, self._fences))} requests in the last minute"
        )

    def _give_leases_back(self) -> None:
        try:
            for login_id, fence in self._fences.items():
                leases.give_back(f"guard:{login_id}", fence)
        except Error as error:
            log.warning("the leases run out by themselves: %s", error)

    # --- without

    @property
    def _away(self) -> bool:
        """Whether PostgreSQL has not answered for so long that memory is all there is."""
        return time.monotonic() - self._house.answered_at > (LOST if self._house.lost else HUNG)

    def _go_on(self, ward: Ward) -> float:
        """Look after one account from memory while PostgreSQL does not answer."""
        if ward.watch.plan is None or not self._away:
            ward.alone.forget()
            return LOOK_OUT
        ward.alone.round(ward.watch.plan, now=now())
        return period(pacing.alone(ward.alone, [other.alone for other in self._of_login(ward)]))


def _wall() -> float:
    return time.time()  # noqa: TID251  held against the monotonic clock, which stands while the machine sleeps
