"""Processes forked from one that has loaded the libraries: like programs of their own, seen from the supervisor."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from tests.tradingbot.test_supervisor import LIVES, alive, pid, said, wait
from tradingbot.supervisor import Child, Place, end_leftovers, launching

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the fork server"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

TELLS = """
import atexit, os, sys
atexit.register(lambda: print('left', flush=True))
print(sys.argv, os.environ['TRADINGBOT_PROCESS'], os.getcwd(), os.getsid(0) == os.getpid(), 'json' in sys.modules)
sys.exit(3)
"""
DIES = "raise RuntimeError('a reason')"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(launching, "PRELOADED", "json")
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("TRADINGBOT_PROCESS", str(tmp_path / "run"))
    assert launching.preload()
    yield Place(tmp_path, tmp_path / "run", tmp_path / "log", dict(os.environ))
    end_leftovers(tmp_path / "run", seconds=0)
    forkserver._forkserver._stop()


@pytest.fixture
def make(place: Place) -> Callable[..., Child]:
    def child(code: str, name: str = "one") -> Child:
        (place.root / f"{name}.py").write_text(code)
        return Child(name, ("python", f"{name}.py", "word"), place, launch=launching.fork)

    return child


def ended(child: Child) -> int:
    process = child._process
    assert process is not None
    wait(lambda: process.poll() is not None)
    return process.poll() or 0


def test_a_fork_is_the_program_with_its_arguments_environment_and_log(make, place):
    child = make(TELLS)
    child.start()
    assert ended(child) == 3
    assert said(child) == f"['one.py', 'word'] {place.run} {place.root} True True\nleft\n"


def test_a_module_is_run_as_python_does(place):
    child = Child("one", ("python", "-m", "json.tool", "none.json"), place, launch=launching.fork)
    child.start()
    assert ended(child) != 0
    assert "none.json" in said(child)


def test_an_error_and_a_signal_are_told_like_a_programs(make):
    failing, killed = make(DIES), make(LIVES, "two")
    failing.start()
    killed.start()
    assert ended(failing) == 1
    assert "RuntimeError: a reason" in said(failing)
    wait(lambda: "lives" in said(killed))
    assert psutil.Process(pid(killed)).cmdline()[0] == "tradingbot two"
    killed.ask_to_end(0.0, seconds=60)
    assert ended(killed) == -signal.SIGTERM


def test_forks_outlive_a_killed_fork_server_and_the_next_one_has_another(make):
    before, after = make(LIVES), make(LIVES, "two")
    before.start()
    server = psutil.Process(pid(before)).parent()
    assert server is not None
    server.kill()
    wait(lambda: server.status() == psutil.STATUS_ZOMBIE)  # else the next one is a program: nobody serves it
    after.start()
    wait(lambda: "lives" in said(before) and "lives" in said(after))
    before.tick(before.started)
    assert before.running
    assert alive(pid(before))
    assert "forkserver" in " ".join(psutil.Process(pid(after)).parent().cmdline())
    before.kill()
    assert ended(before) == 255  # nobody is left to tell more


def test_what_a_killed_supervisor_left_is_found(make, place):
    child = make(LIVES)
    child.start()
    wait(lambda: "lives" in said(child))
    assert end_leftovers(place.run, seconds=10) == ["one"]
    assert ended(child) == -signal.SIGTERM
