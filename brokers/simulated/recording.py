"""What came of a market from elsewhere, by the time at which it came."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from brokers.projectx.hubs import Quote
from brokers.simulated.hubs_tape import Print
from market.bars import Bar, epoch, moment

_KEPT = 20_000
"""Prints of a contract: the newest minutes, at twenty a second."""
_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Recording:
    """One contract: its newest prints, how many there were in all, and its newest quote."""

    prints: deque[Print] = field(default_factory=lambda: deque(maxlen=_KEPT))
    count: int = 0
    quote: Quote | None = None

    def add(self, one: Print) -> None:
        self.prints.append(one)
        self.count += 1

    def since(self, count: int) -> list[Print]:
        """Return the prints after the first `count`, as far as they are kept."""
        new = min(self.count - count, len(self.prints))
        return list(islice(self.prints, len(self.prints) - new, None))

    def last(self, at: datetime) -> int | None:
        """Return the newest price that was there at `at`."""
        return next((one.price for one in reversed(self.prints) if one.at <= at), None)

    def way(self, at: datetime) -> RecordedWay | None:
        """Return what came of the minute in which `at` lies; None before the first price."""
        opened_at = epoch(at) // 60 * 60
        start = moment(opened_at)
        inside: list[Print] = []
        before: int | None = None
        for one in reversed(self.prints):
            if one.at <= start:
                before = one.price
                break
            if one.at <= start + _MINUTE:
                inside.append(one)
        if before is None and not inside:
            return None
        return RecordedWay(opened_at, inside[::-1], inside[-1].price if before is None else before)


class RecordedWay:
    """The prints of one minute so far, after the price with which it began. A piece has what came after its start."""

    def __init__(self, opened_at: int, prints: list[Print], before: int) -> None:
        self.opened_at = opened_at
        self._prints = prints
        self._before = before

    def price(self, at: int) -> int:
        until = self._moment(at)
        return next((one.price for one in reversed(self._prints) if one.at <= until), self._before)

    def piece(self, start: int, end: int) -> Bar:
        inside = [one for one in self._prints if self._moment(start) < one.at <= self._moment(end)]
        prices = [self.price(start), *(one.price for one in inside)]
        volume = sum(one.quantity for one in inside)
        return Bar(self.opened_at + start // 1_000_000, prices[0], max(prices), min(prices), prices[-1], volume)

    def _moment(self, at: int) -> datetime:
        return moment(self.opened_at) + timedelta(microseconds=at)
