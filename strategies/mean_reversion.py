"""Return to the average: against a stretched move, with the average as the target.

The rules, with their reasons, are in docs/strategies/mean_reversion.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from market.bars import Timeframe
from market.contracts import Contract
from market.orders import Side
from market.plans import Frames, Plan
from strategies.conditions import Condition, refused_by_condition, with_condition
from strategies.drafts import Draft, too_few
from strategies.indicators import WILDER_PERIODS, Average, average_true_range, lookback, moving_average, rsi
from strategies.intraday import IntradayParameters, closed, distance, management, session_warm_up, whole
from strategies.parameters import param

__all__ = ["Parameters", "management", "plan", "suits", "timeframes", "warm_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(IntradayParameters):
    rsi_period: int = param(14, unit="bars", ge=2, le=50, help="Period of Wilder's RSI")
    rsi_low: int = param(30, ge=1, le=50, help="Below it the strategy buys")
    rsi_high: int = param(70, ge=50, le=99, help="Above it the strategy sells")
    average: Average = param(Average.SMA, help="Moving average that the price returns to: simple or exponential")
    average_period: int = param(20, unit="bars", ge=2, le=200, help="Period of that average")
    distance_atr: Decimal = param(
        Decimal("1.5"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Least distance of the close from it"
    )
    stop_atr: Decimal = param(
        Decimal("1.5"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Distance of the stop from the entry"
    )


def suits(params: Parameters) -> frozenset[Condition]:
    """Return the market conditions in which it trades with filter_condition."""
    return frozenset({Condition.RANGING})


def timeframes(params: Parameters) -> tuple[Timeframe, ...]:
    """Return the frames that `plan` reads besides the minutes."""
    return tuple(_lookbacks(params))


def warm_up(params: Parameters) -> dict[Timeframe, int]:
    """Return how many of the newest bars of each frame decide about the last row."""
    return session_warm_up(_lookbacks(params))


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    """Return an entry where the price is newly stretched away from its average, or the reason why not."""
    made = closed(frames, params.timeframe)
    draft = Draft(frames, params, made)
    bars, begins = made.bars, made.begins
    average = moving_average(bars, begins, params.average, params.average_period)
    index, atr = rsi(bars, begins, params.rsi_period), average_true_range(bars, begins, params.atr_period)
    known = draft.opening(
        {too_few(_lookbacks(params), params): np.isnan(average + index + atr)},
        f"waiting for an RSI below {params.rsi_low} or above {params.rsi_high} with the close at least "
        f"{params.distance_atr} x ATR away from the average",
    )
    away = np.round(average - bars.close, 6)  # upwards for a purchase
    refusals = refused_by_condition(frames, params, made, suits(params))
    stretched = {
        side: made.begun((beyond > 0) & (away * side >= np.round(float(params.distance_atr) * atr, 6)) & (atr > 0))
        for side, beyond in ((Side.BUY, params.rsi_low - index), (Side.SELL, index - params.rsi_high))
    }
    chosen = draft.admit(known & (stretched[Side.BUY] | stretched[Side.SELL]), refusals)
    for side, begun in stretched.items():
        draft.enter(
            side,
            chosen & begun,
            f"RSI {'below' if side is Side.BUY else 'above'} its bound and the close stretched away from the average",
            stop=distance(params.stop_atr, atr),
            target=whole(away * side),
            trail=distance(params.trail_atr, atr),
        )
    return draft.plan({"close": bars.close, "average": average, "atr": atr}, {"rsi": index})


def _lookbacks(params: Parameters) -> dict[Timeframe, int]:
    periods = WILDER_PERIODS * max(params.rsi_period, params.atr_period)
    needed = max(periods, lookback(params.average, params.average_period))
    return with_condition({params.timeframe: needed}, params)
