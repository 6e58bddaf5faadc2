"""The stream loses what happens, falls silent or is killed: polling takes over, and no entry is held back for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.life import Life, judge
from tests.chaos.machine import Machine
from tests.chaos.system import System, system

pytestmark = pytest.mark.chaos

BOOKED_WITHIN = 35.0
"""Machine seconds at real-time speed: a check every 30 s, and what it takes."""


def delivers(run: System) -> None:
    run.wait(
        lambda: run.rows("SELECT 1 FROM tradingbot_heartbeat WHERE name = 'stream' AND note = 'both hubs deliver'"),
        "the stream",
        90,
    )
    allowed(run)


def allowed(run: System, seconds: float = 30) -> None:
    run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked = ''"), "the comparison", seconds)


def foreign(run: System) -> None:
    run.fault("foreign", account_id=run.account_id, contract_id="CON.F.US.MNQ.Z26", side=0)


def test_a_fill_that_the_hub_loses_is_booked_by_the_check(machine: Machine, tmp_path: Path):
    with system(machine, tmp_path, speed=1) as run:
        run.beat()
        run.worker(queues="critical")
        run.act("look")
        run.stream()
        delivers(run)
        run.fault("hubs", lost=1.0)
        foreign(run)
        began = time.monotonic()
        run.fault("hubs", lost=0.0)
        run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_fill"), "the fill", 60)
        assert time.monotonic() - began <= BOOKED_WITHIN
        run.wait(
            lambda: "were not brought" in (run.var / "stream.log").read_text(), "the stream's notice of the gap", 30
        )
        life = Life(run)
        life.flat()
        life.settled()
        judge(run, "fill lost on the hub")


def test_a_fill_that_the_hub_brings_is_booked_without_any_check(run: System):
    run.act("look")
    run.stream()
    delivers(run)
    foreign(run)
    run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_fill"), "the fill", 10)


def test_a_stream_that_is_killed_while_it_compares_holds_no_entry_back(run: System):
    run.act("look")
    run.stream(faults="book.after_read=kill")
    run.wait(run.struck, "the kill", 60)
    assert run.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked LIKE 'stream:%'")
    run.beat()
    run.worker()
    run.guard()
    run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked = ''"), "the end of the block", 60)
    life = Life(run)
    life.begin()
    life.whole()
    judge(run, "stream killed between connect and comparison")


@pytest.mark.parametrize("fault", [{"mute": True}, {"refuse": 503}, {"silent": True}])
def test_the_pair_lives_its_life_while_the_hubs_are_out_of_order(run: System, fault: dict[str, object]):
    run.beat()
    run.worker()
    run.guard()
    run.stream()
    delivers(run)
    run.fault("hubs", **fault)
    if "refuse" in fault:
        run.fault("hubs", drop="both")
    life = Life(run)
    life.begin()
    life.whole()
    judge(run, f"hubs {fault}")


def test_after_a_logout_entries_wait_for_the_next_comparison(run: System):
    run.beat()
    run.worker()
    run.guard()
    run.stream()
    delivers(run)
    run.act("look")
    run.fault("hubs", logout=True)
    run.wait(lambda: run.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked LIKE '%session%'"), "the block", 30)
    with pytest.raises(RuntimeError, match="another session"):
        run.act("pair")
    allowed(run, seconds=150)
    life = Life(run)
    life.begin()
    life.whole()
    judge(run, "hubs logged out")


def test_events_come_twice_and_shuffled_and_some_never(run: System):
    run.beat()
    run.worker()
    run.guard()
    run.stream()
    delivers(run)
    run.fault("hubs", lost=0.3, duplicated=0.5, reordered=0.5)
    life = Life(run)
    life.begin()
    life.whole()
    judge(run, "hub events lost, twice, shuffled")
