"""A compressed day on the real processes: supervisor, servers, venue, web, two replicas of the workers, two beats.

The calendar says that the session closes early, so that nine minutes of market time hold all of it: capture, pair,
fill, cancel, exit or flatten, report. The venue's own ledger is the truth that our rows are held against.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tradingbot import servers

ROOT = Path(__file__).resolve().parent.parent
ANCHOR = "2026-11-20T09:29:30-05:00@15x"
CLOSES_AT = "2026-11-20 15:00:00+00"  # 10:00 New York: the firm's limit is 09:45, ours 09:35
SEED = "6"  # of a market that leaves its overnight range at 09:33, twelve seconds of the machine after the capture
OPEN, FILLED, CANCELLED = 1, 2, 3

pytestmark = [pytest.mark.xdist_group("day"), pytest.mark.timeout(500)]  # one process, and the first to begin


class Day:
    """The processes of one rehearsal and what is known of them."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.venue_port, web, flower = (_free_port() for _ in range(3))
        self.environment = {
            **os.environ,
            "VAR_DIR": str(var),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "ENV_FILE": os.devnull,
            "TRADINGBOT_CLOCK": ANCHOR,
            "VENUE_PORT": str(self.venue_port),
            "WEB_PORT": str(web),
            "FLOWER_PORT": str(flower),
            "VENUE_SEED": SEED,
            "OVERNIGHT_ENABLED": "true",
            **{f"WORKER_{queue}": "1" for queue in ("CRITICAL", "HIGH", "NORMAL", "LOW", "BACKGROUND")},
        }

    @contextmanager
    def running(self, *command: str, log: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.var / f"{log}.txt").open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(servers.urls(self.var).database, connect_timeout=5) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def change(self, statement: str) -> None:
        with psycopg.connect(servers.urls(self.var).database, connect_timeout=5) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def wait(self, query: str, what: str, seconds: float) -> None:
        """Wait until `query` returns a row."""
        give_up = time.monotonic() + seconds
        pause = threading.Event()
        while time.monotonic() < give_up:
            try:
                if self.rows(query):
                    return
            except psycopg.Error:
                pass
            pause.wait(0.5)
        said = self.rows("SELECT at, title, body FROM tradingbot_notification ORDER BY id")
        pytest.fail(f"{what} did not come within {seconds:g} s; told so far: {said}")

    def ledger(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.venue_port}/_ledger", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    day = Day(tmp_path_factory.mktemp("day"))
    servers.start(day.var)
    subprocess.run([sys.executable, "manage.py", "prepare", "-v0"], cwd=ROOT, env=day.environment, check=True)
    day.change(
        f"UPDATE tradingbot_calendarday SET closes_at = '{CLOSES_AT}', early_close = true, source = 'test'"
        " WHERE trade_date = '2026-11-20'"
    )
    replica = [
        "-m",
        "celery",
        "-A",
        "tradingbot.celery_app",
        "worker",
        "--without-mingle",
        "--without-gossip",
        "-l",
        "warning",
    ]
    with (
        day.running("manage.py", "up", log="up"),
        day.running(*replica, "-Q", "critical", "-n", "critical2@%h", "-c", "1", log="critical2"),
        day.running(*replica, "-Q", "normal,high", "-n", "normal2@%h", "-c", "1", log="normal2"),
        day.running("-m", "celery", "-A", "tradingbot.celery_app", "beat", "--pidfile=", log="beat2"),
    ):
        verified = "SELECT 1 FROM tradingbot_sessionstep WHERE step = 'verify' AND state = 'done'"
        day.wait(verified, "the account's being flat", 300)
        # Fifteen minutes follow in which nothing is due: the report is brought forward over them.
        day.change("UPDATE tradingbot_sessionstep SET due_at = due_at - interval '15 minutes' WHERE step = 'report'")
        day.wait("SELECT 1 FROM tradingbot_notification WHERE kind = 'summary'", "the day's report", 60)
        yield day


def test_the_range_is_captured_once_and_on_time(day: Day) -> None:
    assert day.rows("SELECT complete, captured_at < '2026-11-20 14:33:00+00' FROM tradingbot_overnightrange") == [
        (True, True)
    ]


def test_two_workers_and_two_beats_decide_once_and_send_once(day: Day) -> None:
    assert day.rows("SELECT count(*) FROM tradingbot_decision WHERE outcome = 'ordered'") == [(1,)]
    entries = [o for o in day.ledger()["orders"] if o["customTag"] and "parentOrderId" not in o]
    assert sorted(order["side"] for order in entries) == [0, 1]
    assert len({order["customTag"] for order in entries}) == 2
    assert day.rows("SELECT max(attempt) FROM tradingbot_order WHERE role = 'entry'") == [(1,)]


def test_one_entry_filled_and_the_other_was_cancelled(day: Day) -> None:
    statuses = [o["status"] for o in day.ledger()["orders"] if o["customTag"] and "parentOrderId" not in o]
    assert sorted(statuses) == [FILLED, CANCELLED]


def test_our_rows_and_the_venues_ledger_agree_to_the_cent(day: Day) -> None:
    ledger = day.ledger()
    executions = {e["id"]: (e["size"], e["price"]) for e in ledger["executions"]}
    booked = {i: (q, float(p)) for i, q, p in day.rows("SELECT broker_trade_id, quantity, price FROM tradingbot_fill")}
    assert booked == executions
    ((net,),) = day.rows("SELECT coalesce(sum(net), 0) FROM tradingbot_trade")
    assert float(net) == pytest.approx(ledger["accounts"][0]["balance"] - 50_000, abs=0.001)


def test_the_account_ends_flat_with_nothing_working(day: Day) -> None:
    ledger = day.ledger()
    assert ledger["positions"] == []
    assert [o for o in ledger["orders"] if o["status"] not in (FILLED, CANCELLED)] == []
    live = "SELECT count(*) FROM tradingbot_order WHERE status NOT IN ('filled', 'cancelled', 'expired', 'rejected')"
    assert day.rows(live) == [(0,)]
    assert day.rows("SELECT sum(abs(quantity)) FROM tradingbot_position") == [(0,)]


def test_every_step_of_the_session_was_done_once(day: Day) -> None:
    steps = day.rows("SELECT step, state FROM tradingbot_sessionstep WHERE session_date = '2026-11-20' ORDER BY due_at")
    assert {state for _, state in steps} == {"done"}
    assert {"capture", "cutoff", "flatten", "verify", "report"} <= {step for step, _ in steps}


def test_every_queue_showed_life(day: Day) -> None:
    names = {name for (name,) in day.rows("SELECT name FROM tradingbot_heartbeat")}
    assert names >= {f"worker-{queue}" for queue in ("critical", "high", "normal", "low", "background")} | {"beat"}


@pytest.mark.parametrize("word", ["Traceback", "Warning:"])
def test_no_log_holds_what_python_complains_of(day: Day, word: str) -> None:
    logs = [*day.var.glob("log/*.log"), *day.var.glob("*.txt")]
    assert len(logs) > 8
    assert [log.name for log in logs if word in log.read_text(errors="replace")] == []


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
