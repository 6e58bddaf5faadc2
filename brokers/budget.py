"""How many requests one login may send, and who goes first when they run out.

A venue counts the requests of a login over a moving window, whoever sends them. `SharedBudget` counts for all processes
in Redis, `LocalBudget` for this process alone. A lane may take while the window holds less than its share, so the last
requests of a busy minute belong to cancels and stops.

Without Redis no entry is sent and nothing is read: cancels, closes, stops and the question what became of an order go
on, from a few requests that every process has for itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from brokers.base import Lane, OverBudget

log = logging.getLogger(__name__)

ON_THE_WAY = 2
"""Seconds that a request may take to the venue, which counts it when it arrives."""
WINDOW = 60 + ON_THE_WAY
"""Seconds. ProjectX allows 200 requests in 60 s: guard owns 40, everything else together 160."""
GUARD = 40
REST = 160
ALONE = 12
"""Requests of a process in a window without Redis: 144 for the twelve of an installation that may speak to a venue."""

BARS_WINDOW = 30 + ON_THE_WAY
BARS = 30
"""ProjectX allows 50 in 30 s."""

SHARE = {
    Lane.CANCEL: 1.0,
    Lane.STOP: 0.9,
    Lane.RESOLVE: 0.85,
    Lane.PLACE: 0.8,
    Lane.RECONCILE: 0.75,  # five exposed accounts, each read 24 times a minute
    Lane.BARS: 0.6,
}
WITHOUT_REDIS = frozenset({Lane.CANCEL, Lane.STOP, Lane.RESOLVE})
PATIENCE = 2.0
BARS_PATIENCE = 35.0
"""Seconds that a read waits at most for its turn."""

SHORTEST = 0.001

RETRY_REDIS = 2.0


class Budget(Protocol):
    def take(self, lane: Lane, *, wait: bool) -> None:
        """Count one request. Raises OverBudget at once, or with `wait` when its turn does not come in time."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests of a login in the window that ends now.

    total      of all lanes together; a lane may send while it is below its limit
    by_lane    how many of them each lane sent, as far as it was noted
    limits     by lane
    bars, bars_limit   of the venue's own window for bars
    """

    total: int
    by_lane: Mapping[Lane, int]
    limits: Mapping[Lane, int]
    bars: int
    bars_limit: int

    def left(self, lane: Lane) -> int:
        """Return how many requests `lane` may send now."""
        left = max(self.limits[lane] - self.total, 0)
        return min(left, max(self.bars_limit - self.bars, 0)) if lane is Lane.BARS else left


class _Waiting:
    """Waiting for a turn, the same for every way of counting."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep

    def take(self, lane: Lane, *, wait: bool) -> None:
        give_up_at = self._clock() + (BARS_PATIENCE if lane is Lane.BARS else PATIENCE) if wait else 0.0
        while seconds := self.attempt(lane):
            if self._clock() + seconds > give_up_at:
                raise OverBudget(self.why(lane), retry_after=seconds)
            self._sleep(seconds)

    def why(self, lane: Lane) -> str:
        """Return in words why `lane` may not send now."""
        return f"the request budget of lane {lane.name} is spent"

    def attempt(self, lane: Lane) -> float:
        """Return 0 when a request was counted, else the seconds after which it is worth another try."""
        raise NotImplementedError


