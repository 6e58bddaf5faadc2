"""SIGKILL, exceptions and hangs at every fault point of place, book, cancel, modify, flatten and capture.

Worker and guard die, fail or stand still there once; whoever is left, and the process that is started again, has to
bring the pair to its end: one order for each intent, nothing lost, every stop in time, flat.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.life import Life, judge
from tests.chaos.machine import Machine
from tests.chaos.system import System, system

pytestmark = pytest.mark.chaos

WORKER = [
    *(f"place.{where}" for where in ("before_claim", "after_claim", "before_call", "after_call", "after_record")),
    *(f"book.{where}" for where in ("after_read", "after_orders", "before_commit", "after_commit")),
    *(f"cancel.{where}" for where in ("before_request", "after_request", "before_call", "after_call", "after_record")),
    *(f"modify.{where}" for where in ("before_call", "after_call", "after_record")),
    *(f"flatten.{where}" for where in ("before_call", "after_call", "before_done", "after_done")),
]
HANGS = ["place.after_claim", "place.before_call", "place.after_call", "book.before_commit", "flatten.before_call"]
RAISES = ["place.after_call", "book.before_commit", "cancel.after_call", "flatten.after_call"]
GUARD = [
    *(f"book.{where}" for where in ("after_read", "before_commit", "after_commit")),
    *(f"cancel.{where}" for where in ("before_call", "after_call")),
    *(f"flatten.{where}" for where in ("before_call", "after_call", "before_done")),
]
STOP = [
    *(f"stop.{where}" for where in ("before_commit", "after_commit")),
    *(f"place.{where}" for where in ("after_claim", "before_call", "after_call", "after_record")),
]
CAPTURE = [
    *(f"capture.{where}" for where in ("before_call", "after_call", "before_commit", "after_commit")),
    *(f"capture.{where}" for where in ("after_claim", "before_done", "after_step")),
    *(f"place.{where}" for where in ("before_intent", "after_intent")),
]


@pytest.mark.parametrize(
    ("point", "kind"),
    [pytest.param(p, "kill", marks=pytest.mark.core) for p in WORKER]
    + [(p, "hang") for p in HANGS]
    + [(p, "raise") for p in RAISES],
)
def test_a_worker_fails_on_the_order_path(run: System, point: str, kind: str):
    run.beat()
    run.worker(faults=f"{point}={kind}")
    run.rescue(run.guard)
    life = Life(run)
    life.begin()
    life.whole()
    judge(run, f"worker {kind} {point}")
    assert run.struck() == [f"{point}.{kind}"]


@pytest.mark.core
@pytest.mark.parametrize("point", GUARD)
def test_guard_is_killed_at_its_work(run: System, point: str):
    """Without beat the worker only sends; guard books, cancels and flattens until it dies."""
    run.guard(faults=f"{point}=kill")
    run.worker()
    run.rescue(lambda: (run.guard("guard again"), run.beat()))
    life = Life(run)
    life.begin()
    life.sent()
    life.fill()
    life.booked()
    life.flat()
    life.settled()
    judge(run, f"guard kill {point}")
    assert run.struck() == [f"{point}.kill"]


@pytest.mark.core
@pytest.mark.parametrize("point", STOP)
def test_guard_is_killed_while_it_places_a_missing_stop(run: System, point: str):
    """The venue took the entries without their legs; the one that dies is started again after a second."""
    run.guard(faults=f"{point}=kill")
    run.worker()
    run.rescue(lambda: (run.guard("guard again"), run.beat()))
    run.fault("legless", count=2)
    life = Life(run)
    life.begin()
    life.sent()
    life.fill()
    life.booked()
    life.protected()
    life.flat()
    life.settled()
    judge(run, f"guard kill {point} (stop)")
    assert run.struck() == [f"{point}.kill"]


@pytest.mark.parametrize("point", CAPTURE)
def test_a_worker_is_killed_between_the_bar_and_the_order(machine: Machine, tmp_path: Path, point: str):
    with system(machine, tmp_path, anchor="2026-11-18T09:29:40-05:00") as run:
        run.beat()
        run.worker(queues="critical,high,normal", faults=f"{point}=kill")
        run.guard()
        life = Life(run)
        run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_order WHERE role = 'entry'"), "the strategy's pair", 120)
        life.sent()
        run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_overnightrange WHERE complete"), "the captured range", 60)
        life.flat()
        life.settled()
        judge(run, f"worker kill {point}")
        assert run.struck() == [f"{point}.kill"]
        assert run.one("SELECT count(*) FROM tradingbot_decision WHERE outcome = 'ordered'") == 1
