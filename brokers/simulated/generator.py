"""A market out of a seed: the same bars for the same seed, contract and day, whatever was asked before.

The log price of a product reverts slowly to its reference, so that no day drifts to a silly level. Each session is a
bridge from its open (last close and a gap) to its close, volatile when New York opens, quiet overnight; the extremes of
a minute are distributed as a Brownian bridge's between its open and close. Months further out are dearer by a carry.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from zlib import crc32

import numpy as np
import numpy.typing as npt

from brokers.simulated.products import Listing, Product, front
from market.bars import Bars, Int, epoch
from market.sessions import Session

_EPOCH, _WEEKS = date(2000, 1, 3), 3200  # a Monday; to 2061
_REVERSION = 0.995  # of the log price a day: half of a deviation is gone after 138 days
_CARRY = 0.035  # a year
_KEPT = 320  # sessions in memory, 66 kB each
_BACK_MONTH = 0.2  # of the front month's volume

# By minutes since 18:00 New York: volatility of a minute against the day's average, and volume against a busy minute.
_RHYTHM = np.array(
    [
        (0, 0.9, 0.3), (5, 0.6, 0.15), (60, 0.4, 0.08), (360, 0.35, 0.06), (530, 0.45, 0.1), (545, 0.8, 0.2),
        (600, 0.65, 0.15), (748, 0.55, 0.12), (755, 0.7, 0.2), (780, 0.7, 0.2), (868, 0.8, 0.3), (872, 1.9, 0.8),
        (885, 1.1, 0.4), (925, 1.0, 0.4), (930, 3.4, 2.6), (935, 3.0, 2.2), (960, 2.3, 1.6), (1020, 1.6, 1.1),
        (1140, 1.1, 0.7), (1230, 1.2, 0.8), (1290, 1.6, 1.3), (1317, 1.9, 2.2), (1323, 0.6, 0.3), (1380, 0.4, 0.1),
    ]
)  # fmt: skip
_CLOCK, _NERVES, _CROWD = _RHYTHM.T

Float = npt.NDArray[np.float64]


class GeneratedMarket:
    """Every listed product, on every session from 2000 on."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._sessions: OrderedDict[tuple[str, date], Bars] = OrderedDict()

    def minutes(self, listing: Listing, session: Session) -> Bars:
        key = (listing.contract.id, session.trade_date)
        bars = self._sessions.pop(key, None)
        if bars is None:
            bars = self._generate(listing, session)
        self._sessions[key] = bars
        if len(self._sessions) > _KEPT:
            self._sessions.popitem(last=False)
        return bars

    def _generate(self, listing: Listing, session: Session) -> Bars:
        if not listing.first_date <= session.trade_date <= listing.last_date:
            return Bars.empty()
        product, day = listing.product, session.trade_date
        chance = np.random.default_rng([self.seed, crc32(listing.contract.id.encode()), day.toordinal()])
        length = int((session.closes_at - session.opens_at).total_seconds()) // 60
        since_open = np.arange(length)
        nerves = np.interp(since_open, _CLOCK, _NERVES) * np.exp(0.35 * chance.standard_normal(length))
        nerves *= np.sqrt(
            1 / np.square(np.interp(np.arange(1380), _CLOCK, _NERVES)).sum()
        )  # a whole day has variance 1
        sigma = nerves * product.sigma * np.exp(0.25 * chance.standard_normal())

        opened, closed = self._ends(listing, day)
        steps = sigma * chance.standard_normal(length)
        steps += (closed - opened - steps.sum()) * np.square(sigma) / np.square(sigma).sum()
        closes = opened + np.cumsum(steps)
        opens = np.concatenate(([opened], closes[:-1])) + 0.08 * sigma * chance.standard_normal(length)
        highs, lows = _extremes(opens, closes, sigma, chance)
        crowd = np.interp(since_open, _CLOCK, _CROWD) * np.exp(0.5 * chance.standard_normal(length) - 0.125)
        share = 1.0 if front(product, day).contract.id == listing.contract.id else _BACK_MONTH
        volume = np.floor(crowd * (0.5 + 0.5 * nerves / nerves.mean()) * share * product.volume + chance.random(length))
        columns = [_ticks(column, product) for column in (opens, highs, lows, closes)]
        traded = volume > 0
        return Bars(
            *(
                column[traded]
                for column in (epoch(session.opens_at) + 60 * since_open, *columns, volume.astype(np.int64))
            )
        )

    def _ends(self, listing: Listing, day: date) -> tuple[float, float]:
        """Return the log prices at which the day opens and closes."""
        levels, index = _levels(self.seed, listing.product), _weekday(day)
        gap = np.random.default_rng(
            [self.seed, crc32(listing.symbol_id.encode()), day.toordinal(), 1]
        ).standard_normal()
        gap *= listing.product.sigma * (0.35 if day.weekday() == 0 else 0.08)
        before = day - timedelta(days=3 if day.weekday() == 0 else 1)
        return levels[index - 1] + _carry(listing, before) + float(gap), levels[index] + _carry(listing, day)


@cache
def _levels(seed: int, product: Product) -> list[float]:
    """Return the log of the product's spot price at the end of each weekday since _EPOCH."""
    shocks = np.random.default_rng([seed, crc32(product.code.encode())]).standard_normal(5 * _WEEKS) * product.sigma
    reference = float(np.log(float(product.reference)))
    return [reference + x for x in accumulate(shocks.tolist(), lambda level, shock: _REVERSION * level + shock)]


def _weekday(day: date) -> int:
    weeks, rest = divmod((day - _EPOCH).days, 7)
    return 5 * weeks + min(rest, 4)


def _carry(listing: Listing, day: date) -> float:
    return _CARRY * (listing.last_front_date - day).days / 365


def _extremes(opens: Float, closes: Float, sigma: Float, chance: np.random.Generator) -> tuple[Float, Float]:
    """Return the highest and lowest points of Brownian bridges with the variance of a minute.

    Source: the maximum's distribution function is 1 - exp(-2 (m - a)(m - b) / variance), inverted.
    """
    reach = [-2 * np.square(sigma) * np.log(chance.random(len(opens))) for _ in range(2)]
    high = (opens + closes + np.sqrt(np.square(closes - opens) + reach[0])) / 2
    low = (opens + closes - np.sqrt(np.square(closes - opens) + reach[1])) / 2
    return high, low


def _ticks(logs: Float, product: Product) -> Int:
    ticks: Int = np.rint(np.exp(logs) / float(product.tick_size)).astype(np.int64)
    return ticks
