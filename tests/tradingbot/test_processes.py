"""What each long-lived process loads, and how the processes of Celery are started."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import httpx
import psutil
import pytest

from market.calendar import generate, holidays
from tradingbot import queues
from tradingbot.celery_app import app
from tradingbot.models import Heartbeat
from tradingbot.operations import statements
from tradingbot.operations.snapshots import machine_now
from tradingbot.processes import web, worker
from tradingbot.queues import redis, waiting
from tradingbot.schedule import Scheduler
from tradingbot.tasks import background

HOST = socket.gethostname()
ROOT = Path(__file__).resolve().parents[2]
ASK = "import sys, json\n{}\nprint(json.dumps([name for name in {} if name in sys.modules]))"
VENUE = """
from datetime import date
import brokers.simulated.server, tradingbot.management.commands.venue
from brokers.simulated import hours
hours.session(date(2026, 11, 18))
"""
GUARD = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "tradingbot.guard_settings"
import django
django.setup()
import tradingbot.management.commands.guard
"""
PAGES = ["tradingbot.urls", "rest_framework.views", "unfold.admin"]
_OTHERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
COMMAND_LINE = ["celery.bin.celery", "prompt_toolkit", "rich"]


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        (
            "from tradingbot.processes import worker; worker.load(['tradingbot.tasks.normal', 'talib'])",
            ["pandas", "flower", "tornado", "tradingbot.tasks.low", *PAGES, *COMMAND_LINE],
        ),
        ("import tradingbot.processes.beat", ["tradingbot.tasks", "httpx", "pandas", *PAGES, *COMMAND_LINE]),
        ("import tradingbot.processes.flower", ["django.db.models", "tradingbot.models", "tradingbot.tasks", "numpy"]),
        ("import tradingbot.management.commands.up", ["django.db.models", "tradingbot.models", "celery", "numpy"]),
        (
            VENUE,
            ["django.db.models", "tradingbot.models", "celery", "pandas"],
        ),
        (GUARD, ["celery", "redis", "pandas", "tradingbot.tasks", *PAGES, *COMMAND_LINE]),
        (
            "import tradingbot.processes.web, tradingbot.asgi, tradingbot.urls",
            ["pandas", "talib", "flower", *COMMAND_LINE[:2]],
        ),
    ],
    ids=["worker", "beat", "flower", "up", "venue", "guard", "web"],
)
def test_a_process_loads_only_what_it_needs(code: str, heavy: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK.format(code, heavy)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout.splitlines()[-1]) == []


def test_what_is_asked_before_a_stop_comes_without_the_pages(database) -> None:
    code = "import sys; sys.argv = ['manage.py', 'leave']; import manage; manage.main()"
    answer = subprocess.run(
        [sys.executable, "-c", ASK.format(code, PAGES)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout.splitlines()[-1]) == []


def test_the_library_of_holidays_stays_out_of_the_process_that_asks_for_other_years() -> None:
    assert 2008 not in holidays()
    sessions = generate(date(2008, 12, 24), date(2008, 12, 26))
    assert [(session.trade_date.day, session.early_close) for session in sessions] == [(24, True), (26, False)]
    with pytest.raises(RuntimeError, match="the calendar of 9999 to 9999 cannot be made"):
        generate(date(9999, 1, 1), date(9999, 1, 2))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-Q", "critical", "-c", "4"], (["critical"], 4, f"critical@{HOST}", 25, 30, None)),
        (["-Q", "high"], (["high"], 6, f"high@{HOST}", 55, 60, 500)),
        (["-Q", "normal,high", "-n", "two@%h", "-c", "1"], (["normal", "high"], 1, f"two@{HOST}", 110, 120, 500)),
        (["-Q", "low,background"], (["low", "background"], 2, f"low@{HOST}", None, None, 500)),
    ],
)
def test_a_worker_takes_its_limits_and_children_from_its_queues(arguments, expected, monkeypatch, settings) -> None:
    settings.WORKER_CHILDREN = {"critical": 2, "high": 6, "normal": 2, "low": 1, "background": 1}
    started = []

    class Started:
        exitcode = 0

        def __init__(self, **options) -> None:
            started.append(options)

        def start(self) -> None:
            """The worker itself is tried in the compressed day and in the restart matrix."""

    monkeypatch.setattr(app, "Worker", Started)
    monkeypatch.setattr(worker, "load", lambda modules: None)
    monkeypatch.setitem(app.conf, "imports", app.conf.imports)
    assert worker.main(arguments) == 0
    names = ("queues", "concurrency", "hostname", "soft_time_limit", "time_limit", "max_tasks_per_child")
    assert tuple(started[0][name] for name in names) == expected
    assert app.conf.imports == [f"tradingbot.tasks.{queue}" for queue in expected[0]]


