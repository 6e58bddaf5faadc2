from __future__ import annotations

import json
import signal
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery.beat import Service
from celery.signals import beat_init
from django.db import connection, connections
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from market.calendar import generate
from tradingbot import schedule
from tradingbot.celery_app import QUEUES, app
from tradingbot.models import Heartbeat
from tradingbot.queues import redis
from tradingbot.schedule import CAPTURE, ENTRIES, Scheduler, sync_entries

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def beat(transactional_db, broker_queues):
    schedulers = []

    def start() -> Scheduler:
        schedulers.append(Scheduler(app=app))
        return schedulers[-1]

    yield start
    for scheduler in schedulers:
        scheduler.close()
        scheduler._finalize.cancel()  # it would look for this test's rows when Python ends


def run(scheduler: Scheduler, ticks: int = 5000) -> float:
    """Let beat tick until it would sleep; return for how long."""
    for _ in range(ticks):
        if (pause := scheduler.tick()) > 0:
            return pause
    raise AssertionError("beat never sleeps")


class TestEntries:
    def test_every_entry_is_a_task_of_ours_and_expires_before_its_next(self, db):
        app.loader.import_default_modules()
        sync_entries()
        for row in PeriodicTask.objects.all():
            assert row.task in app.tasks
            assert row.queue is None  # the module decides
            if row.interval:
                assert 0 < row.expire_seconds < row.interval.every
            else:
                assert row.name == CAPTURE

    def test_the_cadence_is_the_designs(self, db):
        sync_entries()
        every = {(e.task, e.kwargs): e.seconds for e in ENTRIES}
        assert {
            "critical.sweep": 5,
            "critical.check_fills": 30,
            "critical.check_protection": 10,
            "critical.flatten_due": 15,
            "high.update_balance": 60,
            "high.check_risk": 60,
            "high.due_steps": 5,
            "high.reconcile": 30,
            "normal.bars_due": 5,
            "low.deliver_notifications": 5,
            "low.snapshot_metrics": 300,
        }.items() <= {task: seconds for (task, kwargs), seconds in every.items() if kwargs == "{}"}.items()
        assert every["critical.check_fills", '{"exposed": true}'] == 5
        assert every["critical.check_protection", '{"unprotected": true}'] == 2
        assert {task for task, _ in every if task.endswith("canary")} == {f"{queue}.canary" for queue in QUEUES}

    def test_entries_that_are_gone_from_the_page_are_deleted_and_changed_ones_set_right(self, db):
        sync_entries()
        sweep = PeriodicTask.objects.get(name="critical.sweep")
        sweep.enabled, sweep.expire_seconds = False, 999
        sweep.save()
        other = IntervalSchedule.objects.create(every=7, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.create(name="of an older version", task="gone", interval=other)
        sync_entries()
        sweep.refresh_from_db()
        assert (sweep.enabled, sweep.expire_seconds) == (True, 4)
        assert PeriodicTask.objects.count() == len(ENTRIES) + 1

    def test_again_it_writes_nothing(self, db, django_assert_num_queries):
        sync_entries()
        changed = set(PeriodicTask.objects.values_list("pk", "date_changed"))
        sync_entries()
        assert set(PeriodicTask.objects.values_list("pk", "date_changed")) == changed
        assert CrontabSchedule.objects.count() == 1

    def test_the_capture_is_due_at_half_past_nine_in_new_york_on_every_trading_day_of_two_years(self, db):
        sync_entries()
        crontab = PeriodicTask.objects.get(name=CAPTURE).crontab.schedule
        utc = set()
        for session in generate(date(2025, 1, 1), date(2026, 12, 31)):
            at = datetime.combine(session.trade_date, time(9, 30), NEW_YORK)
            crontab.nowfun = lambda: at - timedelta(seconds=1)  # noqa: B023  asked at once
            due, wait = crontab.is_due((at - timedelta(days=1)).astimezone(UTC))
            if session.trade_date.weekday() and session.trade_date - timedelta(days=1) != date(2025, 1, 1):
                assert (due, wait) == (False, pytest.approx(1, abs=0.01))
            crontab.nowfun = lambda: at  # noqa: B023
            assert crontab.is_due((at - timedelta(hours=1)).astimezone(UTC)).is_due
            utc.add(f"{at.astimezone(UTC):%H:%M}")
        assert utc == {"13:30", "14:30"}  # it follows daylight saving


class TestBeat:
    def test_publishes_what_is_due_through_the_bounds(self, beat):
        scheduler = beat()
        run(scheduler)
        rewind(scheduler)
        run(scheduler)
        sent = {json.loads(raw)["headers"]["task"] for queue in QUEUES for raw in redis().lrange(queue, 0, -1)}
        assert sent == {f"tradingbot.tasks.{entry.task}" for entry in ENTRIES}
        assert Heartbeat.objects.get().name == "beat"

    def test_messages_expire_before_the_next_one(self, beat):
        scheduler = beat()
        run(scheduler)
        entry = scheduler.schedule["critical.sweep"]
        assert (entry.schedule.run_every, entry.options["expires"]) == (timedelta(seconds=5), 4)

    def test_intervals_are_market_time_and_signs_of_life_are_not(self, beat, standing_clock):
        scheduler = beat()
        run(scheduler)
        every = {
            name: entry.schedule.run_every.total_seconds()
            for name, entry in scheduler.schedule.items()
            if name != CAPTURE
        }
        assert every["critical.sweep"] == pytest.approx(5 / 30, abs=1e-5)
        assert every["critical.check_fills"] == 1
        assert every["critical.canary"] == 30
        assert every["critical.check_protection without a stop"] == 2
        assert scheduler.schedule["critical.sweep"].options["expires"] == 1

    def test_a_second_beat_stands_by_and_takes_over_when_the_first_is_gone(self, beat):
        first, second = beat(), beat()
        run(first)
        assert second.tick() == schedule._STANDBY
        assert not second.leadership.held()
        first.close()
        ask_again(second)
        run(second)
        assert second.leadership.held()

    def test_one_whose_connection_broke_stops_at_once_and_never_leads_beside_another(self, beat):
        first, second = beat(), beat()
        run(first)
        with first.leadership._connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        ask_again(first)
        assert first.tick() == schedule._STANDBY
        ask_again(second)
        run(second)
        ask_again(first)
        assert first.tick() == schedule._STANDBY
        assert (first.leadership.held(), second.leadership.held()) == (False, True)

    def test_one_that_lost_every_connection_stands_by_and_leads_again(self, beat):
        lonely = beat()
        run(lonely)
        other = connections["default"].copy()
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        other.close()
        ask_again(lonely)
        assert lonely.tick() == schedule._STANDBY
        ask_again(lonely)
        run(lonely)
        assert lonely.leadership.held()


def ask_again(scheduler: Scheduler) -> None:
    """Let a second pass for the leadership."""
    scheduler.leadership._asked_at = float("-inf")


def rewind(scheduler: Scheduler) -> None:
    """Let a day pass for every entry."""
    for entry in scheduler.schedule.values():
        if entry.name != CAPTURE:
            entry.last_run_at -= timedelta(days=1)
    scheduler._heap = None


def test_a_signal_ends_beat_after_the_tick_in_hand():
    service = Service(app)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        beat_init.send(sender=service)
        assert not service._is_shutdown.is_set()
        signal.raise_signal(signal.SIGTERM)  # nothing is raised into what runs
        assert service._is_shutdown.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
