"""With a position open: an orderly stop and the next start, and a machine that sleeps; the checker judges both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from rich.table import Table

from tests.chaos.life import OPEN, Life, judge
from tests.chaos.machine import ROOT
from tests.chaos.system import System, wait
from tests.matrix.site import rest

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(600)]

DRAINED_WITHIN, RESUMED_WITHIN = 60.0, 60.0
ASLEEP = 100.0  # machine seconds: longer than every lease, and than the silence after which a process counts as dead
OURS = ("beat", "worker", "guard")


def start(run: System) -> None:
    run.beat()
    run.worker(queues="critical,high,normal")
    run.guard()


def exposed(run: System) -> Life:
    """Live until a position is open, its stop and target work and the other entry is cancelled."""
    start(run)
    life = Life(run)
    life.begin()
    life.sent()
    assert life.fill()
    life.booked()
    wait(lambda: run.rows("SELECT 1 FROM tradingbot_order WHERE role = 'stop' AND status = 'working'"), "the stop", 60)
    return life


def protecting(run: System) -> list[tuple[int, int]]:
    """Return id and quantity of the venue's working stops that are no entries."""
    found = run.ledger(f"SELECT id, size FROM orders WHERE status = {OPEN} AND type = 4 AND side = -1 ORDER BY id")
    return [(row["id"], row["size"]) for row in found]


def test_a_stop_drains_leaves_the_protection_and_the_next_start_reconciles_first(run: System, table: Table) -> None:
    life = exposed(run)
    stops, orders = protecting(run), len(run.ledger("SELECT id FROM orders"))
    assert sum(quantity for _, quantity in stops) == 3
    asked_at = time.monotonic()
    for name in OURS:
        os.kill(run.pids[name], signal.SIGTERM)  # the leader alone, as the supervisor does
    run.act("move_stop", points=1)  # asked for while it stops: nobody does it any more
    wait(lambda: not any(run.alive(name) for name in OURS), "the end of every process", DRAINED_WITHIN)
    seconds = time.monotonic() - asked_at
    assert (protecting(run), len(run.ledger("SELECT id FROM orders"))) == (stops, orders)

    subprocess.run([sys.executable, "manage.py", "prepare", "-v0"], cwd=ROOT, env=run.env, check=True)
    with pytest.raises(RuntimeError, match="PermissionError"):
        run.act("pair")
    rules = run.one("SELECT rules FROM tradingbot_decision ORDER BY id DESC LIMIT 1")
    assert [rule["ok"] for rule in rules if rule["rule"] == "reconciled"] == [False]
    start(run)
    started_at = time.monotonic()
    wait(lambda: run.rows("SELECT 1 FROM tradingbot_account WHERE reconciled_at IS NOT NULL"), "a reconciliation", 60)
    life.moved()
    table.add_row("SIGTERM, a position open", "drained", f"{seconds:.0f}", "0", "")
    table.add_row("the next start", "reconciled, stop moved", f"{time.monotonic() - started_at:.0f}", "0", "")
    life.flat()
    life.settled()
    judge(run, "stopped and started while exposed")


@pytest.mark.parametrize("jump", [None, "1 hour"], ids=["the clock goes on", "the clock jumps an hour"])
def test_a_machine_that_slept_goes_on_by_itself_and_does_nothing_twice(
    run: System,
    table: Table,
    jump: str | None,
) -> None:
    life = exposed(run)
    everybody = [psutil.Process(run.pids[name]) for name in (*OURS, "venue")]
    everybody += [child for process in everybody for child in process.children(recursive=True)]
    run.act("move_stop", points=1)
    for process in everybody:
        process.suspend()
    rest(ASLEEP)
    if jump:  # the machine's clock, by which PostgreSQL judges leases and signs of life
        run.execute(f"UPDATE tradingbot_lease SET expires_at = expires_at - interval '{jump}'")
        run.execute(f"UPDATE tradingbot_heartbeat SET at = at - interval '{jump}'")
    for process in everybody:
        process.resume()
    woken_at = time.monotonic()
    life.moved(RESUMED_WITHIN)
    seconds = time.monotonic() - woken_at
    table.add_row(f"slept {ASLEEP:.0f} s{f', clock +{jump}' if jump else ''}", "by itself", f"{seconds:.0f}", "0", "")
    assert seconds <= RESUMED_WITHIN
    assert [name for name in OURS if not run.alive(name)] == []
    life.flat()
    life.settled()
    judge(run, "slept while exposed")
