"""Breakout of the overnight range: one bracket above it and one below, placed when the regular hours open.

The rules, with their reasons, are in docs/strategies/overnight_range.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from market.bars import Timeframe, epoch, moment
from market.contracts import Contract, round_half_up
from market.orders import Side
from market.plans import Frames, Kind, Management, Plan, PlanSide
from market.products import PRODUCTS
from market.sessions import NEW_YORK, at_local, regular_session
from strategies.conditions import Condition, at, refusal, with_condition
from strategies.indicators import atr
from strategies.intraday import LEAST_TICKS, RISK_PER_TRADE, TIMEFRAMES, session_warm_up
from strategies.parameters import param

ATR_PERIODS = 20  # length of the intraday ATR's window in periods
DAILY_ATR_PERIODS = 11  # of the daily one: 154 sessions for a period of 14
FIGURES = (
    "range_high",
    "range_low",
    "atr",
    "daily_atr",
    "anchor",
    "zone_above_near",
    "zone_above_far",
    "zone_below_near",
    "zone_below_far",
    "gap",
)
_MINUTE = Timeframe.M1.seconds


class ZoneAnchor(StrEnum):
    SESSION_OPEN = "session_open"
    RTH_OPEN = "rth_open"


class Edge(StrEnum):
    NEAR = "near"
    FAR = "far"


class LateStart(StrEnum):
    SKIP = "skip"
    TRADE = "trade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    symbol: str = param("MNQ", help="Product to trade; its front month is taken", choices=tuple(sorted(PRODUCTS)))
    size: int = param(3, unit="contracts", ge=1, le=150, help="Contracts of each of the two entries, at most")
    risk_per_trade: Decimal = RISK_PER_TRADE
    entry_offset_ticks: int = param(1, unit="ticks", ge=0, le=200, help="Entries lie this far outside of the range")
    atr_timeframe: Timeframe = param(Timeframe.M5, choices=TIMEFRAMES, help="Bars of the ATR that sets distances")
    atr_period: int = param(14, unit="bars", ge=2, le=50, help="Period of that ATR")
    stop_atr: Decimal = param(
        Decimal("2.0"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Distance of the stop from the entry"
    )
    target_atr: Decimal = param(
        Decimal("2.5"),
        unit="x ATR",
        ge=Decimal("0.1"),
        le=Decimal(50),
        help="Distance of the target where the daily zone is no target",
    )
    daily_atr_period: int = param(14, unit="sessions", ge=2, le=50, help="Period of the daily ATR that makes the zones")
    zone_anchor: ZoneAnchor = param(
        ZoneAnchor.SESSION_OPEN,
        help="Price the zones are measured from: the 18:00 open, or the last price before 09:30",
    )
    zone_near: Decimal = param(
        Decimal("0.5"),
        unit="x half the daily ATR",
        ge=Decimal("0.05"),
        le=Decimal(5),
        help="Edge of the zone that lies nearer to the anchor",
    )
    zone_far: Decimal = param(
        Decimal("0.68"),
        unit="x half the daily ATR",
        ge=Decimal("0.05"),
        le=Decimal(5),
        help="Edge of the zone that lies farther from the anchor",
    )
    target_edge: Edge = param(Edge.FAR, help="Edge of the zone that is the target")
    breakeven: bool = param(True, help="Move the stop to the entry once the trade is far enough in profit")
    breakeven_points: Decimal = param(
        Decimal(15), unit="points", ge=Decimal("0.01"), le=Decimal(10_000), help="Profit that moves the stop"
    )
    cancel_opposite: bool = param(True, help="Cancel the other entry when one fills")
    entry_cutoff: time = param(time(15, 0), unit="local time", help="Entries that have not filled are cancelled")
    flatten: bool = param(True, help="Close the position at a time of its own, not only at the account's limit")
    flat_at: time = param(time(16, 0), unit="local time", help="That time; the account's limit rules if it is earlier")
    time_zone: str = param(NEW_YORK, unit="IANA time zone", help="Where entry_cutoff and flat_at are local time")
    late_start: LateStart = param(
        LateStart.SKIP, help="When 09:30 was missed by more than the grace: no trade today, or place until the cutoff"
    )
    late_grace_minutes: int = param(5, unit="minutes", ge=0, le=330, help="How late the entries may still be placed")
    max_missing_minutes: int = param(
        15, unit="minutes", ge=0, le=300, help="Minutes without a bar that the range may have at most"
    )
    filter_range_size: bool = param(False, help="Trade only when the size of the range is within its bounds")
    range_min_points: Decimal = param(
        Decimal(40), unit="points", ge=Decimal(0), le=Decimal(100_000), help="Smallest range that is traded"
    )
    range_max_points: Decimal = param(
        Decimal(500), unit="points", ge=Decimal(0), le=Decimal(100_000), help="Largest range that is traded"
    )
    filter_gap: bool = param(False, help="Trade only when the gap since the last session's close is small enough")
    gap_max_points: Decimal = param(
        Decimal(200), unit="points", ge=Decimal(0), le=Decimal(100_000), help="Largest gap that is traded, up or down"
    )
    filter_volatility: bool = param(False, help="Trade only when the daily ATR is within its bounds")
    daily_atr_min_points: Decimal = param(
        Decimal(100), unit="points", ge=Decimal(0), le=Decimal(100_000), help="Smallest daily ATR that is traded"
    )
    daily_atr_max_points: Decimal = param(
        Decimal(800), unit="points", ge=Decimal(0), le=Decimal(100_000), help="Largest daily ATR that is traded"
    )
    filter_dll_proximity: bool = param(False, help="Trade only while enough of the daily loss limit is left")
    dll_proximity_percent: int = param(
        70, unit="% of the daily loss limit", ge=1, le=100, help="Loss of the day from which on no entry is placed"
    )
    filter_condition: bool = param(False, help="Trade only in the market conditions that suit the strategy")
    condition_timeframe: Timeframe = param(
        Timeframe.M15, choices=TIMEFRAMES, help="Bars on which the market's condition is judged"
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong about values that are each within their bounds, by name."""
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return {"time_zone": f"{self.time_zone!r} is no time zone; write for example {NEW_YORK}"}
        wrong = {}
        for name, other in (
            ("range_min_points", "range_max_points"),
            ("daily_atr_min_points", "daily_atr_max_points"),
            ("zone_near", "zone_far"),
        ):
            if getattr(self, name) > getattr(self, other):
                wrong[name] = f"{getattr(self, name)} is above {other}, {getattr(self, other)}"
        session = regular_session(date(2026, 1, 14))
        for name in ("entry_cutoff", "flat_at"):
            clock: time = getattr(self, name)
            if not session.rth_opens_at < at_local(session, clock, self.time_zone) <= session.closes_at:
                wrong[name] = f"{clock:%H:%M} {self.time_zone} is not between 09:30 and 17:00 New York"
        return wrong


