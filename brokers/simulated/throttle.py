"""How many requests a login may make, whatever its tokens: a sliding window in the machine's time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable


class Throttle:
    """At most `limit` requests a key in any `seconds`; `clock` counts machine seconds and never goes back."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def take(self, key: str) -> bool:
        """Return whether a request may pass, and count it if so."""
        now, taken = self._clock(), self._taken[key]
        while taken and taken[0] <= now - self._seconds:
            taken.popleft()
        if len(taken) >= self._limit:
            return False
        taken.append(now)
        return True
