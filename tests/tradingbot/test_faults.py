"""Fault points: nothing without the variable, one fault where it is asked for, never with a real venue."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.factories import LoginFactory
from tradingbot import faults
from tradingbot.operations import places

ROOT = Path(__file__).resolve().parents[2]


def run(var: Path, wanted: str, *points: str) -> subprocess.CompletedProcess[str]:
    code = "from tradingbot.faults import point\nimport sys\nfor name in sys.argv[1:]: point(name)\nprint('through')"
    environment = os.environ | {"VAR_DIR": str(var), "TRADINGBOT_FAULTS": wanted}
    return subprocess.run(
        [sys.executable, "-c", code, *points], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_without_the_variable_nothing_happens(tmp_path: Path):
    assert run(tmp_path, "", "place.before_call").stdout == "through\n"
    assert faults.active() is False


def test_a_process_is_killed_once_and_its_successor_goes_on(tmp_path: Path):
    ended = [run(tmp_path, "place.before_call=kill", "place.before_call").returncode for _ in range(2)]
    assert ended == [-signal.SIGKILL, 0]
    assert [marker.name for marker in (tmp_path / "faults").iterdir()] == ["place.before_call.kill"]


def test_the_nth_time_is_meant_and_the_other_points_are_passed(tmp_path: Path):
    assert run(tmp_path, "a.b=kill@3", "a.b", "a.b", "c.d").returncode == 0
    assert run(tmp_path, "c.d=raise, a.b=kill@3", "a.b", "a.b", "a.b").returncode == -signal.SIGKILL


def test_an_exception_names_the_point(tmp_path: Path):
    ended = run(tmp_path, "book.before_commit=raise", "book.before_commit")
    assert "Injected: fault at book.before_commit" in ended.stderr


def test_a_process_stands_still(tmp_path: Path, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(faults.time, "sleep", slept.append)
    made = faults.parse("a.b=hang", tmp_path)
    assert made is not None
    made["a.b"].strike("a.b")
    assert slept == [faults.HANG_SECONDS]


@pytest.mark.parametrize(
    "text", ["place", "place.before_call", "a.b=die", "a.b=kill@0", "A.b=kill", "a.b=kill;c.d=kill"]
)
def test_nonsense_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ValueError, match="TRADINGBOT_FAULTS"):
        faults.parse(text, tmp_path)


def test_a_real_venue_is_refused(db, tmp_path: Path, monkeypatch):
    login = LoginFactory(venue="projectx", base_url="https://api.topstepx.com")
    places.check(login)
    monkeypatch.setattr(faults, "_faults", faults.parse("a.b=kill", tmp_path))
    with pytest.raises(ImproperlyConfigured, match="TRADINGBOT_FAULTS"):
        places.check(login)
    places.check(LoginFactory(name="here"))


DECLARED_EXITS = {"exit", "close", "resize"}  # of strategies: no part of a breakout pair's life
NAMED_BY_ROW = {"role": ("stop",), "kind": ("cancel", "modify"), "step.step": ("capture",)}


def test_every_point_is_struck_by_a_scenario_and_every_scenario_has_its_point():
    """A point that was renamed would let its scenario pass without its fault."""
    sources = "\n".join(file.read_text() for file in (ROOT / "tradingbot/operations").rglob("*.py"))
    there = set(re.findall(r'point\("([a-z_.]+)"\)', sources))
    for row, where in re.findall(r'point\(f"\{([a-z.]+)\}\.([a-z_]+)"\)', sources):
        there |= {f"{name}.{where}" for name in NAMED_BY_ROW[row]}
    from tests.chaos import test_points

    lists = (test_points.WORKER, test_points.HANGS, test_points.RAISES, test_points.GUARD, test_points.STOP)
    struck = {point for of in (*lists, test_points.CAPTURE) for point in of}
    struck |= {point for of in (test_points.GUARD_LIVES, test_points.CAPTURE_LIVES) for _, point in of}
    scenarios = "\n".join(file.read_text() for file in (ROOT / "tests/chaos").glob("test_*.py"))
    struck |= set(re.findall(r'"([a-z]+\.(?:before|after)_[a-z]+)"', scenarios))
    assert struck - there == set()
    assert {name for name in there - struck if name.partition(".")[0] not in DECLARED_EXITS} == set()
