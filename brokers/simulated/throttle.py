"""How many requests a login may make, whatever its tokens: a window in the machine's time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable


class Throttle:
    """At most `limit` requests a key in `seconds`; `clock` counts machine seconds and never goes back."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def take(self, key: str, *, fixed: bool = False) -> float:
        """Count a request and return 0, or return after how many seconds one may pass.

        fixed   count from the first request of each window; else in any `seconds`
        """
        now, taken = self._clock(), self._taken[key]
        while taken and taken[0] <= now - self._seconds:
            if fixed:
                taken.clear()
            else:
                taken.popleft()
        if len(taken) >= self._limit:
            return taken[0] + self._seconds - now
        taken.append(now)
        return 0.0
