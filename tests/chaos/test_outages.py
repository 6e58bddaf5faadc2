"""Processes and servers go away and come back while a pair lives."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from tests.chaos.life import Life, judge
from tests.chaos.machine import Machine
from tests.chaos.proxy import proxy
from tests.chaos.system import System, system, wait
from tradingbot import servers
from tradingbot.servers.valkey import Valkey

pytestmark = pytest.mark.chaos

AWAY = 20.0  # seconds


@pytest.fixture
def all_up(run: System) -> System:
    run.beat()
    run.worker()
    run.guard()
    return run


def pause(seconds: float) -> None:
    """Let an outage last."""
    threading.Event().wait(seconds)


@pytest.mark.parametrize("outage", ["stopped", "frozen", "flushed"])
@pytest.mark.parametrize("when", ["before the sending", pytest.param("while exposed", marks=pytest.mark.core)])
def test_redis_is_away(all_up: System, outage: str, when: str):
    life = Life(all_up)
    if when == "while exposed":
        life.begin()
        life.sent()
        life.fill()
    else:
        all_up.act("look")
        life.ids = all_up.act("pair")
    server = Valkey(all_up.var)
    if outage == "stopped":
        server.stop()
        pause(AWAY)
        server.start()
    elif outage == "frozen":
        process = psutil.Process(int((all_up.var / "valkey" / "valkey.pid").read_text()))
        process.suspend()
        pause(AWAY)
        process.resume()
    else:
        redis.Redis.from_url(all_up.redis).flushall()
    if when == "while exposed":
        life.resumes(life.booked)
        life.moved()
        life.flat()
        life.settled()
    else:
        life.resumes(life.sent)
        life.whole()
    judge(all_up, f"Redis {outage} {when}")


@pytest.mark.core
def test_the_backends_of_postgresql_are_killed(all_up: System):
    life = Life(all_up)
    life.begin()
    life.sent()
    life.fill()
    with psycopg.connect(all_up.machine.url("postgres"), autocommit=True) as connection:
        for _ in range(10):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [all_up.name]
            )
            pause(0.5)
    life.resumes(life.booked)
    life.flat_when_possible()
    life.settled()
    judge(all_up, "PostgreSQL backends killed for 5 s")


@pytest.mark.parametrize(
    ("what", "word", "skip"),
    [("the claim", b"claimed AS", 0), ("the answer", b"accepted AS", 0), ("the second answer", b"accepted AS", 1)],
)
def test_postgresql_is_cut_while_a_worker_commits(run: System, what: str, word: bytes, skip: int):
    """The statement reaches the server, its answer does not come back."""
    parts = urlsplit(run.database)
    with proxy(str(parts.hostname), int(parts.port or 0)) as wire:
        address = run.database.replace(f":{parts.port}/", f":{wire.port}/")
        run.worker(DATABASE_URL=address)
        run.beat()
        run.guard()
        life = Life(run)
        run.act("look")
        life.ids = run.act("pair")
        wire.cut_after(word, skip=skip)
        for order_id in life.ids:
            run.act("hint", task="critical.send_order", order_id=order_id)
        life.whole()
        judge(run, f"PostgreSQL cut during {what}")
        assert wire.cuts == 1


@pytest.mark.timeout(600)
@pytest.mark.alone
@pytest.mark.parametrize("when", ["while entries work", "while exposed without a stop"])
def test_postgresql_stops_and_starts_again(machine: Machine, tmp_path: Path, when: str):
    with system(machine, tmp_path, alone=True) as run:
        run.beat()
        run.worker()
        run.guard()
        bare = when == "while exposed without a stop"
        if bare:
            run.fault("legless", count=2)
        life = Life(run)
        life.begin()
        life.sent()
        wait(lambda: run.rows("SELECT 1 FROM tradingbot_heartbeat WHERE name = 'guard'"), "guard", 30)
        pause(2)
        servers.stop(machine.var)
        if bare:
            life.fill()
        pause(AWAY)
        servers.start(machine.var, redis=False)
        if not bare:
            life.fill()
        life.resumes(life.booked)
        life.flat_when_possible()
        life.settled()
        judge(run, f"PostgreSQL away 20 s {when}")


@pytest.mark.parametrize("victim", ["worker", "guard", "beat", "venue"])
@pytest.mark.parametrize("when", ["right after the hints", "while exposed"])
def test_a_process_is_killed_and_started_again(all_up: System, victim: str, when: str):
    again = {"worker": all_up.worker, "guard": all_up.guard, "beat": all_up.beat, "venue": all_up.venue}[victim]
    life = Life(all_up)
    life.begin()
    if when == "while exposed":
        life.sent()
        life.fill()
    all_up.signal(victim)
    pause(5)
    again()
    if when == "while exposed":
        life.resumes(life.booked)
        life.moved()
        life.flat()
        life.settled()
    else:
        life.resumes(life.sent)
        life.whole()
    judge(all_up, f"{victim} killed {when}")


def test_the_leading_beat_is_killed_and_the_second_takes_over(all_up: System):
    all_up.beat("second beat")
    life = Life(all_up)
    life.begin()
    life.sent()
    all_up.signal("beat")
    life.fill()
    life.booked()
    life.moved()
    life.flat()
    life.settled()
    judge(all_up, "leading beat killed, a second stands by")


@pytest.mark.core
def test_two_workers_two_guards_and_two_beats_do_everything_once(all_up: System):
    all_up.beat("second beat")
    all_up.worker("second worker")
    all_up.guard("second guard")
    life = Life(all_up)
    life.begin()
    for order_id in life.ids * 3:
        all_up.act("hint", task="critical.send_order", order_id=order_id)
    life.whole()
    judge(all_up, "everything twice")


def test_everything_stands_still_for_a_time(all_up: System):
    """A lid is closed and opened again: all of ours sleep, the venue does not."""
    life = Life(all_up)
    life.begin()
    life.sent()
    ours = ("worker", "guard", "beat")
    for name in ours:
        all_up.signal(name, signal.SIGSTOP)
    life.fill()
    pause(AWAY)
    for name in ours:
        all_up.signal(name, signal.SIGCONT)
    life.resumes(life.booked)
    life.moved()
    life.flat()
    life.settled()
    judge(all_up, "all processes frozen 20 s")


@pytest.mark.parametrize("victim", ["worker", "beat"])
def test_entries_wait_for_what_is_missing_and_leave_by_themselves_afterwards(all_up: System, victim: str):
    again = {"worker": all_up.worker, "beat": all_up.beat}[victim]
    life = Life(all_up)
    all_up.wait(lambda: len(all_up.rows("SELECT 1 FROM tradingbot_heartbeat")) >= 4, "a sign of life of each", 60)
    all_up.act("look")
    all_up.signal(victim)
    names = "('beat')" if victim == "beat" else "('worker-critical', 'worker-high')"
    all_up.execute(f"UPDATE tradingbot_heartbeat SET at = at - interval '90 s' WHERE name IN {names}")
    all_up.wait(lambda: all_up.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked <> ''"), "the block", 30)
    with pytest.raises(RuntimeError, match="is silent"):
        all_up.act("pair")
    assert "is silent" in all_up.act("why")
    told = "SELECT 1 FROM tradingbot_notification WHERE title LIKE '%entries are refused' AND body LIKE '%is silent%'"
    assert len(all_up.rows(told)) == 1
    again()
    life.resumes(
        lambda seconds: all_up.wait(
            lambda: all_up.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked = ''"), "the end", seconds
        )
    )
    life.begin()
    life.whole()
    judge(all_up, f"{victim} silent, entries wait")
