"""The day before and its levels: where its regular hours traded, and what the price does there now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from market.bars import UNKNOWN, Bars, Int
from market.orders import Side
from market.plans import Bool, Frames
from strategies.indicators import Float
from strategies.intraday import SESSION_MINUTES, Closed
from strategies.volume_profile import Profile, delta_of, profile

T = TypeVar("T")
RTH_MINUTES = 390
MOST_DAYS = 5  # from one session's date to the next one's, over a holiday weekend
WARM_UP = 2 * SESSION_MINUTES - 930
"""Minutes that decide: the session's, and the one before from 09:30 on."""


@dataclass(frozen=True, slots=True)
class Yesterdays:
    """The regular hours of the session before, 09:30 to 16:00 New York: columns of closed bars, prices in ticks.

    minutes   how many of them have a bar; 0 if the session before is not known
    high, low, close   NaN without a minute
    poc, value_low, value_high   NaN where no volume is known
    session   index of each bar's session in `profiles`
    profiles  per session; None where no volume is known
    """

    minutes: Int
    high: Float
    low: Float
    close: Float
    poc: Float
    value_low: Float
    value_high: Float
    session: Int
    profiles: list[Profile | None]

    def of_profile(self, name: str) -> Float:
        """Return a number of the profiles per bar, NaN where there is none."""
        return _of(self.profiles, lambda one: float(getattr(one, name)))[self.session]


def yesterdays(frames: Frames, made: Closed, bin_ticks: int, needed: int) -> Yesterdays:
    """Return what the session before each one of `made` traded in its regular hours.

    needed   a session with fewer bars before it is not traded: nothing is worked out for it
    """
    found = zip(_regular_hours_before(frames, made), made.begins.tolist(), strict=True)
    hours = [bars if first >= needed else Bars.empty() for bars, first in found]
    profiles = [profile(bars, bin_ticks) for bars in hours]
    session = made.spread(np.arange(len(hours)))
    known = [bars if len(bars) else None for bars in hours]
    return Yesterdays(
        minutes=made.spread([len(bars) for bars in hours]),
        high=_of(known, lambda bars: int(bars.high.max()))[session],
        low=_of(known, lambda bars: int(bars.low.min()))[session],
        close=_of(known, lambda bars: int(bars.close[-1]))[session],
        poc=_of(profiles, lambda one: one.poc)[session],
        value_low=_of(profiles, lambda one: one.value_low)[session],
        value_high=_of(profiles, lambda one: one.value_high)[session],
        session=session,
        profiles=profiles,
    )


def change_over(made: Closed, column: Float, bars: int) -> Float:
    """Return how much a column that begins at 0 with each session changed over so many bars of it."""
    back = np.arange(len(made)) - bars
    return column - np.where(back >= made.spread(made.begins), column[np.maximum(back, 0)], 0.0)


def broke(made: Closed, level: Float, side: Side, offset: int) -> Bool:
    """Return which bars close at least `offset` ticks beyond the level and the one before in the session did not."""
    beyond = (made.bars.close - level) * float(side) - offset
    return (beyond >= 0) & (made.before(beyond) < 0)


def swept(made: Closed, level: Float, side: Side, least: int, bars: int) -> tuple[Bool, Float]:
    """Return which bars are the first to close back inside the level after a sweep of it, and how far that went.

    A sweep goes at least `least` ticks beyond the level, in the bar itself or in the `bars` - 1 before it in the
    session: orders that rest behind the level are filled, and nobody follows. The way beyond is in ticks.
    """
    way = ((made.bars.high if side is Side.BUY else made.bars.low) - level) * float(side)
    most = earlier = way
    for _ in range(bars - 1):
        earlier = made.before(earlier)
        most = np.fmax(most, earlier)
    inside = (made.bars.close - level) * float(side) < 0
    return made.begun((most >= least) & inside), most


@dataclass(frozen=True, slots=True)
class Delta:
    """Contracts bought less contracts sold at market: columns of closed bars.

    total        since the session's open; NaN where only the change is known from trades
    change       over the newest bars
    from_trades  where both are of the trades; elsewhere they are approximated from the minutes' bars
    """

    total: Float
    change: Float
    from_trades: Bool


def cumulative_delta(frames: Frames, made: Closed, bars: int, *, by_change: bool) -> Delta:
    """Return the delta since the session's open, and its change over so many bars.

    It is of the trades where every minute that is looked at tells theirs: of the session so far, or only of those bars
    if what is decided rests on the change alone.
    """
    approximated = _since_open(frames, made, delta_of(frames.base))
    change = change_over(made, approximated, bars)
    if frames.base.delta is None:
        return Delta(approximated, change, np.zeros(len(made), np.bool_))
    unknown = frames.base.delta == UNKNOWN
    missing = _counted(frames, made, unknown.astype(np.int64))
    told = _counted(frames, made, np.where(unknown, 0, frames.base.delta))
    from_trades = (change_over(made, missing, bars) if by_change else missing) == 0
    return Delta(
        total=np.where(from_trades, np.where(missing == 0, told, np.nan), approximated),
        change=np.where(from_trades, change_over(made, told, bars), change),
        from_trades=from_trades,
    )


def _counted(frames: Frames, made: Closed, column: Int) -> Float:
    """Return per bar the sum of a column of the minutes since the session's open."""
    total = np.cumsum(column)
    firsts = np.searchsorted(frames.base.opened_at, made.session_open[made.begins])
    return (total[made.rows] - made.spread(total[firsts] - column[firsts])).astype(np.float64)


def _since_open(frames: Frames, made: Closed, column: Float) -> Float:
    """Return the same of fractions, each session summed by itself: what lies before it changes no digit."""
    total = np.empty(len(made))
    firsts = np.searchsorted(frames.base.opened_at, made.session_open[made.begins])
    for first, begin, end in zip(firsts, made.begins, np.append(made.begins, len(made))[1:], strict=True):
        rows = made.rows[begin:end]
        total[begin:end] = np.cumsum(column[first : rows[-1] + 1])[rows - first]
    return np.round(total, 6)


def _regular_hours_before(frames: Frames, made: Closed) -> list[Bars]:
    firsts = np.flatnonzero(np.diff(frames.session_open, prepend=-1))
    opens, dates, regular = (column[firsts] for column in (frames.session_open, frames.trade_date, frames.rth_open))
    hours = []
    for number in np.searchsorted(opens, made.session_open[made.begins]).tolist():
        known = number > 0 and dates[number] - dates[number - 1] <= MOST_DAYS
        start = int(regular[number - 1])
        low, high = np.searchsorted(frames.base.opened_at, [start, start + RTH_MINUTES * 60]).tolist()
        hours.append(frames.base[low:high] if known else Bars.empty())
    return hours


def _of(things: Sequence[T | None], value: Callable[[T], float]) -> Float:
    return np.array([np.nan if one is None else value(one) for one in things], np.float64)
