"""A strategy's wish: one row a base bar, what to place at that bar's close."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from market.bars import Bars, Int, Timeframe, epoch, moment, resample, trade_dates
from market.contracts import Contract, round_half_up
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

    An entry is for a strategy that is flat, or that this row's exit makes flat: an exit of the other direction goes
    before the entry. While the strategy has a position, any other entry is passed over, except an addition.

    oco         entries of this row form a pair: the first fill cancels the other
    exit_long, exit_short   close an open position of that direction
    trail_ticks distance that the stop of this row's entry keeps behind the best price of the closed 1-minute bars since
                its fill, once that is nearer than the stop is; 0 for none
    figures     what the trader is shown: named columns in ticks (range_high, atr, zone edges …), NaN if unknown
    reasons     per row the index into `reason_texts` of why the row asks for nothing, or of why it asks for what it
                does; 0 means nothing to say
    adds        rows whose entries only add to a position of their direction, at most `Management.max_adds` times, and
                are passed over without one; None for no such row
    measures    what the trader is shown beside `figures` and is no price: RSI, ADX, shares; NaN if unknown
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
    adds: Bool | None = None
    measures: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.oco)


@dataclass(frozen=True, slots=True)
class Partial:
    """A part of the position that is closed before the rest.

    r       profit at which, as a multiple of the entry's stop distance
    share   of the contracts that the entry filled, above 0 and below 1
    """

    r: Decimal
    share: Decimal

    def __post_init__(self) -> None:
        if self.r <= 0 or not 0 < self.share < 1:
            raise ValueError(f"a partial target at {self.r} x the stop for {self.share} of the position")


@dataclass(frozen=True, slots=True)
class Management:
    """What happens to an open position, declared by the strategy and executed once for all of them.

    All of it is decided on closed 1-minute bars; the bar of the fill counts by its close alone. What it decides takes
    effect with the next bar: a stop moves, a part or all of the position is closed at market.

    breakeven_ticks   profit in ticks after which the stop moves to the entry plus `breakeven_offset_ticks`; 0 = off
    breakeven_r       the same profit as a multiple of the entry's stop distance, where `breakeven_ticks` is 0; 0 = off
    partials          parts that are closed at a profit before the target, nearest first
    hold              the position is closed at the first close at or after the fill plus this; None = no such limit
    max_adds          how often entries of a plan's `adds` rows may add to the position
    risk              dollars that an entry may lose at its stop, fees and slippage apart; 0 = its size is fixed
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
    breakeven_r: Decimal = Decimal(0)
    partials: tuple[Partial, ...] = ()
    hold: timedelta | None = None
    max_adds: int = 0
    risk: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.breakeven_ticks < 0 or self.max_adds < 0 or min(self.breakeven_r, self.risk) < 0:
            given = f"breakeven {self.breakeven_ticks}, {self.breakeven_r}, {self.max_adds} adds, risk {self.risk}"
            raise ValueError(f"{given}: none of them may be below 0")
        if self.hold is not None and self.hold <= timedelta(0):
            raise ValueError(f"a position cannot be held for {self.hold}")
        if list(self.partials) != sorted(self.partials, key=lambda part: part.r):
            raise ValueError("partial targets are not in the order in which the price reaches them")
        if sum(part.share for part in self.partials) >= 1:
            raise ValueError("partial targets leave nothing of the position")

    def quantity(self, size: int, stop_ticks: int, contract: Contract) -> int:
        """Return how many contracts an entry asks for: `size`, or fewer that lose at most `risk` at their stop.

        Rounds down: 0 means that not even one contract fits.
        """
        return min(size, int(self.risk // contract.money(stop_ticks))) if self.risk else size

    def breakeven_at(self, stop_ticks: int) -> int:
        """Return the profit in ticks that moves the stop of an entry with this stop distance, 0 for never."""
        return self.breakeven_ticks or round_half_up(self.breakeven_r * stop_ticks)

    def partial_at(self, stop_ticks: int) -> tuple[int, ...]:
        """Return the profit in ticks at which each of the partial targets of an entry with this stop distance lies."""
        return tuple(max(1, round_half_up(part.r * stop_ticks)) for part in self.partials)

    def partial_quantities(self, filled: int) -> tuple[int, ...]:
        """Return how many of `filled` contracts each of the partial targets closes: rounded down, at least one.

        The last contract of a position is never among them; a small position leaves out the later targets.
        """
        quantities, left = [], filled - 1
        for part in self.partials:
            quantities.append(min(left, max(1, int(part.share * filled))))
            left -= quantities[-1]
        return tuple(quantities)


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
    """A plan's row that asks for something, lifted out of the columns; prices in ticks.

    adds     its entries only add to a position of their direction
    reason   why it asks, empty if the strategy does not say
    """

    closed_at: datetime
    long: SidePlan | None
    short: SidePlan | None
    oco: bool
    exit_long: bool
    exit_short: bool
    trail_ticks: int
    figures: dict[str, float]
    adds: bool = False
    reason: str = ""
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence:
    """A plan's row that had something to decide and asks for nothing: why, and on what figures."""

    closed_at: datetime
    reason: str
    figures: dict[str, float]
    measures: dict[str, float] = field(default_factory=dict)


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
        figures=_known(plan.figures, row),
        adds=bool(plan.adds is not None and plan.adds[row]),
        reason=_reason(plan, row),
        measures=_known(plan.measures, row),
    )


def silence(plan: Plan, frames: Frames, row: int) -> Silence | None:
    """Return why `row` asks for nothing, None if it has nothing to say or does ask."""
    reason = _reason(plan, row)
    if not reason or signal(plan, frames, row) is not None:
        return None
    return Silence(_closed_at(frames, row), reason, _known(plan.figures, row), _known(plan.measures, row))


def last_signals(plan: Plan, frames: Frames, after: int) -> list[Signal]:
    """Return what the rows of bars that opened after `after` (epoch seconds) ask for, oldest first."""
    rows = np.flatnonzero(_asking(plan) & (frames.base.opened_at > after)).tolist()
    return [one for one in (signal(plan, frames, row) for row in rows) if one is not None]


def last_silences(plan: Plan, frames: Frames, after: int) -> list[Silence]:
    """Return why rows of bars that opened after `after` (epoch seconds) ask for nothing, oldest first."""
    if plan.reasons is None:
        return []
    rows = np.flatnonzero((plan.reasons != 0) & (frames.base.opened_at > after)).tolist()
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


def _asking(plan: Plan) -> Bool:
    entries: Bool = (plan.long.kind != Kind.NONE) | (plan.short.kind != Kind.NONE)
    return entries | plan.exit_long | plan.exit_short


def _reason(plan: Plan, row: int) -> str:
    return plan.reason_texts[plan.reasons[row]] if plan.reasons is not None else ""


def _known(columns: dict[str, npt.NDArray[np.float64]], row: int) -> dict[str, float]:
    values = ((name, float(column[row])) for name, column in columns.items())
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