@pytest.fixture
def a_worker(database, broker_queues, tmp_path) -> Iterator[subprocess.Popen]:
    """A real worker with one child that has run its first task."""
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tradingbot.processes.worker", "-Q", "background"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": database},
            stdout=log,
            stderr=log,
        )
    try:
        connection_of_a_task()  # its greeting comes back along with this one
        yield process
    finally:
        process.terminate()
        process.wait(60)


def connection_of_a_task() -> int:
    """Let the worker run a task; return which connection of PostgreSQL it used."""
    since = machine_now()
    background.canary.apply_async()
    until(Heartbeat.objects.filter(name="worker-background", at__gt=since).exists)
    ((pid,),) = statements.rows(_OTHERS, {})
    return int(pid)


def test_a_child_keeps_its_connection_from_task_to_task_until_it_breaks(a_worker) -> None:
    kept = connection_of_a_task()
    assert connection_of_a_task() == kept
    statements.rows("SELECT pg_terminate_backend(%(pid)s::int, 5000)", {"pid": kept})
    assert connection_of_a_task() != kept


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what waits in a pipe")
def test_a_worker_ends_soon_though_it_has_just_handed_out_a_task(a_worker) -> None:
    (child,) = psutil.Process(a_worker.pid).children()
    until(lambda: not waiting()["background"] and "pipe" in Path(f"/proc/{child.pid}/wchan").read_text())
    child.suspend()
    background.canary.apply_async()
    try:
        handed = until(lambda: bytes_for(child))
        a_worker.terminate()
        until(lambda: bytes_for(child) > handed)  # the word to end: the task counts as not begun by now
    finally:
        child.resume()
    a_worker.wait(10)


def until(look: Callable[[], int]) -> int:
    """Return what `look` finds, a minute at most; the worker's log is in the test's folder."""
    give_up = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return found


def bytes_for(process: psutil.Process) -> int:
    """Return how many bytes wait in pipes that a process reads."""
    number = 0
    for file in Path(f"/proc/{process.pid}/fd").iterdir():
        if str(file.readlink()).startswith("pipe:") and not file.lstat().st_mode & stat.S_IWUSR:
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
            number += struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
            os.close(descriptor)
    return number


def test_a_flood_of_requests_takes_no_more_connections_than_the_pages_may_have(database, tmp_path) -> None:
    with (tmp_path / "web.log").open("wb") as log, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        process = subprocess.Popen(
            [sys.executable, "-m", "tradingbot.processes.web", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": database},
            stdout=log,
            stderr=log,
        )
    try:
        give_up = time.monotonic() + 60
        while (status := asked(port)) is None:
            assert time.monotonic() < give_up, (tmp_path / "web.log").read_text()
            time.sleep(0.05)
        with ThreadPoolExecutor(60) as threads:
            assert {status, *threads.map(asked, [port] * 120)} == {200}
        assert 1 < len(statements.rows(_OTHERS, {})) <= web.CONNECTIONS
    finally:
        process.terminate()
        process.wait(30)


def asked(port: int) -> int | None:
    """Return the status of the health check, which reads the database; None if nobody listens."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code
    except httpx.ConnectError:
        return None


def test_a_queue_that_is_not_ours_is_named(capsys) -> None:
    with pytest.raises(SystemExit):
        worker.main(["-Q", "criticl"])
    assert "no queue is called 'criticl'" in capsys.readouterr().err


def test_beat_publishes_by_name_within_the_bounds(transactional_db, broker_queues, monkeypatch) -> None:
    monkeypatch.setattr(queues, "_waiting", queues._Waiting())
    beat = Scheduler(app=app)
    try:
        assert beat.send_task("tradingbot.tasks.low.unknown_here", kwargs={}) is not None
        assert waiting()["low"] == 1
        redis().rpush("high", *["{}"] * 1300)
        queues._waiting.forget()
        assert beat.send_task("tradingbot.tasks.low.unknown_here", kwargs={}) is None
        assert beat.send_task("tradingbot.tasks.critical.unknown_here", kwargs={}) is not None
    finally:
        beat.close()
        beat._finalize.cancel()
