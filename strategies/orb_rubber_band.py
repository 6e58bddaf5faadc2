"""Opening range: wait for it to break, then for the price to spring back, like a band that was stretched.

The rules, with their reasons, are in docs/strategies/orb_rubber_band.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import StrEnum

import numpy as np

from market.bars import Timeframe, epoch
from market.contracts import Contract
from market.orders import Side
from market.plans import Bool, Frames, Plan
from market.sessions import regular_session
from strategies.conditions import Condition, refused_by_condition, with_condition
from strategies.drafts import Draft, too_few
from strategies.indicators import WILDER_PERIODS, Float, atr, average_true_range
from strategies.intraday import (
    Closed,
    IntradayParameters,
    clock,
    closed,
    distance,
    management,
    session_warm_up,
    whole,
)
from strategies.parameters import param
from strategies.structure import broke

__all__ = ["Entry", "Parameters", "management", "plan", "suits", "timeframes", "warm_up"]

DAILY_ATR_PERIODS = 11  # length of the daily ATR's window in periods, as overnight_range has it


class Entry(StrEnum):
    """With the breakout, at the price to which it springs back; or against it, once it is stretched."""

    PULLBACK = "pullback"
    SNAP_BACK = "snap_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(IntradayParameters):
    max_entries: int = param(2, unit="a session", ge=1, le=100, help="Entries that a session may have at most")
    range_minutes: int = param(15, unit="minutes", ge=5, le=120, help="Length of the opening range, from 09:30")
    max_missing_minutes: int = param(2, unit="minutes", ge=0, le=60, help="Minutes of it that may have no bar")
    entry: Entry = param(Entry.PULLBACK, help="With the breakout when it springs back, or against it when stretched")
    offset_ticks: int = param(2, unit="ticks", ge=1, le=400, help="How far beyond the range a breakout closes")
    pullback: Decimal = param(
        Decimal("0.25"), unit="x range", ge=Decimal(0), le=Decimal(1), help="Limit of a pullback, inside of the edge"
    )
    entry_minutes: int = param(30, unit="minutes", ge=1, le=390, help="How long that limit works")
    stretch_atr: Decimal = param(
        Decimal("2.0"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Way beyond the edge that is stretched"
    )
    stop_atr: Decimal = param(
        Decimal("1.5"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Distance of the stop from the entry"
    )
    target_r: Decimal = param(
        Decimal("2.0"), unit="x stop", ge=Decimal("0.1"), le=Decimal(20), help="Target of a pullback; else the edge"
    )
    time_entry: bool = param(False, help="Enter at a time of the day where no breakout came before")
    time_entry_at: time = param(time(10, 30), unit="local time", help="That time; the price must be out of the range")
    filter_volatility: bool = param(False, help="Trade only when the size of the range is within its bounds")
    range_min_atr: Decimal = param(
        Decimal("0.1"), unit="x daily ATR", ge=Decimal(0), le=Decimal(10), help="Smallest range that is traded"
    )
    range_max_atr: Decimal = param(
        Decimal("0.6"), unit="x daily ATR", ge=Decimal(0), le=Decimal(10), help="Largest range that is traded"
    )
    daily_atr_period: int = param(14, unit="sessions", ge=2, le=50, help="Period of the daily ATR")

    def problems(self) -> dict[str, str]:
        """Return what is wrong about values that are each within their bounds, by name."""
        wrong = IntradayParameters.problems(self)
        if wrong.keys() & {"time_zone"}:
            return wrong
        if self.range_min_atr > self.range_max_atr:
            wrong["range_min_atr"] = f"{self.range_min_atr} is above range_max_atr, {self.range_max_atr}"
        if self.max_missing_minutes >= self.range_minutes:
            wrong["max_missing_minutes"] = f"{self.max_missing_minutes} is not below range_minutes"
        day = date(2026, 1, 14)
        complete = epoch(regular_session(day).rth_opens_at) + self.range_minutes * 60
        if clock(day, self.entry_until, self.time_zone) <= complete:
            wrong["entry_until"] = f"{self.entry_until:%H:%M} {self.time_zone} is over before the range is complete"
        return wrong


def suits(params: Parameters) -> frozenset[Condition]:
    """Return the market conditions in which it trades with filter_condition."""
    if params.entry is Entry.SNAP_BACK:
        return frozenset({Condition.RANGING, Condition.VOLATILE})
    return frozenset({Condition.TRENDING, Condition.BREAKOUT, Condition.VOLATILE})


def timeframes(params: Parameters) -> tuple[Timeframe, ...]:
    """Return the frames that `plan` reads besides the minutes."""
    return (*_lookbacks(params), Timeframe.D1) if params.filter_volatility else tuple(_lookbacks(params))


def warm_up(params: Parameters) -> dict[Timeframe, int]:
    """Return how many of the newest bars of each frame decide about the last row."""
    bars = session_warm_up(_lookbacks(params))
    return bars | {Timeframe.D1: DAILY_ATR_PERIODS * params.daily_atr_period + 1} if params.filter_volatility else bars


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    """Return an entry after each breakout of the opening range that springs back, or the reason why not."""
    made = closed(frames, params.timeframe)
    draft = Draft(frames, params, made)
    draft.open &= made.placed_at >= frames.rth_open[made.rows] + params.range_minutes * 60
    complete = draft.open
    high, low, minutes = _opening_range(frames, params, made)
    true_range = average_true_range(made.bars, made.begins, params.atr_period)
    daily = _daily_atr(frames, params, made)
    size = high - low
    known = draft.opening(
        {
            too_few(_lookbacks(params), params): np.isnan(true_range),
            f"more than {params.max_missing_minutes} minutes of the opening range have no bar (max_missing_minutes)": (
                minutes < params.range_minutes - params.max_missing_minutes
            ),
            f"the daily ATR needs {params.daily_atr_period + 1} sessions before this one": (
                np.isnan(daily) & params.filter_volatility
            ),
        },
        "waiting for the price to leave the opening range",
    )
    levels = {Side.BUY: high, Side.SELL: low}
    hits = {side: _hit(params, made, level, true_range, side) for side, level in levels.items()}
    timed = {side: _timed(params, made, levels[side], known, hits, side) for side in levels}
    either = hits[Side.BUY] | hits[Side.SELL] | timed[Side.BUY] | timed[Side.SELL]
    refusals = refused_by_condition(frames, params, made, suits(params))
    if params.filter_volatility:
        bounds = f"{params.range_min_atr} to {params.range_max_atr} x daily ATR"
        outside = (size < float(params.range_min_atr) * daily) | (size > float(params.range_max_atr) * daily)
        refusals.append((outside, f"the opening range is not {bounds} wide (filter_volatility)"))
    chosen = draft.admit(known & (true_range > 0) & either, refusals)
    stop, trail = distance(params.stop_atr, true_range), distance(params.trail_atr, true_range)
    for side, level in levels.items():
        beyond = (made.bars.close - level) * float(side)
        if params.entry is Entry.SNAP_BACK:
            back = whole(np.maximum(beyond, 0))
            taken = chosen & (hits[side] | timed[side])
            draft.enter(side.opposite, taken, "stretched beyond the opening range", stop=stop, target=back, trail=trail)
            continue
        target = distance(params.target_r, stop.astype(np.float64))
        limit = whole(level - float(side) * float(params.pullback) * size)
        draft.enter(
            side,
            chosen & hits[side],
            "the opening range broke: a limit where the price may spring back to",
            stop=stop,
            target=target,
            trail=trail,
            limit=limit,
            minutes=params.entry_minutes,
        )
        late = "outside of the opening range at time_entry_at"
        draft.enter(side, chosen & timed[side], late, stop=stop, target=target, trail=trail)
    shown = {"opening_high": high, "opening_low": low, "atr": true_range, "daily_atr": daily}
    return draft.plan({name: np.where(complete, column, np.nan) for name, column in shown.items()}, {})


def _opening_range(frames: Frames, params: Parameters, made: Closed) -> tuple[Float, Float, Float]:
    """Return per bar high and low of its session's opening range in ticks, NaN without a bar, and its minutes."""
    rows = []
    for opens in frames.rth_open[made.rows[made.begins]].tolist():
        low, high = np.searchsorted(frames.base.opened_at, [opens, opens + params.range_minutes * 60]).tolist()
        used = frames.base[low:high]
        rows.append((used.high.max(), used.low.min(), len(used)) if len(used) else (np.nan, np.nan, 0))
    high, low, minutes = np.array(rows, np.float64).reshape(-1, 3)[made.spread(np.arange(len(rows)))].T
    return high, low, minutes


