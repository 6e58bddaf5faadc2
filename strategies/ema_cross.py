"""Cross of two exponential averages, with a stop that the market's own structure sets.

The rules, with their reasons, are in docs/strategies/ema_cross.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np

from market.bars import Int, Timeframe
from market.contracts import Contract
from market.orders import Side
from market.plans import Frames, Plan
from strategies.conditions import Condition, refused_by_condition, with_condition
from strategies.drafts import Draft, too_few
from strategies.indicators import (
    WILDER_PERIODS,
    Average,
    Float,
    average_true_range,
    highest,
    lookback,
    lowest,
    moving_average,
)
from strategies.intraday import Closed, IntradayParameters, closed, distance, management, session_warm_up, whole
from strategies.parameters import param

__all__ = ["Parameters", "StopFrom", "management", "plan", "suits", "timeframes", "warm_up"]


class StopFrom(StrEnum):
    """What the stop lies behind."""

    SWING = "swing"
    SLOW = "slow"
    ATR = "atr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(IntradayParameters):
    breakeven_r: Decimal = param(
        Decimal(1), unit="x stop", ge=Decimal(0), le=Decimal(20), help="Profit that moves the stop to entry; 0 is off"
    )
    fast_period: int = param(9, unit="bars", ge=2, le=100, help="Period of the fast EMA")
    slow_period: int = param(21, unit="bars", ge=3, le=200, help="Period of the slow EMA")
    stop_from: StopFrom = param(
        StopFrom.SWING, help="The stop lies behind the newest swing, behind the slow EMA, or stop_max_atr away"
    )
    swing_bars: int = param(10, unit="bars", ge=2, le=100, help="Bars whose extreme is the swing")
    stop_buffer_ticks: int = param(2, unit="ticks", ge=0, le=200, help="How far the stop lies behind it")
    stop_min_atr: Decimal = param(
        Decimal("0.75"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Nearest that the stop may be"
    )
    stop_max_atr: Decimal = param(
        Decimal("3.0"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Farthest that the stop may be"
    )
    target_r: Decimal = param(
        Decimal("2.0"), unit="x stop", ge=Decimal(0), le=Decimal(20), help="Distance of the target; 0 is none"
    )
    exit_on_cross: bool = param(True, help="Close the position where the averages cross back")
    filter_trend: bool = param(False, help="Buy only above a longer EMA, sell only below it")
    trend_period: int = param(100, unit="bars", ge=10, le=300, help="Period of that EMA")

    def problems(self) -> dict[str, str]:
        """Return what is wrong about values that are each within their bounds, by name."""
        wrong = IntradayParameters.problems(self)
        for name, other in (("fast_period", "slow_period"), ("stop_min_atr", "stop_max_atr")):
            if getattr(self, name) >= getattr(self, other):
                wrong[name] = f"{getattr(self, name)} is not below {other}, {getattr(self, other)}"
        return wrong


def suits(params: Parameters) -> frozenset[Condition]:
    """Return the market conditions in which it trades with filter_condition."""
    return frozenset({Condition.TRENDING, Condition.BREAKOUT, Condition.VOLATILE})


def timeframes(params: Parameters) -> tuple[Timeframe, ...]:
    """Return the frames that `plan` reads besides the minutes."""
    return tuple(_lookbacks(params))


def warm_up(params: Parameters) -> dict[Timeframe, int]:
    """Return how many of the newest bars of each frame decide about the last row."""
    return session_warm_up(_lookbacks(params))


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    """Return an entry at each cross of the averages, an exit where they cross back, or the reason why not."""
    made = closed(frames, params.timeframe)
    draft = Draft(frames, params, made)
    fast, slow, trend = (
        moving_average(made.bars, made.begins, Average.EMA, period)
        for period in (params.fast_period, params.slow_period, params.trend_period)
    )
    atr = average_true_range(made.bars, made.begins, params.atr_period)
    known = draft.opening(
        {too_few(_lookbacks(params), params): np.isnan(fast + slow + atr + (trend if params.filter_trend else 0))},
        f"waiting for the EMAs of {params.fast_period} and {params.slow_period} bars to cross",
    )
    crosses = {Side.BUY: made.crossed(fast, slow), Side.SELL: made.crossed(slow, fast)}
    refusals = refused_by_condition(frames, params, made, suits(params))
    if params.filter_trend:
        against = np.where(crosses[Side.BUY], made.bars.close <= trend, made.bars.close >= trend)
        refusals.append((against, f"the EMA of {params.trend_period} bars is on the other side (filter_trend)"))
    chosen = draft.admit(known & (atr > 0) & (crosses[Side.BUY] | crosses[Side.SELL]), refusals)
    for side, crossed in crosses.items():
        entries, back = chosen & crossed, crosses[side.opposite]
        stop = _stop(params, made, slow, atr, side)
        draft.enter(
            side,
            entries,
            f"the fast EMA crossed {'above' if side is Side.BUY else 'below'} the slow one",
            stop=stop,
            target=distance(params.target_r, stop.astype(np.float64)),
            trail=distance(params.trail_atr, atr),
        )
        if params.exit_on_cross:
            draft.exit(side, back & made.pending(entries, back), "the EMAs crossed back")
    figures = {"fast": fast, "slow": slow, "atr": atr} | ({"trend": trend} if params.filter_trend else {})
    return draft.plan(figures, {})


def _stop(params: Parameters, made: Closed, slow: Float, atr: Float, side: Side) -> Int:
    """Return per bar the stop's distance from the close in ticks, between its bounds."""
    nearest, farthest = distance(params.stop_min_atr, atr), distance(params.stop_max_atr, atr)
    if params.stop_from is StopFrom.ATR:
        return farthest
    if params.stop_from is StopFrom.SLOW:
        behind = slow
    else:
        behind = (lowest if side is Side.BUY else highest)(made.bars, made.begins, params.swing_bars)
    away: Float = (made.bars.close - behind) * side + params.stop_buffer_ticks
    return np.clip(whole(away), nearest, farthest)


def _lookbacks(params: Parameters) -> dict[Timeframe, int]:
    longest = max(params.slow_period, params.trend_period if params.filter_trend else 0)
    averages = lookback(Average.EMA, longest)
    return with_condition({params.timeframe: max(WILDER_PERIODS * params.atr_period, averages)}, params)
