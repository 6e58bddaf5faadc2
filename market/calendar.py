"""Which sessions exist: the exchange's calendar for equity index futures, and where its source is known to be wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from market.sessions import CHICAGO, CLOSE, NEW_YORK, Session, session_until

SOURCE = "pandas-market-calendars, CME Globex Equity"

CORRECTIONS: dict[date, time | None] = {
    # The library (5.5.0) opens every Good Friday from 2023 on until 08:15 Chicago; the exchange does so only when the
    # employment report comes out that day (2023, 2026). Source: CME Globex holiday schedules of 2024 and 2025.
    date(2024, 3, 29): None,
    date(2025, 4, 18): None,
    # National Day of Mourning: equities until 08:30 Chicago. Source: CME Group's announcement of 2024-12-30.
    date(2025, 1, 9): time(8, 30),
}
"""Closing time in Chicago, None for no session, of dates that the library does not know as they were."""


def generate(first: date, last: date) -> list[Session]:
    """Return the sessions dated `first` to `last`, oldest first; days without trading have none.

    Raises ValueError if `last` is before `first`.
    """
    if last < first:
        raise ValueError(f"the calendar cannot end on {last}, before it begins on {first}")
    return list(_generate(first, last))


@lru_cache(maxsize=64)
def _generate(first: date, last: date) -> tuple[Session, ...]:
    from pandas_market_calendars import get_calendar

    schedule = get_calendar("CME Globex Equity").schedule(first.isoformat(), last.isoformat())
    sessions = []
    for day, closes in zip(schedule.index, schedule["market_close"], strict=True):
        closes_at = _corrected(day.date(), closes.to_pydatetime().astimezone(UTC))
        if closes_at is not None:
            regular = datetime.combine(day.date(), CLOSE, ZoneInfo(NEW_YORK))
            sessions.append(session_until(day.date(), closes_at, early_close=closes_at < regular))
    return tuple(sessions)


def minutes(session: Session) -> int:
    """Return how many 1-minute bars the session has when every minute trades (1380 on an ordinary day)."""
    return int((session.closes_at - session.opens_at).total_seconds()) // 60


def _corrected(day: date, closes_at: datetime) -> datetime | None:
    if day not in CORRECTIONS:
        return closes_at
    clock = CORRECTIONS[day]
    return None if clock is None else datetime.combine(day, clock, ZoneInfo(CHICAGO)).astimezone(UTC)
