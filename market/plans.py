"""A strategy's wish: one row a base bar, what to place at that bar's close."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from market.bars import Bars, Int, Timeframe, epoch, moment, resample, trade_dates
from market.sessions import Session, flat_by, regular_session, trade_date_of, tradeable

Bool = npt.NDArray[np.bool_]


class Kind(IntEnum):
    """What a row asks for on one side."""

    NONE = 0
    MARKET = 1
    LIMIT = 2
    STOP = 3


@dataclass(frozen=True, slots=True)
class Frames:
    """Everything a strategy may look at. All frames end with the same moment: the close of the last base bar.

    base        1-minute bars, oldest first
    derived     closed bars of the timeframes that the parameters ask for; a derived bar is usable from its close on
    trade_date  per base bar: the session's date as days since 1970-01-01
    session_open, rth_open, flat_by   per base bar: epoch seconds of that bar's session
    tradeable   per base bar: False where no trade is allowed (flat time before the range is known, no calendar row)
    """

    base: Bars
    derived: dict[Timeframe, Bars]
    trade_date: Int
    session_open: Int
    rth_open: Int
    flat_by: Int
    tradeable: Bool
    closes: dict[Timeframe, Int] = field(default_factory=dict)  # per derived bar: epoch seconds at which it is closed


@dataclass(frozen=True, slots=True)
class PlanSide:
    """Columns of one side; all of the plan's length.

    kind        Kind values
    price       ticks; 0 for NONE and MARKET
    stop_ticks, target_ticks   positive distances from the entry's fill in ticks; target 0 means none
    expires_at  epoch seconds until which the entry may work
    """

    kind: Int
    price: Int
    stop_ticks: Int
    target_ticks: Int
    expires_at: Int

    @classmethod
    def nothing(cls, length: int) -> PlanSide:
        return cls(*(np.zeros(length, np.int64) for _ in range(5)))


@dataclass(frozen=True, slots=True)
class Plan:
    """One row a base bar. A row means "place at this bar's close": an edge, not a desired state.

    oco         entries of this row form a pair: the first fill cancels the other
    exit_long, exit_short   close an open position of that direction
    trail_ticks 0 for none
    figures     what the trader is shown: named columns in ticks (range_high, atr, zone edges …), NaN if unknown
    reasons     per row the index into `reason_texts` of why the row asks for nothing; 0 means nothing to say
    """

    long: PlanSide
    short: PlanSide
    oco: Bool
    exit_long: Bool
    exit_short: Bool
    trail_ticks: Int
    figures: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    reasons: Int | None = None
    reason_texts: tuple[str, ...] = ("",)

    def __len__(self) -> int:
        return len(self.oco)


@dataclass(frozen=True, slots=True)
class Management:
    """What happens to an open position, declared by the strategy and executed once for all of them.

    breakeven_ticks   profit in ticks after which the stop moves to the entry plus `breakeven_offset_ticks`; 0 = off
    flat_at           local time in `zone` by which the position is closed; None = the account's own limit, which rules
                      in any case
    late_grace        how long after its bar's close a signal may still be placed; None = until it expires
    """

    breakeven_ticks: int = 0
    breakeven_offset_ticks: int = 0
    cancel_opposite: bool = True
    flat_at: time | None = None
    zone: str = "America/New_York"
    late_grace: timedelta | None = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SidePlan:
    """One side of one row, as `Signal` carries it."""

    kind: Kind
    price: int
    stop_ticks: int
    target_ticks: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Signal:
    """A plan's row that asks for something, lifted out of the columns; prices in ticks."""

    closed_at: datetime
    long: SidePlan | None
    short: SidePlan | None
    oco: bool
    exit_long: bool
    exit_short: bool
    trail_ticks: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Silence:
    """A plan's row that had something to decide and asks for nothing: why, and on what figures."""

    closed_at: datetime
    reason: str
    figures: dict[str, float]


def frames(
    base: Bars, sessions: Sequence[Session], timeframes: Iterable[Timeframe], daily: Bars | None = None
) -> Frames:
    """Return what a strategy may look at.

    base       1-minute bars
    sessions   calendar of the days that `base` covers; bars outside of them are there, but not tradeable
    daily      daily bars opened at their session's open, when more of them are known than `base` holds; those that
               are not closed by the end of `base` are left out

    Raises ValueError for seconds: they are not made of minutes.
    """
    columns = _session_columns(base, sessions)
    session_open = columns[0]
    derived: dict[Timeframe, Bars] = {}
    closes: dict[Timeframe, Int] = {}
    for timeframe in timeframes:
        if timeframe.unit == "s":
            raise ValueError(f"{timeframe} bars cannot be made of minutes")
        if timeframe.unit in "dwM" and daily is not None:
            known, ends = resample(daily, timeframe, daily.opened_at, source=Timeframe.D1)
            rows = slice(int(np.searchsorted(ends, _end(base), "right")))
            derived[timeframe], closes[timeframe] = known[rows], ends[rows]
        else:
            derived[timeframe], closes[timeframe] = resample(base, timeframe, session_open)
    return Frames(base, derived, trade_dates(session_open), *columns, closes)


