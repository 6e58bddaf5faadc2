"""What the venue does a little later, in market time: orders that become live, bracket legs that go."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime

Act = Callable[[datetime], None]


class Timers:
    """Acts by when they are due; of two that are due together the one that was set first comes first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Act]] = []
        self._set = 0

    def set(self, at: datetime, act: Act) -> None:
        """Have `act` called with its time once the market has come to `at`."""
        self._set += 1
        heapq.heappush(self._waiting, (at, self._set, act))

    def next(self) -> datetime | None:
        """Return when the next one is due."""
        return self._waiting[0][0] if self._waiting else None

    def until(self, at: datetime) -> Iterator[tuple[datetime, Act]]:
        """Take out and yield what is due by `at`, also what is set meanwhile."""
        while self._waiting and self._waiting[0][0] <= at:
            due_at, _, act = heapq.heappop(self._waiting)
            yield due_at, act

    def waiting(self) -> list[tuple[datetime, int, Act]]:
        """Return what waits, for `put_back`."""
        return self._waiting.copy()

    def put_back(self, waiting: list[tuple[datetime, int, Act]]) -> None:
        """Wait for this again: what was done since has been undone."""
        self._waiting = waiting