def _daily_atr(frames: Frames, params: Parameters, made: Closed) -> Float:
    """Return per bar the daily ATR of the sessions before its own in ticks; NaN if unknown or not asked for."""
    values = np.full(len(made.begins), np.nan)
    if params.filter_volatility:
        for number, opens in enumerate(made.session_open[made.begins].tolist()):
            days = int(np.searchsorted(frames.closes[Timeframe.D1], opens, "right"))
            window = DAILY_ATR_PERIODS * params.daily_atr_period
            value = atr(frames.derived[Timeframe.D1][:days], params.daily_atr_period, window)
            values[number] = np.nan if value is None else float(value)
    return values[made.spread(np.arange(len(values)))]


def _hit(params: Parameters, made: Closed, level: Float, true_range: Float, side: Side) -> Bool:
    """Return where the range newly broke to that side, or newly is stretched away from."""
    if params.entry is Entry.PULLBACK:
        return broke(made, level, side, params.offset_ticks)
    way = np.round((made.bars.close - level) * float(side) - float(params.stretch_atr) * true_range, 6)
    return made.begun(way >= 0)


def _timed(params: Parameters, made: Closed, level: Float, known: Bool, hits: dict[Side, Bool], side: Side) -> Bool:
    """Return where time_entry_at has come, the price is beyond that edge, and nothing was hit before."""
    if not params.time_entry:
        return np.zeros(len(made), np.bool_)
    over = known & (made.placed_at >= made.clock(params.time_entry_at, params.time_zone))
    earlier = made.total(known & (hits[Side.BUY] | hits[Side.SELL])) > 0
    first: Bool = over & (made.total(over) == 1)
    return first & ~earlier & ((made.bars.close - level) * float(side) >= params.offset_ticks)


def _lookbacks(params: Parameters) -> dict[Timeframe, int]:
    return with_condition({params.timeframe: WILDER_PERIODS * params.atr_period}, params)
