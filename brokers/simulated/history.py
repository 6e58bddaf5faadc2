"""Bars of any unit out of the minutes of a market: closed ones, and the one that is still forming on request."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from itertools import groupby

import numpy as np

from brokers.simulated import hours
from brokers.simulated.market import Market, minute, offset
from brokers.simulated.path import path, seconds
from brokers.simulated.products import Listing
from market.bars import Bar, Bars, epoch
from market.sessions import Session

LIMIT = 20_000
_SECOND = 1_000_000  # microseconds


class Unit(IntEnum):
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6


_SECONDS = {Unit.SECOND: 1, Unit.MINUTE: 60, Unit.HOUR: 3600}


class History:
    """What one market has shown up to a time. Intraday bars are aligned to UTC's clock, longer ones to sessions."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._day = lru_cache(maxsize=4096)(self._whole_session)

    def bars(
        self, listing: Listing, unit: Unit, number: int, start: datetime, end: datetime, *,
        now: datetime, limit: int = LIMIT, partial: bool = False,
    ) -> Bars:  # fmt: skip
        """Return the bars that opened in [start, end], oldest first; the newest `limit` of them when there are more.

        Only bars that are closed at `now`, unless `partial` asks for the forming one too. The opening time of a bar of
        sessions is the open of its first session.
        """
        end = min(end, now)
        if start > end:
            return Bars.empty()
        if unit in _SECONDS:
            return self._intraday(listing, _SECONDS[unit] * number, start, end, now, limit, partial)
        return self._sessions(listing, unit, number, start, end, now, limit, partial)

    def _intraday(
        self, listing: Listing, length: int, start: datetime, end: datetime, now: datetime, limit: int, partial: bool
    ) -> Bars:
        first, last = epoch(start), epoch(end)
        first_whole = -(-first // length) * length  # a bar that opened before `start` is not asked for
        until = min(datetime.fromtimestamp(last // length * length + length, end.tzinfo), now)
        parts: list[Bars] = []
        count = 0
        for session in reversed(list(hours.sessions(start - timedelta(seconds=length), until))):
            if length % 60:
                known = self._seconds(listing, session, until, -(-(limit - count) * length // 60) + 2)
            else:
                known = self._known(listing, session, until)
            known = known[int(np.searchsorted(known.opened_at, first_whole)) :]
            parts.append(_merge(known, known.opened_at // length) if len(known) else known)
            count += len(parts[-1])
            if count - len(parts) > limit:  # a bar may span two sessions
                break
        base = _join(parts[::-1])
        merged = _merge(base, base.opened_at // length)
        opened_at = merged.opened_at // length * length
        ends = opened_at + length
        keep = (opened_at >= first_whole) & (opened_at <= last) & ((ends <= epoch(now)) | partial)
        return Bars(opened_at[keep], *(column[keep] for column in merged.columns[1:]))[-limit:]

    def _sessions(
        self, listing: Listing, unit: Unit, number: int, start: datetime, end: datetime, now: datetime, limit: int,
        partial: bool,
    ) -> Bars:  # fmt: skip
        found: list[Bar] = []
        margin = timedelta(days={Unit.DAY: 7, Unit.WEEK: 7, Unit.MONTH: 31}[unit] * number)
        reach = [s for s in hours.sessions(start - margin, now + margin) if listing.first_date <= s.trade_date]
        for _, group in groupby(reach, key=lambda session: _period(session, unit) // number):
            members = list(group)
            known = [
                bar for session in members if session.opens_at <= now for bar in self._session(listing, session, now)
            ]
            opened_at = epoch(members[0].opens_at)
            closed = members[-1].closes_at <= now
            if known and epoch(start) <= opened_at <= epoch(end) and (closed or partial):
                one = _merge(Bars.of(known), np.zeros(len(known), np.int64))
                found.extend(Bar(opened_at, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in one)
        return Bars.of(found)[-limit:]

    def _session(self, listing: Listing, session: Session, now: datetime) -> tuple[Bar, ...]:
        if session.closes_at <= now:
            return self._day(listing, session)
        known = self._known(listing, session, now)
        return tuple(_merge(known, np.zeros(len(known), np.int64)))

    def _whole_session(self, listing: Listing, session: Session) -> tuple[Bar, ...]:
        bars = self._market.minutes(listing, session)
        return tuple(_merge(bars, np.zeros(len(bars), np.int64)))

    def _known(self, listing: Listing, session: Session, until: datetime) -> Bars:
        """Return a session's minutes before `until`, the one it cuts through as far as it has come."""
        bars = self._market.minutes(listing, session)
        closed = bars[: int(np.searchsorted(bars.opened_at, epoch(until) // 60 * 60))]
        forming = minute(self._market, listing, session, until)
        if forming is None or not offset(forming, until):
            return closed
        return _join([closed, Bars.of([path(forming).piece(0, offset(forming, until))])])

    def _seconds(self, listing: Listing, session: Session, until: datetime, minutes: int) -> Bars:
        """Return the seconds of a session's last `minutes` before `until`, the one it cuts through too."""
        bars = self._market.minutes(listing, session)
        last = int(np.searchsorted(bars.opened_at, epoch(until) // 60 * 60))
        whole = seconds(bars[max(0, last - minutes) : last])
        forming = minute(self._market, listing, session, until)
        if forming is None:
            return whole
        end = offset(forming, until)
        pieces = [path(forming).piece(start, min(start + _SECOND, end)) for start in range(0, end, _SECOND)]
        return _join([whole, Bars.of(pieces)])


def _period(session: Session, unit: Unit) -> int:
    day = session.trade_date
    if unit is Unit.MONTH:
        return day.year * 12 + day.month - 1
    days = day.toordinal() - 1  # 0 was a Monday
    return days // 7 if unit is Unit.WEEK else days // 7 * 5 + min(days % 7, 4)


def _join(parts: list[Bars]) -> Bars:
    if not parts:
        return Bars.empty()
    return Bars(*(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True)))


def _merge(bars: Bars, key: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Bars:
    """Return one bar for each run of equal keys."""
    if not len(bars):
        return bars
    starts = np.flatnonzero(np.concatenate(([True], np.diff(key) != 0)))
    ends = np.concatenate((starts[1:], [len(bars)])) - 1
    return Bars(
        opened_at=bars.opened_at[starts],
        open=bars.open[starts],
        high=np.maximum.reduceat(bars.high, starts),
        low=np.minimum.reduceat(bars.low, starts),
        close=bars.close[ends],
        volume=np.add.reduceat(bars.volume, starts),
    )
