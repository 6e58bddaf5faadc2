"""How the price travels inside a minute: open, nearer extreme, other extreme, close, at an even pace.

A rule, not the truth: a bar does not tell. It is the same every time, so a fill can be worked out by hand. When both
extremes are equally near, the high comes first.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from market.bars import Bar, Bars

MINUTE = 60_000_000  # microseconds


class Path:
    """The way through one minute bar; times in microseconds since it opened, prices in ticks."""

    def __init__(self, bar: Bar) -> None:
        up_first = bar.high - bar.open <= bar.open - bar.low
        first, second = (bar.high, bar.low) if up_first else (bar.low, bar.high)
        self.opened_at = bar.opened_at
        self._bar = bar
        self._corners = (bar.open, first, second, bar.close)
        lengths = [abs(b - a) for a, b in pairwise(self._corners)]
        self._walked = (0, lengths[0], lengths[0] + lengths[1], sum(lengths))

    def price(self, at: int) -> int:
        """Return the price at `at`."""
        walked = self._walked[-1] * at // MINUTE
        for corner, target, begun, done in zip(
            self._corners, self._corners[1:], self._walked, self._walked[1:], strict=False
        ):
            if walked < done:
                return corner + (walked - begun) * (1 if target > corner else -1)
        return self._corners[-1]

    def piece(self, start: int, end: int) -> Bar:
        """Return the part between two times as a bar; consecutive pieces join, and all together are the minute."""
        length, volume = self._walked[-1], self._bar.volume
        first, last = self.price(start), self.price(end)
        low, high = length * start // MINUTE, length * end // MINUTE
        passed = [c for c, walked in zip(self._corners, self._walked, strict=True) if low <= walked <= high]
        return Bar(
            opened_at=self._bar.opened_at + start // 1_000_000,
            open=first,
            high=max(first, last, *passed),
            low=min(first, last, *passed),
            close=last,
            volume=volume * end // MINUTE - volume * start // MINUTE,
        )


@lru_cache(maxsize=64)
def path(bar: Bar) -> Path:
    """Return the way through `bar`."""
    return Path(bar)


def seconds(bars: Bars) -> Bars:
    """Return the ways through many minute bars at once, as bars of one second."""
    up_first = bars.high - bars.open <= bars.open - bars.low
    first, second = np.where(up_first, bars.high, bars.low), np.where(up_first, bars.low, bars.high)
    corners = np.stack((bars.open, first, second, bars.close))
    walked = np.concatenate((np.zeros((1, len(bars)), np.int64), np.abs(np.diff(corners, axis=0)).cumsum(axis=0)))
    steps = np.arange(61)
    done = walked[3][:, None] * steps // 60
    price = np.broadcast_to(corners[3][:, None], done.shape)
    for leg in (2, 1, 0):
        towards = np.sign(corners[leg + 1] - corners[leg])[:, None]
        here = corners[leg][:, None] + (done - walked[leg][:, None]) * towards
        price = np.where(done < walked[leg + 1][:, None], here, price)
    high, low = (extreme(price[:, :-1], price[:, 1:]) for extreme in (np.maximum, np.minimum))
    for corner, at in zip(corners, walked, strict=True):
        passed = (done[:, :-1] <= at[:, None]) & (at[:, None] <= done[:, 1:])
        high = np.where(passed, np.maximum(high, corner[:, None]), high)
        low = np.where(passed, np.minimum(low, corner[:, None]), low)
    opened_at = bars.opened_at[:, None] + steps[:-1]
    volume = np.diff(bars.volume[:, None] * steps // 60, axis=1)
    return Bars(*(column.ravel() for column in (opened_at, price[:, :-1], high, low, price[:, 1:], volume)))
