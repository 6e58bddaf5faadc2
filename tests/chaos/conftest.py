"""Scenarios are no part of the everyday run: `make chaos` runs them, several at a time, and tells what it measured."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.chaos.machine import ROOT, Machine, running
from tests.chaos.system import System, system

VAR = Path(os.environ.get("CHAOS_VAR") or ROOT / "var" / "chaos")
REPORT = VAR / "report.jsonl"


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    with running(VAR, os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))) as machine:
        yield machine


@pytest.fixture
def run(machine: Machine, tmp_path: Path) -> Iterator[System]:
    """A system of its own with its venue; everything else is started by the scenario."""
    with system(machine, tmp_path) as made:
        yield made


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # once a run, not in each of its processes
        REPORT.unlink(missing_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those begin first that need PostgreSQL for themselves: who comes after them waits for nobody."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not REPORT.exists():
        return
    rows = [json.loads(line) for line in REPORT.read_text().splitlines()]
    say, bare = terminalreporter.write_line, [row["bare_max"] for row in rows if row["bare"]]
    every = [*bare, *[0.0] * (sum(row["exposures"] for row in rows) - len(bare))]
    resumed = [row["resumed"] for row in rows if row["resumed"] is not None]
    say("")
    for row in sorted(rows, key=lambda row: row["scenario"]):
        verdict = "; ".join(row["violations"]) or ("flat" if row["flat"] else "not flat")
        say(f"{row['scenario']:<60} {row['seconds']:>5.0f} s  bare {row['bare_max']:>4.1f} s  {verdict}")
    say(
        f"{len(rows)} scenarios, {sum(row['orders'] for row in rows)} orders: {sum(row['doubles'] for row in rows)} "
        f"doubles, {sum(row['lost'] for row in rows)} lost intents; exposure without a full stop: "
        f"max {max(bare, default=0.0):.1f} s, median {median(bare) if bare else 0.0:.1f} s of {len(bare)}, "
        f"{median(every) if every else 0.0:.1f} s of all {len(every)} exposures; "
        f"flat {sum(row['flat'] for row in rows)} of {len(rows)}; "
        f"resumed by itself within {max(resumed, default=0.0):.1f} s of {len(resumed)} outages; "
        f"{sum(row['cpu'] for row in rows) / max(1, len(rows)):.1f} s of CPU a scenario"
    )
