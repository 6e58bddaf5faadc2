"""Compressed days with random kills: `make chaos KILLS=50 SEED=1`. Whatever dies, and when, the day ends flat.

From the capture at 09:30 to a flat time at 09:40 (the calendar says that the session closes early), with processes
killed every few seconds and started again a little later, as the supervisor does. Each day is drawn from its seed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import checker
from tests.chaos.life import Life, judge
from tests.chaos.machine import Machine
from tests.chaos.system import System, system, wait
from tradingbot.clock import Clock, parse

pytestmark = pytest.mark.chaos

A_DAY = 30  # kills
KILLS, SEED = int(os.environ.get("KILLS") or A_DAY), int(os.environ.get("SEED") or 1)
ANCHOR, SPEED = "2026-11-18T09:29:40-05:00", 3
CLOSES_AT = "2026-11-18 15:05:00+00"  # 10:05 New York: the firm's limit is 09:50, ours 09:40
FLAT_AT = datetime(2026, 11, 18, 14, 40, tzinfo=UTC)
VICTIMS = ("worker", "worker", "worker", "guard", "beat", "venue", "web")
EFFECTS = ("lost_before", "lost_after", "error_after", "busy", "truncated")


@dataclass(slots=True)
class Killer:
    """Kills one process after the other and starts it again; draws everything from its seed."""

    run: System
    draw: random.Random
    kills: dict[str, int] = field(default_factory=dict)
    _back: list[tuple[float, str]] = field(default_factory=list)

    def start(self, name: str) -> None:
        match name:
            case "worker":
                self.run.worker(queues="critical,high,normal")
            case "guard":
                self.run.guard()
            case "beat":
                self.run.beat()
            case "web":
                self.run.start("web", "--port", "0", module="tradingbot.processes.web")
            case _:
                self.run.venue_again()

    def kill(self) -> None:
        name = self.draw.choice([v for v in VICTIMS if v not in {name for _, name in self._back}])
        self.run.signal(name)
        self.kills[name] = self.kills.get(name, 0) + 1
        self._back.append((time.monotonic() + self.draw.uniform(0.5, 3.0), name))

    def restart(self, *, everything: bool = False) -> None:
        for at, name in list(self._back):
            if everything or time.monotonic() >= at:
                self._back.remove((at, name))
                self.start(name)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SEED, SEED + -(-KILLS // A_DAY)))
def test_a_day_of_kills_ends_flat(machine: Machine, tmp_path: Path, seed: int):
    draw = random.Random(seed)
    with system(machine, tmp_path, anchor=ANCHOR, speed=SPEED, standing=True) as run:
        run.execute(
            f"UPDATE tradingbot_calendarday SET closes_at = '{CLOSES_AT}', early_close = true, source = 'test'"
            " WHERE trade_date = '2026-11-18'"
        )
        run.execute("DELETE FROM tradingbot_sessionstep")
        killer, life = Killer(run, draw), Life(run)
        for name in dict.fromkeys(VICTIMS):
            if name != "venue":
                killer.start(name)
        clock = Clock(parse(f"{ANCHOR}@{SPEED}x"), run.var / "clock.json")
        clock.start()
        life.begin()  # besides what the strategy does at 09:30, should the kills let it
        if draw.random() < 0.5:
            run.fault("legless", count=2)
        if draw.random() < 0.5:
            run.fault("rule", effect=draw.choice(EFFECTS), calls=["place"], count=draw.randint(1, 2))
        fill_at = clock.now() + timedelta(seconds=draw.uniform(60, 240))
        filled, pause = False, threading.Event()
        last = FLAT_AT + timedelta(seconds=60)
        spacing = (last - clock.now()).total_seconds() / SPEED / (A_DAY + 3)
        next_kill = time.monotonic() + spacing
        while clock.now() < last:
            killer.restart()
            if time.monotonic() >= next_kill and sum(killer.kills.values()) < A_DAY:
                killer.kill()
                next_kill += spacing
            if not filled and clock.now() > fill_at:
                filled = _fill(life)
            pause.wait(0.1)
        killer.restart(everything=True)
        wait(lambda: clock.now() > FLAT_AT + timedelta(seconds=60 * SPEED), "the end of the day", 120)
        life.settled(120)
        figures = judge(run, f"day of seed {seed}: {sum(killer.kills.values())} kills {killer.kills}")
        assert isinstance(figures, checker.Figures)
        assert sum(killer.kills.values()) == A_DAY


def _fill(life: Life) -> bool:
    try:
        return life.fill()
    except OSError:  # the venue is away: another time
        return False
