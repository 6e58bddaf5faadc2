"""The exchange's day: 18:00 to 17:00 New York, dated by its end, and the moments inside it that the rules name.

Source of the limits: the firm's help pages, "Permitted times and products" (checked 2026-10): flat by 15:10 Chicago, on
days with an early close 15 minutes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = "America/New_York"
CHICAGO = "America/Chicago"

OPEN = time(18, 0)  # New York, on the evening before
CLOSE = time(17, 0)  # New York
RTH_OPEN = time(9, 30)  # New York
FLAT = time(15, 0)  # Chicago: our own limit
FIRM_FLAT = time(15, 10)  # Chicago
BEFORE_EARLY_CLOSE = timedelta(minutes=15)
MARGIN = timedelta(minutes=10)  # that we keep from the firm's limit


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; `trade_date` is the date on which it ends, all times are aware UTC."""

    trade_date: date
    opens_at: datetime
    closes_at: datetime
    rth_opens_at: datetime

    def __post_init__(self) -> None:
        if not self.opens_at < self.closes_at:
            raise ValueError(f"session {self.trade_date} opens at {self.opens_at} and closes at {self.closes_at}")

    @property
    def early_close(self) -> bool:
        return self.closes_at < _local(self.trade_date, CLOSE, NEW_YORK)


def trade_date_of(at: datetime) -> date:
    """Return the date of the session that `at` belongs to; a time between two sessions belongs to the later one.

    Knows weekends, no holidays: the calendar says whether that date has a session. Raises ValueError for a naive time.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    local = at.astimezone(ZoneInfo(NEW_YORK)).replace(tzinfo=None)
    day = (local + timedelta(hours=24 - CLOSE.hour)).date()
    return day + timedelta(days=7 - day.weekday()) if day.weekday() >= 5 else day


@lru_cache(maxsize=4096)
def regular_session(trade_date: date) -> Session:
    """Return the session of an ordinary trading day. Raises ValueError for a Saturday or Sunday."""
    return session_until(trade_date, _local(trade_date, CLOSE, NEW_YORK))


def session_until(trade_date: date, closes_at: datetime) -> Session:
    """Return the session of `trade_date` that ends at `closes_at`. Raises ValueError for a Saturday or Sunday."""
    if trade_date.weekday() >= 5:
        raise ValueError(f"{trade_date} is a {trade_date:%A}: no session ends on it")
    return Session(
        trade_date=trade_date,
        opens_at=_local(trade_date - timedelta(days=1), OPEN, NEW_YORK),
        closes_at=closes_at.astimezone(UTC),
        rth_opens_at=_local(trade_date, RTH_OPEN, NEW_YORK),
    )


def capture_at(session: Session) -> datetime:
    """Return when the overnight range is complete: 09:30 New York, the open of the regular hours."""
    return session.rth_opens_at


def firm_limit(session: Session) -> datetime:
    """Return when the firm wants the account flat: 15:10 Chicago, or 15 minutes before an early close."""
    limit = _local(session.trade_date, FIRM_FLAT, CHICAGO)
    return min(limit, session.closes_at - BEFORE_EARLY_CLOSE) if session.early_close else limit


def flat_by(session: Session) -> datetime:
    """Return when we are flat: 15:00 Chicago, or 10 minutes before the firm's limit if that is earlier."""
    return min(_local(session.trade_date, FLAT, CHICAGO), firm_limit(session) - MARGIN)


def tradeable(session: Session) -> bool:
    """Return whether there is time to trade between the capture and the flat time (on Good Friday there is none)."""
    return flat_by(session) > capture_at(session)


def at_local(session: Session, clock: time, zone: str) -> datetime:
    """Return the first moment since the session's open at which clocks in `zone` show `clock`, as UTC."""
    evening = session.opens_at.astimezone(ZoneInfo(zone)).date()
    first = _local(evening, clock, zone)
    return first if first >= session.opens_at else _local(evening + timedelta(days=1), clock, zone)


def _local(day: date, clock: time, zone: str) -> datetime:
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)
