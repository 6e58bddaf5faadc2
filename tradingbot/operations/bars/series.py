"""Every longer timeframe, made of the cached minutes: days over contract rolls, and what `history` and charts show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from market.bars import Bar, Bars, Int, Timeframe, epoch, resample
from market.sessions import Session
from tradingbot.models import Contract
from tradingbot.operations import contracts
from tradingbot.operations.bars import fetching, seconds
from tradingbot.operations.bars.storing import Version, base, days, load
from tradingbot.operations.calendar import recent

MOST_SESSIONS = 200  # that are read from the venue for one question
_SESSION_SECONDS = 23 * 3600
_SESSIONS_IN = {"d": 1, "w": 5, "M": 23}


@dataclass(frozen=True, slots=True)
class Roll:
    """From `trade_date` on the series shows `new`; older prices were moved by `offset` ticks."""

    trade_date: date
    old: Contract
    new: Contract
    offset: int


@dataclass(frozen=True, slots=True)
class Stitched:
    """Daily bars, opened at their session's open, in prices of the newest contract; `rolls` newest first."""

    bars: Bars
    rolls: tuple[Roll, ...]


_summaries: dict[Version, Bar] = {}
_SUMMARIES_KEPT = 4000
_AT_ONCE = 16  # days whose minutes are in memory together, 80 kB each


def daily(contract: Contract, *, sessions: int, now: datetime) -> Bars:
    """Return the bars of the last `sessions` closed sessions over contract rolls, back-adjusted. Never asks the venue.

    A session whose bars are not all known ends the series: fewer sessions, never a hole. One in which nothing traded
    (an unscheduled closure) has no bar and ends nothing.
    """
    return stitched(contract, sessions=sessions, now=now).bars


def stitched(contract: Contract, *, sessions: int, now: datetime) -> Stitched:
    """Return the same with its rolls.

    Going back, the series changes to an earlier month on the first session in which that one traded more; older bars
    are moved by the difference of both closes there.
    """
    closed = [session for session in recent(now, sessions + 1) if session.closes_at <= now][-sessions:]
    months = [contract, *contracts.before(contract)]
    known = [_of_sessions(month, closed) for month in months]
    rows: list[Bar] = []
    rolls: list[Roll] = []
    at = offset = 0
    newer: date | None = None
    empty: list[date] = []  # sessions since `newer` in which nothing traded
    for session in reversed(closed):
        day = session.trade_date
        bar = known[at].get(day)
        traded = {i: other for i in range(at + 1, len(months)) if (other := known[i].get(day)) is not None}
        busiest = max(traded, key=lambda i: traded[i].volume, default=at)
        if busiest != at and (bar is None or traded[busiest].volume > bar.volume):
            if any(one not in known[busiest] for one in empty):
                break
            older = traded[busiest]
            step = bar.close - older.close if bar is not None else 0
            if newer is not None:
                rolls.append(Roll(newer, months[busiest], months[at], step))
            offset, at, bar = offset + step, busiest, older
        if bar is None:
            if day not in known[at]:
                break
            empty.append(day)
            continue
        rows.append(
            Bar(
                opened_at=epoch(session.opens_at),
                open=bar.open + offset,
                high=bar.high + offset,
                low=bar.low + offset,
                close=bar.close + offset,
                volume=bar.volume,
            )
        )
        newer = day
        empty.clear()
    return Stitched(Bars.of(rows), tuple(rolls))


def series(contract: Contract, timeframe: Timeframe, *, count: int, now: datetime) -> Bars:
    """Return the newest `count` closed bars, fewer if there are no more; what the cache lacks is read from the venue.

    Raises ValueError for a count below 1; ReadFailed or NotSent when the venue is needed and does not answer.
    """
    if count < 1:
        raise ValueError(f"{count} bars: write 1 or more")
    if timeframe.unit == "s":
        return seconds.series(contract, timeframe, count=count, now=now)
    if timeframe.unit in _SESSIONS_IN:
        wanted = min(MOST_SESSIONS, (count + 1) * _SESSIONS_IN[timeframe.unit] * timeframe.number)
        _complete(contract, wanted, now)
        bars = daily(contract, sessions=wanted, now=now)
        longer, _ = resample(bars, timeframe, bars.opened_at, source=Timeframe.D1)
        return longer[max(0, len(longer) - count) :]
    wanted = min(MOST_SESSIONS, count * timeframe.seconds // _SESSION_SECONDS + 3)
    _complete(contract, wanted, now)
    opened = recent(now, wanted)
    if not opened:
        return Bars.empty()
    minutes = base(contract, since=opened[0].trade_date, now=now)
    longer, _ = resample(minutes, timeframe, session_opens(minutes, opened))
    return longer[max(0, len(longer) - count) :]


def session_opens(bars: Bars, opened: Sequence[Session]) -> Int:
    """Return per bar when the session opened in which it lies, epoch seconds; `opened` oldest first."""
    opens = np.array([epoch(session.opens_at) for session in opened], np.int64)
    return opens[np.maximum(np.searchsorted(opens, bars.opened_at, "right") - 1, 0)]


def _complete(contract: Contract, wanted: int, now: datetime) -> None:
    """Read what the cache lacks of the last `wanted` sessions."""
    opened = recent(now, wanted)
    known = (
        {day.trade_date for day in days(contract, opened[0].trade_date, date.max) if day.complete} if opened else set()
    )
    if any(session.trade_date not in known for session in opened[:-2]):
        fetching.backfill(contract, sessions=wanted, now=now)
    elif fetching.is_behind(contract, now=now):
        fetching.fetch(contract, now=now)


def _of_sessions(contract: Contract, closed: Sequence[Session]) -> dict[date, Bar | None]:
    """Return the day's bar of every complete session, None for one in which nothing traded."""
    if not closed:
        return {}
    stored = [day for day in days(contract, closed[0].trade_date, closed[-1].trade_date) if day.complete]
    traded = [day for day in stored if day.version.bars]
    absent = [day for day in traded if day.version not in _summaries]
    if len(_summaries) + len(absent) > _SUMMARIES_KEPT:
        _summaries.clear()
        absent = traded
    for few in (absent[at : at + _AT_ONCE] for at in range(0, len(absent), _AT_ONCE)):
        _summaries.update((day.version, _summary(bars)) for day, bars in zip(few, load(few, keep=False), strict=True))
    return {day.trade_date: _summaries[day.version] if day.version.bars else None for day in stored}


def _summary(bars: Bars) -> Bar:
    return Bar(
        int(bars.opened_at[0]),
        int(bars.open[0]),
        int(bars.high.max()),
        int(bars.low.min()),
        int(bars.close[-1]),
        int(bars.volume.sum()),
    )
