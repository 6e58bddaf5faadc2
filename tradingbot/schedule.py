"""Every beat entry on one page, and the beat that runs them: one leader, in market time, entries only from here."""

from __future__ import annotations

import logging
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery.schedules import schedule
from celery.signals import beat_init
from django.db import DatabaseError, connections, transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from tradingbot import queues
from tradingbot.clock import period
from tradingbot.operations import heartbeats

log = logging.getLogger(__name__)

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Every:
    """A hint every `seconds` of market time (`machine`: of the machine's); nobody starts one that waited as long."""

    task: str
    seconds: int
    name: str = ""
    kwargs: str = "{}"
    machine: bool = False

    @property
    def title(self) -> str:
        return self.name or self.task

    @property
    def expires(self) -> int:
        return max(1, self.seconds - 1)

    def scaled(self, seconds: float) -> float:
        """Return machine seconds for `seconds` of this entry's time."""
        return seconds if self.machine else period(seconds)


ENTRIES = (
    Every("critical.sweep", 5),
    Every("critical.check_fills", 30),
    Every("critical.check_fills", 5, "critical.check_fills while exposed", '{"exposed": true}'),
    Every("critical.check_protection", 10),
    Every(
        "critical.check_protection",
        2,
        "critical.check_protection without a stop",
        '{"unprotected": true}',
        machine=True,
    ),
    Every("critical.flatten_due", 15),
    Every("high.update_balance", MINUTE),
    Every("high.check_risk", MINUTE),
    Every("high.due_steps", 5),
    Every("high.reconcile", 30),
    Every("normal.bars_due", 5),
    Every("normal.fetch_bars", HOUR),
    Every("normal.connect", 30, machine=True),
    Every("low.deliver_notifications", 5),
    Every("low.snapshot_metrics", 5 * MINUTE, machine=True),
    Every("background.clean_up", 6 * HOUR),
    Every("background.extend_calendar", 6 * HOUR),
    Every("background.roll_contracts", HOUR),
    Every("background.backtest", MINUTE, machine=True),
    *(Every(f"{queue}.canary", 30, machine=True) for queue in ("critical", "high", "normal", "low", "background")),
)
CAPTURE = "capture the overnight range, 09:30 New York"
"""One more hint to `high.due_steps`, so that the schedule shows it; the session's step is what makes it happen."""

_BY_TITLE = {entry.title: entry for entry in ENTRIES}
_LOCK = 0x7462_6265_6174  # one number for all beats on one database
_STANDBY = 1.0
_HEARTBEAT = 10.0
_LEAST_EXPIRY = 1.0  # seconds: at 30x the interval itself would be too short to be picked up in


@beat_init.connect
def stop_between_ticks(sender: Any, **_: Any) -> None:
    """End after the tick in hand. Celery's own handler raises inside of it, where a library may swallow the exit."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())


def sync_entries() -> None:
    """Make the stored entries those of this page; others are deleted."""
    with transaction.atomic():
        PeriodicTask.objects.exclude(name__in=[*_BY_TITLE, CAPTURE]).delete()
        for entry in ENTRIES:
            interval = IntervalSchedule.objects.filter(every=entry.seconds, period=IntervalSchedule.SECONDS).first()
            _store(
                entry.title,
                entry.task,
                kwargs=entry.kwargs,
                expire_seconds=entry.expires,
                interval=interval
                or IntervalSchedule.objects.create(every=entry.seconds, period=IntervalSchedule.SECONDS),
                crontab=None,
            )
        clock, _ = CrontabSchedule.objects.get_or_create(
            minute="30",
            hour="9",
            day_of_week="mon-fri",
            day_of_month="*",
            month_of_year="*",
            timezone="America/New_York",
        )
        _store(CAPTURE, "high.due_steps", kwargs="{}", expire_seconds=MINUTE, interval=None, crontab=clock)


def _store(title: str, task: str, **fields: Any) -> None:
    wanted = {"task": f"tradingbot.tasks.{task}", "enabled": True, "one_off": False, "queue": None, **fields}
    stored = PeriodicTask.objects.filter(name=title).first() or PeriodicTask(name=title)
    if stored.pk is None or any(getattr(stored, field) != value for field, value in wanted.items()):
        for field, value in wanted.items():
            setattr(stored, field, value)
        stored.save()


class Entry(ModelEntry):
    """A stored entry whose interval and expiry are market time, as the clock runs."""

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        super().__init__(model, app=app)
        entry = _BY_TITLE.get(model.name)
        if entry is not None:
            self.schedule = schedule(timedelta(seconds=entry.scaled(entry.seconds)), app=self.app)
            self.options["expires"] = max(_LEAST_EXPIRY, entry.scaled(entry.expires))


class Leadership:
    """The lock that one beat holds, on a connection of its own: when that breaks, so does the leadership."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._asked_at = float("-inf")
        self._held = False

    def held(self) -> bool:
        """Return whether this process leads; asks PostgreSQL at most once a second."""
        if time.monotonic() - self._asked_at >= _STANDBY:
            self._asked_at = time.monotonic()
            self._held = self._ask()
        return self._held

    def give_up(self) -> None:
        """Let another beat lead, at once."""
        if self._connection is None:
            return
        try:
            if self._held:
                with self._connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
        except DatabaseError as error:
            log.debug("the lock went with its connection: %s", error)
        self._held = False
        self._connection.close()
        self._connection = None

    def _ask(self) -> bool:
        try:
            if self._connection is None:
                self._connection = connections["default"].copy()
            with self._connection.cursor() as cursor:
                if self._held:
                    cursor.execute("SELECT 1")  # the lock lives as long as this connection
                    return True
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
                return bool(cursor.fetchone()[0])
        except DatabaseError as error:
            if self._held:
                log.warning("leadership lost: %s", str(error).partition("\n")[0])
            self.give_up()
            return False


class Scheduler(DatabaseScheduler):
    """Beat over the entries of this page; a second one stands by until the first is gone."""

    Entry = Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.leadership = Leadership()
        self._leads = False
        self._beat_at = float("-inf")
        super().__init__(*args, **kwargs)
        self.max_interval = _STANDBY

    def setup_schedule(self) -> None:
        """Do nothing: entries are stored by the one that leads, when it begins to."""

    def schedule_changed(self) -> bool:
        """Return False: only the one that leads stores entries, when it begins to."""
        return False

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self.leadership.held():
            self._leads = False
            return _STANDBY
        if not self._leads:
            connections["default"].close()  # it may have died while this beat stood by
            sync_entries()
            log.info("this beat leads")
            self._initial_read, self._heap, self.old_schedulers, self._leads = True, None, None, True
        self._show_life()
        return float(super().tick(*args, **kwargs))

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """Publish by name, within the queue's bound: beat loads no task, and with them nothing that they work with."""
        return super().send_task(name, *args, **options) if queues.takes(name) else None

    def close(self) -> None:
        super().close()
        self.leadership.give_up()

    def _show_life(self) -> None:
        if time.monotonic() - self._beat_at < _HEARTBEAT:
            return
        try:
            heartbeats.beat("beat")
            self._beat_at = time.monotonic()
        except DatabaseError as error:
            log.warning("no sign of life written: %s", error)