class LocalBudget(_Waiting):
    """The budget of one process.

    amount  requests a window
    speed   of the market's clock against the machine's: a venue at 30 times the speed allows 30 times the requests
    """

    def __init__(
        self,
        amount: int,
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(clock, sleep)
        self._limits = _limits(amount, speed)
        self._bars_limit = int(BARS * speed)
        self._taken: deque[float] = deque(maxlen=self._limits[Lane.CANCEL])
        self._bars_taken: deque[float] = deque(maxlen=self._bars_limit)
        self._lock = threading.Lock()

    @property
    def spent(self) -> int:
        """Return how many requests the window that ends now holds."""
        with self._lock:
            since = self._clock() - WINDOW
            return sum(at > since for at in self._taken)

    def attempt(self, lane: Lane) -> float:
        with self._lock:
            now = self._clock()
            seconds = _until_free(self._taken, self._limits[lane], WINDOW, now)
            if lane is Lane.BARS:
                seconds = max(seconds, _until_free(self._bars_taken, self._bars_limit, BARS_WINDOW, now))
            if not seconds:
                self._taken.append(now)
                if lane is Lane.BARS:
                    self._bars_taken.append(now)
            return seconds


class SharedBudget(_Waiting):
    """The budget of all processes of one login, counted in Redis; while that is away, the few requests of this process.

    url    of Redis
    login  the same text for every process of a login, unlike those of other logins
    wall   the machine's clock in seconds since the epoch: the one clock that the processes share
    """

    def __init__(
        self,
        url: str,
        login: str,
        *,
        wall: Callable[[], float],
        amount: int = REST,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from limits.errors import StorageError
        from limits.storage import RedisStorage

        super().__init__(clock, sleep)
        self._gone = StorageError
        patience: dict[str, Any] = {
            "socket_connect_timeout": 0.5,
            "socket_timeout": 0.5,
            "retry": None,  # redis-py would try three more times with pauses of seconds
        }
        self._redis = RedisStorage(url, key_prefix="budget", wrap_exceptions=True, **patience)
        self._key = login
        self._bars_key = f"{login}:bars-window"
        self._limits = _limits(amount, speed)
        self._bars_limit = int(BARS * speed)
        self._wall = wall
        self._alone = LocalBudget(ALONE, speed=speed, clock=clock, sleep=sleep)
        self._away_until = 0.0

    def attempt(self, lane: Lane) -> float:
        if self._away_until and self._clock() < self._away_until:
            return self._attempt_alone(lane)
        try:
            seconds = self._attempt_bars() if lane is Lane.BARS else 0.0
            seconds = seconds or self._attempt(self._key, self._limits[lane], WINDOW)
        except self._gone as error:
            if not self._away_until:
                log.warning("Redis is away, this process counts alone: %s", error)
            self._away_until = self._clock() + RETRY_REDIS
            return self._attempt_alone(lane)
        if self._away_until:
            log.warning("Redis is back, the processes count together again")
            self._away_until = 0.0
        return seconds

    def why(self, lane: Lane) -> str:
        if self._away_until and lane not in WITHOUT_REDIS:
            return f"Redis is away, and without the common count nothing is sent in lane {lane.name}"
        return super().why(lane)

    def note(self, lane: Lane) -> None:
        """Remember for `usage` that `lane` sent a request; not needed to send one, so nobody waits for it."""
        with suppress(self._gone):
            self._redis.acquire_entry(self._lane_key(lane), self._limits[Lane.CANCEL], WINDOW)

    def usage(self) -> Usage | None:
        """Return what the processes sent together; None while Redis cannot be asked."""
        try:
            return Usage(
                total=self._count(self._key, self._limits[Lane.CANCEL], WINDOW),
                by_lane={lane: self._count(self._lane_key(lane), self._limits[Lane.CANCEL], WINDOW) for lane in Lane},
                limits=self._limits,
                bars=self._count(self._bars_key, self._bars_limit, BARS_WINDOW),
                bars_limit=self._bars_limit,
            )
        except self._gone:
            return None

    def _attempt_alone(self, lane: Lane) -> float:
        if lane in WITHOUT_REDIS:
            return self._alone.attempt(lane)
        return max(self._away_until - self._clock(), SHORTEST)

    def _lane_key(self, lane: Lane) -> str:
        return f"{self._key}:{lane.name.lower()}"

    def _count(self, key: str, limit: int, window: int) -> int:
        _, count = self._redis.get_moving_window(key, limit, window)
        return int(count)

    def _attempt_bars(self) -> float:
        """Count one request in the venue's window for bars, unless the common one has no room for it."""
        return self._until_free(self._key, self._limits[Lane.BARS], WINDOW) or self._attempt(
            self._bars_key, self._bars_limit, BARS_WINDOW
        )

    def _attempt(self, key: str, limit: int, window: int) -> float:
        """Count one request if the window holds less than `limit`: one atomic step in Redis, lanes share the key.

        Entries above a lane's limit that Redis trims have left the window already, otherwise the lane could not take.
        """
        if self._redis.acquire_entry(key, limit, window):
            return 0.0
        return self._until_free(key, limit, window) or SHORTEST

    def _until_free(self, key: str, limit: int, window: int) -> float:
        """Return seconds until the window holds less than `limit` requests; 0 means now."""
        oldest, count = self._redis.get_moving_window(key, limit, window)
        return float(max(oldest + window - self._wall(), SHORTEST)) if count >= limit else 0.0


def _limits(amount: int, speed: float) -> dict[Lane, int]:
    return {lane: max(1, int(amount * speed * share)) for lane, share in SHARE.items()}


def _until_free(taken: deque[float], limit: int, window: int, now: float) -> float:
    """Return seconds until fewer than `limit` of the newest requests lie within the window; 0 means now."""
    if len(taken) < limit or taken[-limit] + window <= now:
        return 0.0
    return max(taken[-limit] + window - now, SHORTEST)
