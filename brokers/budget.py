"""How many requests one login may send, and who goes first when they run out.

A venue counts the requests of a login over a moving window, whoever sends them. `SharedBudget` counts for all processes
in Redis, `LocalBudget` for this process alone. A lane may take while the window holds less than its share, so the last
requests of a busy minute belong to cancels and stops.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from brokers.base import Lane, OverBudget

log = logging.getLogger(__name__)

WINDOW = 60
"""Seconds. ProjectX allows 200 requests in 60 s: guard owns 40, everything else together 160."""
GUARD = 40
REST = 160
ALONE = 20
"""Requests a process allows itself in a window while it cannot count with the others."""

BARS_WINDOW = 30
BARS = 30

SHARE = {
    Lane.CANCEL: 1.0,
    Lane.STOP: 0.95,
    Lane.RESOLVE: 0.9,
    Lane.PLACE: 0.85,
    Lane.RECONCILE: 0.75,
    Lane.BARS: 0.6,
}
PATIENCE = 2.0
BARS_PATIENCE = 35.0
"""Seconds that a read waits at most for its turn."""

SHORTEST = 0.001

RETRY_REDIS = 2.0


class Budget(Protocol):
    def take(self, lane: Lane, *, wait: bool) -> None:
        """Count one request. Raises OverBudget at once, or with `wait` when its turn does not come in time."""


class _Waiting:
    """Waiting for a turn, the same for every way of counting."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep

    def take(self, lane: Lane, *, wait: bool) -> None:
        give_up_at = self._clock() + (BARS_PATIENCE if lane is Lane.BARS else PATIENCE) if wait else 0.0
        while seconds := self.attempt(lane):
            if self._clock() + seconds > give_up_at:
                raise OverBudget(f"the request budget of lane {lane.name} is spent", retry_after=seconds)
            self._sleep(seconds)

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
    """The budget of all processes of one login, counted in Redis; while that is away, a small one of this process.

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
        self._bars_key = f"{login}:bars"
        self._limits = _limits(amount, speed)
        self._bars_limit = int(BARS * speed)
        self._wall = wall
        self._alone = LocalBudget(ALONE, speed=speed, clock=clock, sleep=sleep)
        self._away_until = 0.0

    def attempt(self, lane: Lane) -> float:
        if self._away_until and self._clock() < self._away_until:
            return self._alone.attempt(lane)
        try:
            seconds = self._attempt(self._bars_key, self._bars_limit, BARS_WINDOW) if lane is Lane.BARS else 0.0
            seconds = seconds or self._attempt(self._key, self._limits[lane], WINDOW)
        except self._gone as error:
            if not self._away_until:
                log.warning("Redis is away, this process counts alone: %s", error)
            self._away_until = self._clock() + RETRY_REDIS
            return self._alone.attempt(lane)
        if self._away_until:
            log.warning("Redis is back, the processes count together again")
            self._away_until = 0.0
        return seconds

    def _attempt(self, key: str, limit: int, window: int) -> float:
        """Count one request if the window holds less than `limit`: one atomic step in Redis, lanes share the key.

        Entries above a lane's limit that Redis trims have left the window already, otherwise the lane could not take.
        """
        if self._redis.acquire_entry(key, limit, window):
            return 0.0
        oldest, _ = self._redis.get_moving_window(key, limit, window)
        return float(max(oldest + window - self._wall(), SHORTEST))


def _limits(amount: int, speed: float) -> dict[Lane, int]:
    return {lane: max(1, int(amount * speed * share)) for lane, share in SHARE.items()}


def _until_free(taken: deque[float], limit: int, window: int, now: float) -> float:
    """Return seconds until fewer than `limit` of the newest requests lie within the window; 0 means now."""
    if len(taken) < limit or taken[-limit] + window <= now:
        return 0.0
    return max(taken[-limit] + window - now, SHORTEST)
