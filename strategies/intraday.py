"""What strategies share that decide on closed bars of one timeframe and are flat by the afternoon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from market.bars import Bars, Int, Timeframe, epoch
from market.contracts import Contract
from market.plans import Bool, Frames, Management, Partial
from market.products import PRODUCTS
from market.sessions import NEW_YORK, at_local, regular_session
from strategies.indicators import Float
from strategies.parameters import param

LEAST_TICKS = 4  # the venue refuses a stop nearer than this to its entry
SESSION_MINUTES = 1380
TIMEFRAMES = (Timeframe.M2, Timeframe.M3, Timeframe.M5, Timeframe.M10, Timeframe.M15, Timeframe.M30, Timeframe.H1)
Column = TypeVar("Column", bound=npt.NDArray[Any])
_MINUTE = Timeframe.M1.seconds
_ORDINAL = date(1970, 1, 1).toordinal()


RISK_PER_TRADE: Decimal = param(
    Decimal(0),
    unit="$",
    ge=Decimal(0),
    le=Decimal(100_000),
    help="Loss at the stop for which an entry is made smaller than size; 0 always takes size",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayParameters:
    """Parameters of every such strategy; its own come after them."""

    symbol: str = param("MNQ", help="Product to trade; its front month is taken", choices=tuple(sorted(PRODUCTS)))
    size: int = param(1, unit="contracts", ge=1, le=150, help="Contracts of each entry, at most")
    risk_per_trade: Decimal = RISK_PER_TRADE
    timeframe: Timeframe = param(Timeframe.M5, choices=TIMEFRAMES, help="Bars on whose close it decides")
    atr_period: int = param(14, unit="bars", ge=2, le=50, help="Period of the ATR that sets distances")
    entry_from: time = param(time(9, 30), unit="local time", help="Bars that close earlier make no entry")
    entry_until: time = param(time(15, 0), unit="local time", help="Bars that close then or later make no entry")
    pause: bool = param(False, help="No entry at midday")
    pause_from: time = param(time(12, 0), unit="local time", help="Begin of that pause")
    pause_until: time = param(time(13, 30), unit="local time", help="End of that pause")
    max_entries: int = param(3, unit="a session", ge=1, le=100, help="Entries that a session may have at most")
    trail_atr: Decimal = param(
        Decimal(0), unit="x ATR", ge=Decimal(0), le=Decimal(50), help="Distance of the trailing stop; 0 is none"
    )
    breakeven_r: Decimal = param(
        Decimal(0), unit="x stop", ge=Decimal(0), le=Decimal(20), help="Profit that moves the stop to entry; 0 is off"
    )
    partial_r: Decimal = param(
        Decimal(0), unit="x stop", ge=Decimal(0), le=Decimal(20), help="Profit at which a part is closed; 0 is off"
    )
    partial_percent: int = param(50, unit="% of the position", ge=1, le=99, help="Size of that part")
    hold_minutes: int = param(0, unit="minutes", ge=0, le=1380, help="Longest time in a position; 0 is no limit")
    flatten: bool = param(True, help="Close the position at a time of its own, not only at the account's limit")
    flat_at: time = param(time(16, 0), unit="local time", help="That time; the account's limit rules if it is earlier")
    time_zone: str = param(NEW_YORK, unit="IANA time zone", help="Where all of these times are local time")
    late_grace_minutes: int = param(2, unit="minutes", ge=1, le=60, help="How late an entry may still be placed")
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
        day = date(2026, 1, 14)
        for name, later in (("entry_from", "entry_until"), ("pause_from", "pause_until")):
            if clock(day, getattr(self, name), self.time_zone) >= clock(day, getattr(self, later), self.time_zone):
                wrong[name] = f"{getattr(self, name):%H:%M} is not before {later}, {getattr(self, later):%H:%M}"
        session = regular_session(day)
        for name in ("entry_from", "entry_until", "flat_at"):
            if clock(day, getattr(self, name), self.time_zone) > epoch(session.closes_at):
                wrong[name] = f"{getattr(self, name):%H:%M} {self.time_zone} is not between 18:00 and 17:00 New York"
        return wrong


@lru_cache(maxsize=4096)
def clock(day: date, at: time, zone: str) -> int:
    """Return when clocks in `zone` show `at` in the session of `day`, in epoch seconds."""
    return epoch(at_local(regular_session(day), at, zone))


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed bars of one timeframe, and where on the base each of them is decided.

    begins   index of the first bar of each session
    rows     base row at whose close the bar is known: the minute that ends it, or the next one if that has no bar
    placed_at   epoch seconds of that row's close
    usable   False where that row is in another session, or so late that the next bar is closed too
    """

    bars: Bars
    begins: Int
    rows: Int
    placed_at: Int
    usable: Bool
    session_open: Int
    trade_date: Int

    def __len__(self) -> int:
        return len(self.bars)

    def before(self, column: Column) -> Column:
        """Return the column of the bar before each bar, NaN or 0 for a session's first."""
        shifted = np.roll(column, 1)
        shifted[self.begins] = np.nan if column.dtype.kind == "f" else 0
        return cast(Column, shifted)

    def begun(self, mask: Bool) -> Bool:
        """Return where the mask became true within its session."""
        return mask & ~self.before(mask)

    def crossed(self, one: Float, other: Float) -> Bool:
        """Return where `one` rose above `other` within its session."""
        return (one > other) & (self.before(one) <= self.before(other))

    def pending(self, begun: Bool, ended: Bool) -> Bool:
        """Return where a bar before in the session is marked `begun`, and none since, this one left out, `ended`."""
        numbers = np.arange(len(self))
        marks = (np.maximum.accumulate(np.where(mask, numbers, -1)) for mask in (begun, ended))
        last_begun, last_ended = (np.concatenate(([-1], mark))[: len(self)] for mark in marks)
        return (last_begun >= self.spread(self.begins)) & (last_begun >= last_ended)

    def total(self, column: Bool | Int) -> Int:
        """Return per bar the sum over its session's bars up to it, of a mask the number that are marked."""
        number: Int = column.astype(np.int64)
        total: Int = np.cumsum(number)
        return total - self.spread(total[self.begins] - number[self.begins])

    def spread(self, values: Sequence[int] | Int) -> Int:
        """Return a column of what is known once a session."""
        return np.repeat(np.asarray(values, np.int64), np.diff(np.append(self.begins, len(self))))

    def clock(self, at: time, zone: str) -> Int:
        """Return per bar when clocks in `zone` show `at` in its session, in epoch seconds."""
        days = (date.fromordinal(_ORDINAL + day) for day in self.trade_date[self.begins].tolist())
        return self.spread([clock(day, at, zone) for day in days])


