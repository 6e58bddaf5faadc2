"""Whom the supervisor ends because it stands still, and whom it spares."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.tradingbot.test_supervisor import LIVES, PARENT, alive, interrupt, pid, said, wait
from tradingbot.supervisor import Child, Place, Supervisor, children, end_leftovers
from tradingbot.supervisor import supervisor as module


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    run = tmp_path / "run"
    run.mkdir()
    yield Place(tmp_path, run, tmp_path / "log", dict(os.environ))
    end_leftovers(run, seconds=0)


@pytest.fixture
def make(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Child]:
    import sys

    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    return lambda code, name="one": Child(name, (sys.executable, "-c", code), place)


def stop(number: int) -> None:
    os.kill(number, signal.SIGSTOP)
    wait(lambda: psutil.Process(number).status() == psutil.STATUS_STOPPED)


def test_a_stopped_process_is_started_again_after_a_minute(make):
    child = make(LIVES)
    child.start()
    first = pid(child)
    wait(lambda: said(child))
    stop(first)
    child.end_stopped(100.0)
    child.end_stopped(159.9)
    assert alive(first)
    child.end_stopped(160.0)
    wait(lambda: not child.running or child.tick(child.started))
    child.tick(float("inf"))
    assert pid(child) != first
    child.kill()
    wait(lambda: child.ended(0.0))


def test_one_that_goes_on_in_time_is_left_alone(make):
    child = make(LIVES)
    child.start()
    wait(lambda: said(child))
    stop(pid(child))
    child.end_stopped(100.0)
    os.kill(pid(child), signal.SIGCONT)
    wait(lambda: psutil.Process(pid(child)).status() != psutil.STATUS_STOPPED)
    child.end_stopped(200.0)
    stop(pid(child))
    child.end_stopped(210.0)
    assert alive(pid(child))
    child.kill()
    wait(lambda: child.ended(0.0))


def test_of_a_worker_with_a_stopped_child_only_the_child_is_ended(make):
    child = make(PARENT)
    child.start()
    wait(lambda: said(child).strip())
    below = int(said(child))
    stop(below)
    child.end_stopped(100.0)
    child.end_stopped(100.0 + children.STOPPED_SECONDS)
    wait(lambda: not alive(below))
    assert alive(pid(child))
    child.kill()
    wait(lambda: child.ended(0.0))


def silent(child: Child, seconds: float) -> None:
    child.started -= seconds
    child.answered -= seconds


def test_nobody_is_judged_for_the_time_in_which_the_whole_machine_stood_still(make, caplog):
    child = make(LIVES)
    ages = {"one": 0.0}
    pids: list[int] = []

    def on_tick() -> None:
        pids.append(pid(child))
        if len(pids) == 1:
            ages["one"] = 300.0
            silent(child, 300)
            supervisor._looked -= 300
        elif len(pids) == 5:
            interrupt()

    supervisor = Supervisor([child], heartbeats=lambda: ages, watched=frozenset(ages))
    supervisor.run(on_tick=on_tick)
    assert len(set(pids)) == 1
    assert "stood still for 300 s" in caplog.text


def test_one_that_needs_no_sign_of_life_is_judged_once_it_has_given_one(make):
    child = make(LIVES, "guard")
    ages: dict[str, float] = {}
    pids: list[int] = []

    def on_tick() -> None:
        pids.append(pid(child))
        if len(pids) == 1:
            silent(child, 200)  # it never showed life: it lives, that is enough
        elif len(pids) == 3:
            ages["guard"] = 100.0  # its only sign, after its start
            silent(child, 100)
        elif pids[-1] != pids[0]:
            interrupt()

    Supervisor([child], heartbeats=lambda: ages, followed=frozenset({"guard"})).run(on_tick=on_tick)
    assert pids[0] == pids[2]
    assert pids[-1] != pids[0]
