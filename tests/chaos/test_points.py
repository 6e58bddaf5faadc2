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
HANGS = [
    *(f"place.{where}" for where in ("after_claim", "before_call", "after_call")),
    *("book.before_commit", "cancel.before_call", "modify.before_call", "modify.after_call", "flatten.before_call"),
]
RAISES = [
    *("place.before_call", "place.after_call", "book.before_commit", "cancel.after_call", "modify.after_call"),
    *("flatten.after_call", "flatten.before_done"),
]
GUARD = [
    *(f"book.{where}" for where in ("after_read", "before_commit", "after_commit")),
    *(f"cancel.{where}" for where in ("before_call", "after_call")),
    *(f"flatten.{where}" for where in ("before_call", "after_call", "before_done")),
]
GUARD_LIVES = [
    *(("hang", point) for point in ("book.before_commit", "cancel.before_call", "flatten.before_call")),
    *(("raise", point) for point in ("book.before_commit", "cancel.after_call", "flatten.after_call")),
]
STOP = [
    *(f"stop.{where}" for where in ("before_commit", "after_commit")),
    *(f"place.{where}" for where in ("before_claim", "after_claim", "before_call", "after_call", "after_record")),
]
CAPTURE = [
    *(f"capture.{where}" for where in ("before_call", "after_call", "before_commit", "after_commit")),
    *(f"capture.{where}" for where in ("after_claim", "before_done", "after_step")),
    *(f"place.{where}" for where in ("before_intent", "after_intent")),
]
CAPTURE_LIVES = [("hang", "capture.before_call"), ("hang", "capture.before_commit"), ("raise", "capture.before_commit")]


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


@pytest.mark.parametrize(
    ("kind", "point"), [pytest.param("kill", p, marks=pytest.mark.core) for p in GUARD] + GUARD_LIVES
)
def test_guard_fails_at_its_work(run: System, kind: str, point: str):
    """Without beat the worker only sends; guard books, cancels and flattens until it dies, fails or stands still."""
    run.guard(faults=f"{point}={kind}")
    run.worker()
    run.rescue(lambda: (run.guard("guard again"), run.beat()))
    life = Life(run)
    life.begin()
    life.sent(swept=False)
    life.fill()
    life.booked()
    life.flat()
    life.settled()
    judge(run, f"guard {kind} {point}")
    assert run.struck() == [f"{point}.{kind}"]


def test_guard_is_killed_while_it_looks_up_an_unknown_order(run: System):
    point = "resolve.after_read"
    run.guard(faults=f"{point}=kill")
    run.worker()
    run.rescue(lambda: (run.guard("guard again"), run.beat()))
    run.fault("rule", effect="lost_after", calls=["place"], count=2)
    life = Life(run)
    life.begin()
    life.whole()
    judge(run, f"guard kill {point}")
    assert run.struck() == [f"{point}.kill"]


@pytest.mark.parametrize("point", ["protect.before_call", "protect.after_call"])
def test_guard_is_killed_while_it_closes_what_no_stop_protects(run: System, point: str):
    """Nine seconds are over when it dies; before the call its claim holds for four more, as two closes can flip."""
    run.guard(faults=f"{point}=kill")
    run.worker()
    run.rescue(lambda: (run.guard("guard again"), run.beat()))
    run.fault("legless", count=2)
    life = Life(run)
    life.begin()
    life.sent(swept=False)
    run.fault("rule", effect="lost_before", calls=["place"], count=None)
    life.fill()
    run.wait(lambda: not run.ledger("SELECT 1 FROM positions WHERE quantity <> 0"), "the close", 60)
    run.fault_end()
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
    life.sent(swept=False)
    life.fill()
    life.booked()
    life.protected()
    life.flat()
    life.settled()
    judge(run, f"guard kill {point} (stop)")
    assert run.struck() == [f"{point}.kill"]


@pytest.mark.parametrize(("kind", "point"), [("kill", p) for p in CAPTURE] + CAPTURE_LIVES)
def test_a_worker_fails_between_the_bar_and_the_order(machine: Machine, tmp_path: Path, kind: str, point: str):
    with system(machine, tmp_path, anchor="2026-11-18T09:29:40-05:00") as run:
        run.beat()
        run.worker(queues="critical,high,normal", faults=f"{point}={kind}")
        run.guard()
        life = Life(run)
        run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_order WHERE role = 'entry'"), "the strategy's pair", 120)
        life.sent()
        run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_overnightrange WHERE complete"), "the captured range", 60)
        life.flat()
        life.settled()
        judge(run, f"worker {kind} {point}")
        assert run.struck() == [f"{point}.{kind}"]
        assert run.one("SELECT count(*) FROM tradingbot_decision WHERE outcome = 'ordered'") == 1
