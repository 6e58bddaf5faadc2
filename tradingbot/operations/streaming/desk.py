"""The user hub's thread: every event stored as it came, then booked; nothing is ever left out of it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connections
from msgspec import Raw

from brokers.base import ReadFailed
from brokers.projectx.hubs import UserEvent, decode
from tradingbot.models import Account, Login, StreamEvent
from tradingbot.operations.streaming.booking import Arrived, Booking, Outcome
from tradingbot.operations.streaming.hinting import Hinter

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Events kept while PostgreSQL is away; beyond that the oldest are left to REST, which has them all."""
_A_BATCH = 200
_PAUSE = 0.5
_LOOK = 0.05
_LONGEST_RECORD = 20_000


@dataclass(frozen=True, slots=True)
class Received:
    """One event as it came; no arguments for a message that is none."""

    target: str
    arguments: list[Raw]
    record: bytes
    at: float


@dataclass(frozen=True, slots=True)
class _Read:
    received: Received
    event: UserEvent | None
    problem: str = ""


class Desk:
    """Takes events from the loop and books them in a thread of its own.

    now      market time
    fence    of the lease under which we book, None while we hold none
    """

    def __init__(self, login: Login, hinter: Hinter, *, now: Callable[[], datetime]) -> None:
        self.booking = Booking(login)
        self.events = self.booked = self.unreadable = self.dropped = 0
        self.fence: int | None = None
        self.seconds: deque[float] = deque(maxlen=1000)
        self._login = login
        self._hinter = hinter
        self._now = now
        self._waiting: queue.SimpleQueue[Received | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="booking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Book what has come and end."""
        self._waiting.put(None)
        self._thread.join(20)

    def give(self, received: Received) -> None:
        """Take one event; returns at once."""
        if self._waiting.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.put(received)

    def _work(self) -> None:
        ending = False
        while not ending:
            batch = self._next()
            ending = None in batch
            self._book([_read(one) for one in batch if one is not None])
        connections.close_all()

    def _next(self) -> list[Received | None]:
        """Return what has come, None among it when that was all; empty when only what is parked is to be looked at."""
        batch: list[Received | None] = []
        with suppress(queue.Empty):
            batch.append(self._waiting.get(timeout=_LOOK if self.booking.waits else None))
            while len(batch) < _A_BATCH:
                batch.append(self._waiting.get_nowait())
        return batch

    def _book(self, batch: list[_Read]) -> None:
        """Store and book; tried again for as long as PostgreSQL is away."""
        stored = False
        while True:
            close_old_connections()
            try:
                if not stored:
                    self._store(batch)
                    stored = True
                arrived = [Arrived(one.event, one.received.at) for one in batch if one.event is not None]
                self._tell(self.booking.take(arrived, now=self._now()), [one.received for one in batch])
            except (OperationalError, InterfaceError) as error:
                log.warning("events wait: %s", str(error).splitlines()[0])
                time.sleep(_PAUSE)
            except Exception:  # whatever it is, the next events must be booked
                log.exception("%d event(s) are left to the check by REST", len(batch))
                self._ask_rest(time.monotonic())
                return
            else:
                return

    def _store(self, batch: list[_Read]) -> None:
        StreamEvent.objects.bulk_create([self._row(one) for one in batch])
        self.events += len(batch)
        for one in batch:
            if one.event is None:
                self.unreadable += 1
                log.warning("an event that cannot be read: %s", one.problem)
                self._ask_rest(one.received.at)

    def _row(self, one: _Read) -> StreamEvent:
        record = one.received.record[:_LONGEST_RECORD].decode(errors="replace").replace("\x00", "\ufffd")
        return StreamEvent(
            login=self._login,
            fence=self.fence or 0,
            target=one.received.target[:40],
            record=record,
            problem=one.problem[:200],
        )

    def _tell(self, outcome: Outcome, batch: list[Received]) -> None:
        """Ask for what follows, one message for a booking: stops compared, a pending cancel sent, differences read."""
        done = time.monotonic()
        if outcome.booked.total():
            self.booked += outcome.booked.total()
            self.seconds.append(done - min((one.at for one in batch), default=done))
        booked = {account for account, number in outcome.booked.items() if number}
        for account in booked:
            self._hinter.give("critical.after_fills", caused_at=done, account_id=account.pk)
        for account in outcome.check - booked:
            self._hinter.give("critical.check_fills", caused_at=done, account_id=account.pk)
        for account in outcome.balance:
            self._hinter.give("high.update_balance", caused_at=done, account_id=account.pk)

    def _ask_rest(self, caused_at: float) -> None:
        try:
            accounts = list(Account.objects.filter(login=self._login, enabled=True).values_list("pk", flat=True))
        except DatabaseError:
            return  # the next tick asks
        for account_id in accounts:
            self._hinter.give("critical.check_fills", caused_at=caused_at, account_id=account_id)


def _read(received: Received) -> _Read:
    try:
        return _Read(received, decode(received.target, received.arguments))
    except ReadFailed as error:
        return _Read(received, None, str(error))
