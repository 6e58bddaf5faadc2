"""With the trend: entries where a fast average crosses a slow one, behind a trailing stop, added to if wanted.

The rules, with their reasons, are in docs/strategies/trend_following.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from market.bars import Timeframe
from market.contracts import Contract
from market.orders import Side
from market.plans import Bool, Frames, Management, Plan
from strategies import intraday
from strategies.conditions import Condition, refused_by_condition, with_condition
from strategies.drafts import Draft, too_few
from strategies.indicators import WILDER_PERIODS, Average, Float, average_true_range, lookback, moving_average
from strategies.intraday import Closed, IntradayParameters, closed, distance, session_warm_up
from strategies.parameters import param


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(IntradayParameters):
    trail_atr: Decimal = param(
        Decimal(3), unit="x ATR", ge=Decimal(0), le=Decimal(50), help="Distance of the trailing stop; 0 is none"
    )
    average: Average = param(Average.EMA, help="Moving averages: simple or exponential")
    fast_period: int = param(10, unit="bars", ge=2, le=100, help="Period of the fast average")
    slow_period: int = param(30, unit="bars", ge=3, le=200, help="Period of the slow average")
    stop_atr: Decimal = param(
        Decimal("2.0"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Distance of the stop from the entry"
    )
    exit_on_cross: bool = param(True, help="Close the position where the averages cross back")
    max_adds: int = param(0, unit="entries", ge=0, le=5, help="How often the position is added to, each time by size")
    add_spacing_atr: Decimal = param(
        Decimal("1.0"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Way of the trend from one to the next"
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong about values that are each within their bounds, by name."""
        wrong = IntradayParameters.problems(self)
        if self.fast_period >= self.slow_period:
            wrong["fast_period"] = f"{self.fast_period} is not below slow_period, {self.slow_period}"
        return wrong


def suits(params: Parameters) -> frozenset[Condition]:
    """Return the market conditions in which it trades with filter_condition."""
    return frozenset({Condition.TRENDING, Condition.BREAKOUT})


def timeframes(params: Parameters) -> tuple[Timeframe, ...]:
    """Return the frames that `plan` reads besides the minutes."""
    return tuple(_lookbacks(params))


def warm_up(params: Parameters) -> dict[Timeframe, int]:
    """Return how many of the newest bars of each frame decide about the last row."""
    return session_warm_up(_lookbacks(params))


def management(params: Parameters, contract: Contract) -> Management:
    """Return what happens to the position that an entry makes."""
    return replace(intraday.management(params, contract), max_adds=params.max_adds)


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    """Return an entry at each cross of the averages and its additions, an exit where they cross back, or why not."""
    made = closed(frames, params.timeframe)
    draft = Draft(frames, params, made)
    fast, slow = (
        moving_average(made.bars, made.begins, params.average, period)
        for period in (params.fast_period, params.slow_period)
    )
    atr = average_true_range(made.bars, made.begins, params.atr_period)
    known = draft.opening(
        {too_few(_lookbacks(params), params): np.isnan(fast + slow + atr)},
        f"waiting for the averages of {params.fast_period} and {params.slow_period} bars to cross",
    )
    crosses = {Side.BUY: made.crossed(fast, slow), Side.SELL: made.crossed(slow, fast)}
    refusals = refused_by_condition(frames, params, made, suits(params))
    chosen = draft.admit(known & (atr > 0) & (crosses[Side.BUY] | crosses[Side.SELL]), refusals)
    stop, trail = distance(params.stop_atr, atr), distance(params.trail_atr, atr)
    for side, crossed in crosses.items():
        entries, back = chosen & crossed, crosses[side.opposite]
        word = "above" if side is Side.BUY else "below"
        draft.enter(side, entries, f"the fast average crossed {word} the slow one", stop=stop, trail=trail)
        if params.max_adds:
            adds = known & _additions(params, made, entries, back, atr, side)
            draft.enter(side, adds, "the trend went on far enough to add to it", stop=stop, trail=trail, adds=True)
        if params.exit_on_cross:
            draft.exit(side, back & made.pending(entries, back), "the averages crossed back")
    return draft.plan({"fast": fast, "slow": slow, "atr": atr}, {})


def _additions(params: Parameters, made: Closed, entries: Bool, back: Bool, atr: Float, side: Side) -> Bool:
    """Return where a trend since one of `entries` has gone the next of `max_adds` spacings, before it crossed back."""
    adds, close = np.zeros(len(made), np.bool_), made.bars.close
    for first in np.flatnonzero(entries).tolist():
        after = slice(first + 1, None)
        ended = np.flatnonzero(back[after] | entries[after] | (made.session_open[after] != made.session_open[first]))
        way = (close[after][: ended[0] if len(ended) else None] - close[first]) * side
        spacing = float(params.add_spacing_atr) * atr[first]
        row = 0
        for number in range(1, params.max_adds + 1):
            reached = np.flatnonzero(way[row:] >= np.round(number * spacing, 6))
            if not len(reached):
                break
            row += int(reached[0]) + 1
            adds[first + row] = True
    return adds


def _lookbacks(params: Parameters) -> dict[Timeframe, int]:
    slow = lookback(params.average, params.slow_period)
    return with_condition({params.timeframe: max(WILDER_PERIODS * params.atr_period, slow)}, params)