def signal(plan: Plan, frames: Frames, row: int) -> Signal | None:
    """Return what `row` asks for, None if it asks for nothing."""
    long, short = _side(plan.long, row), _side(plan.short, row)
    exit_long, exit_short = bool(plan.exit_long[row]), bool(plan.exit_short[row])
    if not (long or short or exit_long or exit_short):
        return None
    return Signal(
        closed_at=_closed_at(frames, row),
        long=long,
        short=short,
        oco=bool(plan.oco[row]),
        exit_long=exit_long,
        exit_short=exit_short,
        trail_ticks=int(plan.trail_ticks[row]),
        figures=_figures(plan, row),
    )


def silence(plan: Plan, frames: Frames, row: int) -> Silence | None:
    """Return why `row` asks for nothing, None if it has nothing to say."""
    reason = plan.reason_texts[plan.reasons[row]] if plan.reasons is not None else ""
    return Silence(_closed_at(frames, row), reason, _figures(plan, row)) if reason else None


def last_signals(plan: Plan, frames: Frames, after: int) -> list[Signal]:
    """Return what the rows of bars that opened after `after` (epoch seconds) ask for, oldest first."""
    asking = (plan.long.kind != Kind.NONE) | (plan.short.kind != Kind.NONE) | plan.exit_long | plan.exit_short
    rows = np.flatnonzero(asking & (frames.base.opened_at > after)).tolist()
    return [one for one in (signal(plan, frames, row) for row in rows) if one is not None]


def last_silences(plan: Plan, frames: Frames, after: int) -> list[Silence]:
    """Return why rows of bars that opened after `after` (epoch seconds) ask for nothing, oldest first."""
    rows = np.flatnonzero(frames.base.opened_at > after).tolist() if plan.reasons is not None else []
    return [one for one in (silence(plan, frames, row) for row in rows) if one is not None]


def _session_columns(base: Bars, sessions: Sequence[Session]) -> tuple[Int, Int, Int, Bool]:
    """Return per bar: open, RTH open and flat time of its session, and whether it may be traded."""
    length = len(base)
    session_open, rth_open, flat = (np.zeros(length, np.int64) for _ in range(3))
    allowed, known = np.zeros(length, np.bool_), np.zeros(length, np.bool_)

    def note(rows: slice | Bool, session: Session) -> None:
        session_open[rows] = epoch(session.opens_at)
        rth_open[rows] = epoch(session.rth_opens_at)
        flat[rows] = epoch(flat_by(session))

    for session in sessions:
        low, high = np.searchsorted(base.opened_at, [epoch(session.opens_at), epoch(session.closes_at)]).tolist()
        if low < high:
            note(slice(low, high), session)
            allowed[low:high] = tradeable(session)
            known[low:high] = True
    while not known.all():
        session = regular_session(trade_date_of(moment(base.opened_at[int(np.argmin(known))])))
        rows = ~known & (base.opened_at < epoch(session.closes_at))
        note(rows, session)
        known |= rows
    return session_open, rth_open, flat, allowed


def _end(base: Bars) -> int:
    return int(base.opened_at[-1]) + Timeframe.M1.seconds if len(base) else 0


def _closed_at(frames: Frames, row: int) -> datetime:
    return moment(frames.base.opened_at[row] + Timeframe.M1.seconds)


def _figures(plan: Plan, row: int) -> dict[str, float]:
    values = ((name, float(column[row])) for name, column in plan.figures.items())
    return {name: value for name, value in values if not np.isnan(value)}


def _side(side: PlanSide, row: int) -> SidePlan | None:
    if side.kind[row] == Kind.NONE:
        return None
    return SidePlan(
        kind=Kind(side.kind[row]),
        price=int(side.price[row]),
        stop_ticks=int(side.stop_ticks[row]),
        target_ticks=int(side.target_ticks[row]),
        expires_at=moment(side.expires_at[row]),
    )
