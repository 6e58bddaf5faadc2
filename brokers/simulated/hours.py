"""When the venue is open: the exchange's sessions, looked up a year at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache

from market import calendar
from market.sessions import Session, trade_date_of


def session(trade_date: date) -> Session | None:
    """Return the session dated `trade_date`, None when there is none."""
    return _year(trade_date.year).get(trade_date)


def session_at(at: datetime) -> Session | None:
    """Return the session that is open at `at`, None between two sessions."""
    found = session(trade_date_of(at))
    return found if found and found.opens_at <= at < found.closes_at else None


def sessions(start: datetime, end: datetime) -> Iterator[Session]:
    """Yield the sessions of which some part lies in [start, end], oldest first."""
    day, last = trade_date_of(start) - timedelta(days=1), trade_date_of(end)
    while day <= last:
        found = session(day)
        if found and found.opens_at <= end and found.closes_at >= start:
            yield found
        day += timedelta(days=1)


@lru_cache(maxsize=32)
def _year(year: int) -> dict[date, Session]:
    return {found.trade_date: found for found in calendar.generate(date(year, 1, 1), date(year, 12, 31))}
