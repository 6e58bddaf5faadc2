"""`make soak MINUTES=30`: pair after pair in real time while hubs drop, tokens end, the venue is busy.

Everything runs but beat's strategies: the pairs are ours, so that their outcome is known. What goes wrong is drawn from
SEED, every 5 to 20 s. At the end the invariants hold on both books, and no process has grown by more than a tenth.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest

from tests.chaos.life import Life, judge
from tests.chaos.machine import Machine
from tests.chaos.system import System, system
from tests.chaos.test_stream import delivers

pytestmark = pytest.mark.chaos

MINUTES, SEED = float(os.environ.get("MINUTES") or 0), int(os.environ.get("SEED") or 1)
A_LIFE = 62.0
"""Machine seconds from one pair to the next at least: the gate takes 60 entries a session."""
FLAT = (0.9, 1.1)
TROUBLES: tuple[dict[str, Any], ...] = (
    {"kind": "hubs", "drop": "user"},
    {"kind": "hubs", "drop": "market"},
    {"kind": "hubs", "drop": "both"},
    {"kind": "hubs", "lost": 0.3, "duplicated": 0.3, "reordered": 0.3},
    {"kind": "hubs", "lost": 0.0, "duplicated": 0.0, "reordered": 0.0},
    {"kind": "end_tokens"},
    {"kind": "rule", "effect": "busy", "count": 3},
    {"kind": "rule", "effect": "denied", "count": 2},
)


@dataclass
class Trouble:
    """Makes trouble and weighs the processes in a thread of its own, until told to end."""

    run: System
    draw: random.Random
    made: Counter[str] = field(default_factory=Counter)
    weights: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Trouble:
        self._threads = [threading.Thread(target=work) for work in (self._make, self._weigh)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _make(self) -> None:
        while not self._end.wait(self.draw.uniform(5, 20)):
            trouble = dict(self.draw.choice(TROUBLES))
            with suppress(OSError):
                self.run.fault(trouble.pop("kind"), **trouble)
                self.made[str(trouble)] += 1

    def _weigh(self) -> None:
        while not self._end.wait(5):
            found: dict[str, float] = defaultdict(float)
            names = {pid: name for name, pid in self.run.pids.items()}
            for process in psutil.process_iter():
                with suppress(psutil.Error, ProcessLookupError):
                    name = names.get(os.getpgid(process.pid))
                    if name not in (None, "driver"):
                        found[name] += process.memory_full_info().uss / 1e6
            for name, megabytes in found.items():
                self.weights[name].append(megabytes)

    def growth(self) -> dict[str, float]:
        """Return by process what it weighs in the last quarter against the second quarter, when it has warmed up."""
        return {
            name: median(sizes[-(len(sizes) // 4) :]) / median(sizes[len(sizes) // 4 : len(sizes) // 2])
            for name, sizes in self.weights.items()
            if len(sizes) >= 8
        }


def _begun(life: Life, quantity: int) -> bool:
    """Begin the pair, unless the hubs have just come back and entries wait for the comparison."""
    try:
        life.begin(quantity)
    except RuntimeError as error:
        if "comparing with the venue" not in str(error):
            raise
        return False
    return True


@pytest.mark.skipif(not MINUTES, reason="`make soak MINUTES=30`")
def test_a_soak(machine: Machine, tmp_path: Path):
    with system(machine, tmp_path, speed=1, fresh=True) as run:
        run.beat()
        run.worker(queues="critical,high,low", children=2)
        run.guard()
        run.stream()
        delivers(run)
        ends, lives = time.monotonic() + 60 * MINUTES, 0
        with Trouble(run, random.Random(SEED)) as trouble:
            while time.monotonic() < ends:
                next_at = time.monotonic() + A_LIFE
                if lives:
                    run.act("resume")  # a flatten leaves the account without entries
                life = Life(run)
                run.wait(lambda life=life, lives=lives: _begun(life, 1 + lives % 3), "an entry that may leave", 90)
                life.whole()
                lives += 1
                trouble._end.wait(max(0.0, min(next_at, ends) - time.monotonic()))
        run.fault_end()
        life.settled()
        growth = trouble.growth()
        weights = ", ".join(f"{name} {trouble.weights[name][-1]:.0f} MB x{by:.2f}" for name, by in growth.items())
        (run.machine.var / "soak.txt").write_text(
            f"{lives} pairs in {MINUTES:g} minutes, seed {SEED}\n{dict(trouble.made)}\n{weights}\n"
        )
        judge(run, f"soak of {MINUTES:g} minutes")
        assert growth
        assert {name: by for name, by in growth.items() if not FLAT[0] <= by <= FLAT[1]} == {}
