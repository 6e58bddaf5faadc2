"""What comes before the first second of market time: every process answers, and the venue has been read."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.factories import NOW
from tradingbot.clock import clock
from tradingbot.models import Account, BarDay, Contract, SessionStep
from tradingbot.operations import sessions, setup
from tradingbot.supervisor import Child, Place, Supervisor, end_leftovers, stack

LIVES = "import signal; signal.pause()"

pytestmark = pytest.mark.usefixtures("standing_clock")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "run").mkdir()
    yield Place(tmp_path, tmp_path / "run", tmp_path / "log", dict(os.environ))
    end_leftovers(tmp_path / "run", seconds=0)


def run(place: Place, on_ready: Callable[[], None], answers: Callable[[], bool] = lambda: True) -> list[bool]:
    """Run one process, which answers as it likes, until the first tick; return whether market time ran at each."""
    child = Child("web", (sys.executable, "-c", LIVES), place, answers)
    ticks: list[bool] = []

    def on_tick() -> None:
        ticks.append(clock.started())
        signal.raise_signal(signal.SIGINT)

    Supervisor([child]).run(partial(stack._begin, on_ready), on_tick)
    assert not child.running
    return ticks


@pytest.fixture
def unread(stage) -> None:
    """A venue that was never asked."""
    stage.account.delete()
    sessions.ensure_calendar(now=NOW)


def test_the_venue_is_read_while_market_time_stands_at_the_anchor(place, unread, monkeypatch):
    monkeypatch.setattr(setup, "SESSIONS", 3)
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        assert not clock.started()
        assert clock.now() == NOW

    assert run(place, lambda: setup.connect_at_start(now=clock.now, progress=tell)) == [True]
    assert told[0] == "paper: 1 accounts"
    assert clock.now() > NOW
    assert Account.objects.get().balance_at == NOW
    assert Contract.objects.filter(active=True, seen_at=NOW).exists()
    assert SessionStep.objects.filter(step="capture", state="pending").count() == 1
    assert BarDay.objects.filter(complete=True).exists()


def test_nothing_is_read_and_market_time_stands_until_every_process_answers(place):
    asked: list[float] = []
    read: list[int] = []

    def answers() -> bool:
        asked.append(time.monotonic())
        return len(asked) >= 3

    def on_ready() -> None:
        read.append(len(asked))
        assert clock.now() == NOW

    assert run(place, on_ready, answers) == [True]
    assert read == [3]


def test_ctrl_c_while_the_venue_is_read_ends_it_before_market_time_ever_ran(place):
    assert run(place, partial(signal.raise_signal, signal.SIGINT)) == []
    assert not clock.started()
