"""Guard and all others together, as fast as they can, at a venue that counts: it never has to answer 429.

The windows are fifteen times shorter than the real ones; how long a request may be on its way is not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from brokers import budget
from brokers.simulated import server
from brokers.simulated.throttle import Throttle
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
SHORTER = 15
SECONDS = 13.0
PROCESSES = {
    "guard": {"reconcile": 0.0, "cancel": 0.1},
    "critical": {"stop": 0.0, "resolve": 0.0},
    "normal": {"place": 0.0, "bars": 0.0},
    "high": {"reconcile": 0.0},
    "flatten": {"cancel": 0.5},  # what lies above the share of stops: 16 in a window of six seconds
}


class Counting(Throttle):
    """The venue's count in shorter windows, and what it saw."""

    made: list[Counting] = []

    def __init__(self, limit: int, seconds: float, clock) -> None:
        super().__init__(limit, seconds / SHORTER, clock)
        self.passed: list[float] = []
        self.refused = 0
        Counting.made.append(self)

    def take(self, key: str, *, fixed: bool = False) -> float:
        wait = super().take(key, fixed=fixed)
        self.refused += wait > 0
        if not wait:
            self.passed.append(time.monotonic())
        return wait


@pytest.fixture
def counts(monkeypatch) -> list[Counting]:
    monkeypatch.setattr(Counting, "made", [])
    monkeypatch.setattr(server, "Throttle", Counting)
    return Counting.made


def test_no_mix_of_processes_meets_the_venues_limit_and_cancels_always_get_through(counts):
    stage = Stage()
    with served(stage) as url:
        answer = httpx.post(f"{url}/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}, timeout=60).json()
        asked = {
            "url": url,
            "redis": settings.REDIS_URL,
            "login": f"test-{uuid.uuid4()}",
            "token": answer["token"],
            "account": stage.account_id,
            "window": 60 // SHORTER + budget.ON_THE_WAY,
            "bars_window": 30 // SHORTER + budget.ON_THE_WAY,
            "seconds": SECONDS,
        }
        running = {name: start(asked | {"lanes": lanes, "guard": name == "guard"}) for name, lanes in PROCESSES.items()}
        for process in running.values():
            assert process.stdout.readline() == "ready\n"
        for process in running.values():
            process.stdin.write("go\n")
            process.stdin.flush()
        ended = {name: json.loads(process.communicate(timeout=60)[0]) for name, process in running.items()}
    requests, bars = counts
    assert (requests.refused, bars.refused) == (0, 0)
    assert all(set(result["seen"]) <= {200, None} for result in ended.values())
    # What the budget refused never left, what it allowed arrived.
    assert sum(result["answered"] for result in ended.values()) == len(requests.passed) + len(bars.passed)
    # All of it was used: each of these came to the end of its share.
    assert set(ended["critical"]["over"]) == {"stop", "resolve"}
    assert ended["normal"]["over"]["place"] > 0
    assert ended["guard"]["over"]["reconcile"] > 0
    assert ended["flatten"]["over"] == {}
    assert ended["flatten"]["answered"] >= 20


def start(asked: dict[str, object]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.brokers.hammering"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    return process
