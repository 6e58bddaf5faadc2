"""Indicators over closed bars; each equals TA-Lib's on the window that it is given.

The columns are worked out session by session: the values of a session's bars are TA-Lib's on those bars and on a fixed
number of bars before the session's first, the lookback. So a value never depends on how far back the bars reach, and
the seed of a recursion (Wilder's averages and the EMA never forget it) weighs so little that the value is that of any
longer history to 1e-9. A session with fewer bars before it than the lookback has no values: NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from market.bars import Bars, Int

Float = npt.NDArray[np.float64]

WILDER_PERIODS = 30  # lookback of ATR and RSI in periods: (1 - 1/n) ** (30 n) is below 1e-13
ADX_PERIODS = 40  # of the ADX, an average of averages
EMA_PERIODS = 15  # of the EMA: (1 - 2/(n + 1)) ** (15 n) is below 1e-12
_BILLIONTH = Decimal("1e-9")


class Average(StrEnum):
    """How a moving average weighs its bars."""

    SMA = "sma"
    EMA = "ema"


def atr(bars: Bars, period: int, window: int) -> Decimal | None:
    """Return Wilder's average true range in ticks after the last of `bars`, None with no more than `period` bars.

    window   at most so many bars are used, the newest. Wilder's average never forgets its first value: without a window
             it would depend on how far back one happens to look. TA-Lib seeds with the mean of the first `period` true
             ranges; a seed `n` bars ago weighs (1 - 1/period) ** n, below 1e-8 after 20 periods.

    Rounded to a billionth of a tick, so that machines agree on which way half a tick is rounded.
    Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978); TA-Lib, ta_ATR.c.
    """
    import talib

    used = bars[max(0, len(bars) - window) :]
    if len(used) <= period:
        return None
    high, low, close = (column.astype(np.float64) for column in (used.high, used.low, used.close))
    return Decimal(float(talib.ATR(high, low, close, timeperiod=period)[-1])).quantize(_BILLIONTH)


def lookback(average: Average, period: int) -> int:
    """Return how many bars before a session the moving average needs."""
    return period * EMA_PERIODS if average is Average.EMA else period - 1


def moving_average(bars: Bars, begins: Int, average: Average, period: int) -> Float:
    """Return per bar the moving average of the closes in ticks; the EMA is seeded with the mean of `period` closes.

    begins   index of the first bar of each session, as for all columns here
    """
    import talib

    function = talib.EMA if average is Average.EMA else talib.SMA
    return by_session(bars, begins, lookback(average, period), lambda high, low, close: function(close, period))


def average_true_range(bars: Bars, begins: Int, period: int) -> Float:
    """Return per bar Wilder's average true range in ticks."""
    import talib

    def calculate(high: Float, low: Float, close: Float) -> Float:
        return np.asarray(talib.ATR(high, low, close, period))

    return by_session(bars, begins, WILDER_PERIODS * period, calculate)


def rsi(bars: Bars, begins: Int, period: int) -> Float:
    """Return per bar Wilder's relative strength index of the closes, 0 to 100; 0 where no close ever differed."""
    import talib

    return by_session(bars, begins, WILDER_PERIODS * period, lambda high, low, close: talib.RSI(close, period))


def adx(bars: Bars, begins: Int, period: int) -> Float:
    """Return per bar Wilder's average directional index, 0 (no direction) to 100."""
    import talib

    def calculate(high: Float, low: Float, close: Float) -> Float:
        return np.asarray(talib.ADX(high, low, close, period))

    return by_session(bars, begins, ADX_PERIODS * period, calculate)


def lowest(bars: Bars, begins: Int, count: int) -> Float:
    """Return per bar the lowest low of it and the bars before it, `count` in all."""
    import talib

    return by_session(bars, begins, count - 1, lambda high, low, close: talib.MIN(low, count))


def highest(bars: Bars, begins: Int, count: int) -> Float:
    """Return per bar the highest high of it and the bars before it, `count` in all."""
    import talib

    return by_session(bars, begins, count - 1, lambda high, low, close: talib.MAX(high, count))


def by_session(bars: Bars, begins: Int, needed: int, calculate: Callable[[Float, Float, Float], Float]) -> Float:
    """Return what `calculate` (high, low, close -> a value a bar) says of each session's bars.

    It is given them and the `needed` bars before them; NaN where there are fewer.
    """
    high, low, close = (column.astype(np.float64) for column in (bars.high, bars.low, bars.close))
    values = np.full(len(bars), np.nan)
    for first, end in zip(begins.tolist(), np.append(begins, len(bars))[1:].tolist(), strict=True):
        if first >= needed:
            used = slice(first - needed, end)
            values[first:end] = calculate(high[used], low[used], close[used])[needed:]
    return values