def suits(params: Parameters) -> frozenset[Condition]:
    """Return the market conditions in which it trades with filter_condition: a breakout wants room to run."""
    return frozenset({Condition.RANGING, Condition.TRENDING, Condition.BREAKOUT})


def timeframes(params: Parameters) -> tuple[Timeframe, ...]:
    """Return the frames that `plan` reads besides the minutes."""
    return tuple({params.atr_timeframe: 0, Timeframe.D1: 0} | with_condition({}, params))


def warm_up(params: Parameters) -> dict[Timeframe, int]:
    """Return how many of the newest bars of each frame decide about the last row; the minutes make the derived ones."""
    bars = ATR_PERIODS * params.atr_period + 1  # one may close between 09:30 and a late first bar
    overnight = 930
    needed = {
        Timeframe.M1: max(overnight, (bars + 1) * params.atr_timeframe.seconds // _MINUTE) + 2,
        params.atr_timeframe: bars,
        Timeframe.D1: DAILY_ATR_PERIODS * params.daily_atr_period,
    }
    judged = session_warm_up(with_condition({}, params)) if params.filter_condition else {}
    return needed | {timeframe: max(count, needed.get(timeframe, 0)) for timeframe, count in judged.items()}


def management(params: Parameters, contract: Contract) -> Management:
    """Return what happens to the position that an entry makes."""
    return Management(
        breakeven_ticks=contract.distance(params.breakeven_points) if params.breakeven else 0,
        cancel_opposite=params.cancel_opposite,
        flat_at=params.flat_at if params.flatten else None,
        zone=params.time_zone,
        late_grace=timedelta(minutes=params.late_grace_minutes) if params.late_start is LateStart.SKIP else None,
        risk=params.risk_per_trade,
    )


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    """Return both entries on the first bar of each session that closes at or after 09:30, or the reason why not."""
    length = len(frames.base)
    long, short = PlanSide.nothing(length), PlanSide.nothing(length)
    oco, never = np.zeros(length, np.bool_), np.zeros(length, np.bool_)
    figures = {name: np.full(length, np.nan) for name in FIGURES}
    reasons, texts = np.zeros(length, np.int64), [""]
    captures = _capture_rows(frames)
    judged = _conditions(frames, params, captures)
    for row, condition in zip(captures, judged, strict=True):
        expires_at = _expires_at(frames, params, row)
        morning = _prevented(frames, params, row, expires_at) or _measure(frames, params, row)
        reason = morning if isinstance(morning, str) else _filtered(morning, params, contract, condition)
        if isinstance(morning, _Morning):
            for name, value in morning.figures(params).items():
                figures[name][row] = value
        if reason:
            reasons[row] = len(texts)
            texts.append(reason)
        elif isinstance(morning, _Morning):
            oco[row] = params.cancel_opposite
            for columns, side in ((long, Side.BUY), (short, Side.SELL)):
                columns.kind[row] = Kind.STOP
                columns.price[row] = morning.entry(params, side)
                columns.stop_ticks[row] = max(LEAST_TICKS, round_half_up(params.stop_atr * morning.atr))
                columns.target_ticks[row] = max(LEAST_TICKS, morning.target_ticks(params, side))
                columns.expires_at[row] = expires_at
    return Plan(long, short, oco, never, never, np.zeros(length, np.int64), figures, reasons, tuple(texts))


@dataclass(frozen=True, slots=True)
class _Morning:
    """What is known at 09:30, in ticks: the range, both ATRs, the zones' anchor, the gap since the last session."""

    high: int
    low: int
    atr: Decimal
    daily_atr: Decimal
    anchor: int
    gap: int

    def entry(self, params: Parameters, side: Side) -> int:
        """Return the stop price of that side's entry."""
        return (self.high if side is Side.BUY else self.low) + side * params.entry_offset_ticks

    def edge(self, multiple: Decimal, side: Side) -> int:
        """Return the price `multiple` half daily ATRs from the anchor, above it for the long side."""
        return self.anchor + side * round_half_up(self.daily_atr / 2 * multiple)

    def target_ticks(self, params: Parameters, side: Side) -> int:
        """Return the distance from the entry to the zone's edge if all of the zone lies beyond it, else of the ATR."""
        entry = self.entry(params, side)
        near, far = self.edge(params.zone_near, side), self.edge(params.zone_far, side)
        if (near - entry) * side > 0:
            return ((far if params.target_edge is Edge.FAR else near) - entry) * side
        return round_half_up(params.target_atr * self.atr)

    def figures(self, params: Parameters) -> dict[str, float]:
        """Return what the trader is shown, by the names of FIGURES."""
        multiples = (params.zone_near, params.zone_far)
        above = [self.edge(multiple, Side.BUY) for multiple in multiples]
        below = [self.edge(multiple, Side.SELL) for multiple in multiples]
        values: list[int | Decimal] = [self.high, self.low, self.atr, self.daily_atr, self.anchor]
        values += [*above, *below, self.gap]
        return dict(zip(FIGURES, map(float, values), strict=True))


def _capture_rows(frames: Frames) -> list[int]:
    """Return the first row of each session whose bar closes at or after the open of the regular hours."""
    after = frames.base.opened_at + _MINUTE >= frames.rth_open
    before = np.empty_like(after)
    before[:1] = True
    before[1:] = ~after[:-1] | (frames.session_open[1:] != frames.session_open[:-1])
    return [int(row) for row in np.flatnonzero(after & before)]


def _expires_at(frames: Frames, params: Parameters, row: int) -> int:
    """Return when the entries end: at the cutoff, or when the position would have to be closed if that is earlier."""
    session = regular_session(date.fromordinal(date(1970, 1, 1).toordinal() + int(frames.trade_date[row])))
    clocks = (params.entry_cutoff, params.flat_at) if params.flatten else (params.entry_cutoff,)
    return min(int(frames.flat_by[row]), *(epoch(at_local(session, clock, params.time_zone)) for clock in clocks))


def _prevented(frames: Frames, params: Parameters, row: int, expires_at: int) -> str:
    """Return what keeps the session from being traded whatever the prices are, empty for nothing."""
    closed_at = int(frames.base.opened_at[row]) + _MINUTE
    late = (closed_at - int(frames.rth_open[row])) // _MINUTE
    if not frames.tradeable[row]:
        return "the calendar has no session that may be traded at this time"
    if late > params.late_grace_minutes and params.late_start is LateStart.SKIP:
        return (
            f"the first bar after 09:30 closed {late} minutes late, late_grace_minutes is {params.late_grace_minutes}"
        )
    if closed_at >= expires_at:
        end = moment(expires_at).astimezone(ZoneInfo(NEW_YORK))
        return f"the entries end at {end:%H:%M} New York, the first bar after 09:30 closed no earlier"
    return ""


def _measure(frames: Frames, params: Parameters, row: int) -> _Morning | str:
    """Return what is known at 09:30 of the session of `row`, or what is missing."""
    base, opens, capture = frames.base, int(frames.session_open[row]), int(frames.rth_open[row])
    first, end = np.searchsorted(base.opened_at, [opens, capture]).tolist()
    missing = (capture - opens) // _MINUTE - (end - first)
    if missing > params.max_missing_minutes or first == end:
        return (
            f"{missing} minutes of the overnight range have no bar, max_missing_minutes is {params.max_missing_minutes}"
        )
    high, low = int(base.high[first:end].max()), int(base.low[first:end].min())
    offset = params.entry_offset_ticks
    if row >= end and (base.high[row] >= high + offset or base.low[row] <= low - offset):
        return "the range was already broken when the first bar after 09:30 closed"
    ranges = {}
    for timeframe, period, periods in (
        (params.atr_timeframe, params.atr_period, ATR_PERIODS),
        (Timeframe.D1, params.daily_atr_period, DAILY_ATR_PERIODS),
    ):
        closed = int(np.searchsorted(frames.closes[timeframe], capture, "right"))
        value = atr(frames.derived[timeframe][:closed], period, window=periods * period)
        if value is None:
            return f"the ATR needs {period + 1} closed {timeframe} bars, there are {closed}"
        ranges[timeframe] = value
    last = int(base.close[end - 1])
    return _Morning(
        high=high,
        low=low,
        atr=ranges[params.atr_timeframe],
        daily_atr=ranges[Timeframe.D1],
        anchor=int(base.open[first]) if params.zone_anchor is ZoneAnchor.SESSION_OPEN else last,
        gap=last - int(frames.derived[Timeframe.D1].close[closed - 1]),
    )


def _conditions(frames: Frames, params: Parameters, rows: list[int]) -> list[Condition]:
    """Return the market's condition at 09:30 of the session of each row, UNKNOWN while nobody asks."""
    if not params.filter_condition:
        return [Condition.UNKNOWN] * len(rows)
    found = at(frames, params.condition_timeframe, frames.rth_open[rows], frames.session_open[rows])
    return [Condition(one) for one in found.tolist()]


def _filtered(morning: _Morning, params: Parameters, contract: Contract, condition: Condition) -> str:
    """Return which filter that is on keeps the day from being traded, empty for none."""
    size, gap, daily_atr = (
        contract.tick_size * ticks for ticks in (morning.high - morning.low, abs(morning.gap), morning.daily_atr)
    )
    if params.filter_range_size and not params.range_min_points <= size <= params.range_max_points:
        return f"the range is {size} points, not {params.range_min_points} to {params.range_max_points}"
    if params.filter_gap and gap > params.gap_max_points:
        return f"the gap is {gap} points, above {params.gap_max_points}"
    if params.filter_volatility and not params.daily_atr_min_points <= daily_atr <= params.daily_atr_max_points:
        bounds = f"{params.daily_atr_min_points} to {params.daily_atr_max_points}"
        return f"the daily ATR is {daily_atr:.2f} points, not {bounds}"
    if params.filter_condition and condition not in suits(params):
        return refusal(condition, suits(params))
    return ""
