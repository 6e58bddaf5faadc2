"""The machine's monotonic time, wound by hand."""

from __future__ import annotations

import time


class Clockwork:
    """Stands where a module has `time`."""

    def __init__(self) -> None:
        self._at = 1000.0

    def monotonic(self) -> float:
        return self._at

    def wait(self, seconds: float) -> None:
        self._at += seconds

    sleep = wait


class Running(Clockwork):
    """Goes on by itself, too, as PostgreSQL's does."""

    def monotonic(self) -> float:
        return self._at + time.monotonic()
