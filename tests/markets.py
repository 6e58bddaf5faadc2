"""A market of which a test knows every bar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from brokers.simulated.products import Listing
from market.bars import Bars, Int, epoch
from market.sessions import Session


def wave(minute: Int) -> Int:
    """Return prices in ticks that go up and down 40 ticks around 80,000 every two hours."""
    phase = minute % 120
    return 79_960 + np.minimum(phase, 120 - phase) * 80 // 60


class DrawnMarket:
    """Every minute since 1970 closes at `price(minute)` and opens where the one before closed.

    volume   contracts a minute, by month: which one is busy
    offset   ticks added to every price, by month
    """

    def __init__(self, price: Callable[[Int], Int] = wave) -> None:
        self.price = price
        self.volume: Callable[[Listing, Session], int] = lambda listing, session: 100
        self.offset: Callable[[Listing], int] = lambda listing: 0
        self._without: list[int] = []

    def leave_out(self, opened_at: datetime) -> None:
        """Let nothing trade in the minute that opens then."""
        self._without.append(epoch(opened_at))

    def close(self, at: datetime) -> int:
        """Return the price in ticks at which the minute that ends then closed."""
        return int(self.price(np.array([epoch(at) // 60 - 1]))[0])

    def minutes(self, listing: Listing, session: Session) -> Bars:
        volume, offset = self.volume(listing, session), self.offset(listing)
        at = np.arange(epoch(session.opens_at), epoch(session.closes_at), 60, np.int64)
        at = at[~np.isin(at, self._without)] if volume else at[:0]
        opened, closed = self.price(at // 60 - 1) + offset, self.price(at // 60) + offset
        return Bars(
            at,
            opened,
            np.maximum(opened, closed) + 1,
            np.minimum(opened, closed) - 1,
            closed,
            np.full(len(at), volume, np.int64),
        )
