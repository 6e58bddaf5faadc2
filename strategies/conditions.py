"""What kind of market it is: trending, ranging, volatile or breaking out, judged on closed bars.

The first that holds, on the newest closed bar:

    breakout   within the last BREAKOUT_BARS bars one closed beyond the extremes of the CHANNEL bars before it, and its
               true range was at least BREAKOUT_RANGE x the ATR of the bar before
    volatile   the ATR is above VOLATILE_RATIO x its own mean of the last ATR_MEAN bars
    trending   the ADX is at least TREND_ADX
    ranging    else

A session's first bars and days without enough bars before them have no condition: unknown. Sources: J. W. Wilder, "New
Concepts in Technical Trading Systems" (1978): ADX and its threshold of 25; the channel is R. Donchian's of four weeks,
20 bars. The other numbers are conventions, not findings.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import numpy as np

from market.bars import Bars, Int, Timeframe
from market.plans import Bool, Frames
from strategies.indicators import ADX_PERIODS, WILDER_PERIODS, Float, by_session
from strategies.intraday import Closed, closed

PERIOD = 14
TREND_ADX = 25.0
VOLATILE_RATIO = 1.5
ATR_MEAN = 100
CHANNEL = 20
BREAKOUT_RANGE = 1.5
BREAKOUT_BARS = 3
LOOKBACK = max(ADX_PERIODS * PERIOD, WILDER_PERIODS * PERIOD + ATR_MEAN)
"""Bars before a session that decide about its conditions."""


class Condition(IntEnum):
    """Condition of a market; UNKNOWN suits no strategy."""

    UNKNOWN = 0
    RANGING = 1
    TRENDING = 2
    VOLATILE = 3
    BREAKOUT = 4


class Filtered(Protocol):
    """Parameters with the filter by market condition."""

    @property
    def filter_condition(self) -> bool: ...

    @property
    def condition_timeframe(self) -> Timeframe: ...


def classify(bars: Bars, begins: Int) -> Int:
    """Return per bar the Condition after its close. `begins` is the index of the first bar of each session."""
    return np.nan_to_num(by_session(bars, begins, LOOKBACK, _classify), nan=Condition.UNKNOWN).astype(np.int64)


def with_condition(lookbacks: dict[Timeframe, int], params: Filtered) -> dict[Timeframe, int]:
    """Return the bars of each frame that a strategy needs before a session, with the filter's if it is on."""
    if not params.filter_condition:
        return lookbacks
    frame = params.condition_timeframe
    return lookbacks | {frame: max(LOOKBACK, lookbacks.get(frame, 0))}


def refused_by_condition(
    frames: Frames, params: Filtered, made: Closed, suits: frozenset[Condition]
) -> list[tuple[Bool, str]]:
    """Return which bars of `made` the filter keeps from entering, with the reasons; nothing while it is off."""
    if not params.filter_condition:
        return []
    condition = at(frames, params.condition_timeframe, made.placed_at, made.session_open)
    return [(condition == one, refusal(one, suits)) for one in Condition if one not in suits]


def refusal(found: Condition, suits: frozenset[Condition]) -> str:
    """Return the reason for which a strategy that suits others does not enter in a condition."""
    wanted = " or ".join(one.name.lower() for one in sorted(suits))
    word = "not classified yet" if found is Condition.UNKNOWN else found.name.lower()
    return f"the market is {word}, entries want it {wanted} (filter_condition)"


def at(frames: Frames, timeframe: Timeframe, times: Int, session_open: Int) -> Int:
    """Return the condition at each of `times` (epoch seconds): that of the newest bar of its session closed by then."""
    judged = closed(frames, timeframe)
    if not len(judged):
        return np.zeros(len(times), np.int64)
    newest = np.searchsorted(frames.closes[timeframe], times, "right") - 1
    same = (newest >= 0) & (judged.session_open[newest] == session_open)
    return np.where(same, classify(judged.bars, judged.begins)[newest], int(Condition.UNKNOWN))


def _classify(high: Float, low: Float, close: Float) -> Float:
    import talib

    atr, adx = talib.ATR(high, low, close, PERIOD), talib.ADX(high, low, close, PERIOD)
    volatile = atr > VOLATILE_RATIO * talib.SMA(atr, ATR_MEAN)
    kinds = [_broke_out(high, low, close, atr), volatile, adx >= TREND_ADX]
    return np.select(kinds, [Condition.BREAKOUT, Condition.VOLATILE, Condition.TRENDING], Condition.RANGING) * 1.0


def _broke_out(high: Float, low: Float, close: Float, atr: Float) -> Bool:
    """Return whether one of the last BREAKOUT_BARS bars closed outside of its channel in a wide bar."""
    import talib

    top, bottom = talib.MAX(high, CHANNEL), talib.MIN(low, CHANNEL)
    true_range = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    outside = np.zeros(len(close), np.bool_)
    outside[1:] = ((close[1:] > top[:-1]) | (close[1:] < bottom[:-1])) & (true_range >= BREAKOUT_RANGE * atr[:-1])
    recently = outside.copy()
    for back in range(1, BREAKOUT_BARS):
        recently[back:] |= outside[:-back]
    return recently