def closed(frames: Frames, timeframe: Timeframe) -> Closed:
    """Return the closed bars of `timeframe` and where they are decided."""
    base, bars, ends = frames.base, frames.derived[timeframe], frames.closes[timeframe]
    opened = np.searchsorted(base.opened_at, bars.opened_at)
    rows = np.searchsorted(base.opened_at, ends - _MINUTE)
    session_open, placed_at = frames.session_open[opened], base.opened_at[rows] + _MINUTE
    usable = (frames.session_open[rows] == session_open) & (placed_at - ends < timeframe.seconds)
    usable[:-1] &= rows[:-1] != rows[1:]  # in a thin market one minute may end two bars: the newer one decides
    begins = np.flatnonzero(np.diff(session_open, prepend=-1))
    return Closed(bars, begins, rows, placed_at, usable, session_open, frames.trade_date[opened])


def flat_times(frames: Frames, params: IntradayParameters, made: Closed) -> Int:
    """Return per bar when its session's position is closed in any case: flat_at, or the account's time if earlier."""
    limit = frames.flat_by[made.rows]
    return np.minimum(limit, made.clock(params.flat_at, params.time_zone)) if params.flatten else limit


def open_for_entries(params: IntradayParameters, made: Closed, ends: Int) -> Bool:
    """Return per bar whether its close lies in the hours in which the strategy enters, which end at `ends`."""
    at = made.placed_at
    inside = made.usable & (at >= made.clock(params.entry_from, params.time_zone)) & (at < ends)
    if params.pause:
        begin, over = (made.clock(one, params.time_zone) for one in (params.pause_from, params.pause_until))
        inside &= (at < begin) | (at >= over)
    return inside


def session_warm_up(lookbacks: dict[Timeframe, int], minutes: int = SESSION_MINUTES) -> dict[Timeframe, int]:
    """Return the warm-up of a strategy that looks at its session, and at so many bars before it of each timeframe.

    minutes   what it looks at of the minutes themselves
    """
    bars = {
        timeframe: needed + SESSION_MINUTES * _MINUTE // timeframe.seconds for timeframe, needed in lookbacks.items()
    }
    made_of = [(count + 1) * timeframe.seconds // _MINUTE for timeframe, count in bars.items()]
    return {Timeframe.M1: max(minutes, *made_of) + 2, **bars}


def management(params: IntradayParameters, contract: Contract) -> Management:
    """Return what happens to the position that an entry makes."""
    part = Partial(params.partial_r, Decimal(params.partial_percent) / 100) if params.partial_r else None
    return Management(
        breakeven_r=params.breakeven_r,
        partials=(part,) if part else (),
        hold=timedelta(minutes=params.hold_minutes) if params.hold_minutes else None,
        flat_at=params.flat_at if params.flatten else None,
        zone=params.time_zone,
        late_grace=timedelta(minutes=params.late_grace_minutes),
        risk=params.risk_per_trade,
    )


def whole(ticks: Float) -> Int:
    """Return distances in whole ticks, rounded half up after six digits; 0 where they are not known."""
    return cast(Int, np.floor(np.round(np.nan_to_num(ticks), 6) + 0.5).astype(np.int64))


def distance(multiple: Decimal, ticks: Float) -> Int:
    """Return a multiple of distances in whole ticks, rounded half up; 0 where they are not known."""
    return whole(float(multiple) * ticks)
