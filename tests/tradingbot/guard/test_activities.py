"""An activity goes on whatever a round ends with, and says what is wrong once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError

from brokers.base import ReadFailed
from tests.tradingbot.guard.service import soon
from tradingbot.operations.guard import activities
from tradingbot.operations.guard.activities import Activity


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], float]], Activity]]:
    monkeypatch.setattr(activities, "AGAIN", 0.01)
    monkeypatch.setattr(activities, "close_old_connections", lambda: None)  # no database in these tests
    started: list[Activity] = []

    def begin(round: Callable[[], float]) -> Activity:
        started.append(Activity("50KTC-1", round))
        started[-1].start()
        return started[-1]

    yield begin
    for activity in started:
        activity.end()
        activity.join(5)
        assert not activity.is_alive()


class Rounds:
    """What the rounds end with, one after the other; the last again and again."""

    def __init__(self, *ends: Exception | float) -> None:
        self.ends = list(ends)
        self.count = 0

    def __call__(self) -> float:
        self.count += 1
        end = self.ends[min(self.count, len(self.ends)) - 1]
        if isinstance(end, Exception):
            raise end
        return end


@pytest.mark.parametrize(
    ("error", "lost", "well", "line"),
    [
        (ReadFailed("HTTP 502"), False, True, "50KTC-1: the venue: HTTP 502"),
        (OperationalError("gone\naway"), True, False, "50KTC-1: PostgreSQL: OperationalError: gone"),
        (ValueError("a bug"), False, False, "50KTC-1: failed: ValueError: a bug"),
    ],
)
def test_a_failed_round_is_told_once_and_followed_by_the_next(start, caplog, error, lost, well, line):
    rounds = Rounds(error)
    activity = start(rounds)
    before = activity.went_well_at
    soon(lambda: rounds.count > 4)
    assert (activity.lost, activity.went_well_at > before) == (lost, well)
    assert [record.getMessage() for record in caplog.records] == [line]


def test_its_end_is_told_too(start, caplog):
    caplog.set_level(logging.INFO)
    activity = start(Rounds(OperationalError("gone"), 60.0))
    soon(lambda: not activity.lost and len(caplog.records) == 2)
    assert caplog.records[-1].getMessage() == "50KTC-1: goes on"


def test_a_long_wait_ends_when_it_is_told_to_hurry_or_to_end(start):
    rounds = Rounds(600.0)
    activity = start(rounds)
    soon(lambda: rounds.count == 1)
    activity.hurry()
    soon(lambda: rounds.count == 2)
