"""The exchange's calendar in rows: generated, editable by a person; a date without a row is not traded."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import transaction

from market.calendar import SOURCE, generate
from market.sessions import Session, trade_date_of
from tradingbot.models import CalendarDay

AHEAD = timedelta(days=365)
BEHIND = timedelta(days=300)  # about 205 sessions: what daily averages look back on


def ensure_calendar(*, now: datetime, since: date | None = None) -> int:
    """Write the calendar from `since` (default: 300 days back) to a year ahead. Returns how many rows changed.

    Rows that a person edited are left alone; rows of ours that the exchange no longer trades are removed.
    """
    today = trade_date_of(now)
    first, last = min(since or today, today - BEHIND), today + AHEAD
    wanted = {session.trade_date: session for session in generate(first, last)}
    with transaction.atomic():
        rows = CalendarDay.objects.select_for_update().filter(trade_date__range=(first, last))
        stored = {row.trade_date: row for row in rows}
        ours = {day: row for day, row in stored.items() if row.source == SOURCE}
        gone = [row.pk for day, row in ours.items() if day not in wanted]
        changed = [
            _filled(row, wanted[day]) for day, row in ours.items() if day in wanted and row.session != wanted[day]
        ]
        added = [_filled(CalendarDay(source=SOURCE), session) for day, session in wanted.items() if day not in stored]
        CalendarDay.objects.filter(pk__in=gone).delete()
        CalendarDay.objects.bulk_update(changed, ["opens_at", "closes_at", "rth_opens_at", "early_close"])
        CalendarDay.objects.bulk_create(added, ignore_conflicts=True)
    return len(gone) + len(changed) + len(added)


def session_for(trade_date: date) -> Session | None:
    """Return the session dated `trade_date`, None if that date is not traded."""
    row = CalendarDay.objects.filter(trade_date=trade_date).first()
    return row.session if row else None


def current(now: datetime) -> Session | None:
    """Return the session that is open now, None in the daily break, on weekends and holidays."""
    row = CalendarDay.objects.filter(opens_at__lte=now, closes_at__gt=now).first()
    return row.session if row else None


def upcoming(now: datetime, count: int = 1) -> list[Session]:
    """Return the open session and those after it, or the next ones, oldest first."""
    return [row.session for row in CalendarDay.objects.filter(closes_at__gt=now).order_by("closes_at")[:count]]


def recent(now: datetime, count: int) -> list[Session]:
    """Return the last `count` sessions that have opened, oldest first."""
    return [row.session for row in CalendarDay.objects.filter(opens_at__lte=now).order_by("-opens_at")[:count]][::-1]


def between(first: date, last: date) -> list[Session]:
    """Return the sessions dated `first` to `last`, oldest first."""
    return [row.session for row in CalendarDay.objects.filter(trade_date__range=(first, last)).order_by("trade_date")]


def ends_on() -> date | None:
    """Return the last date that the calendar knows, None if it is empty."""
    return CalendarDay.objects.order_by("-trade_date").values_list("trade_date", flat=True).first()


def _filled(row: CalendarDay, session: Session) -> CalendarDay:
    row.trade_date, row.opens_at, row.closes_at = session.trade_date, session.opens_at, session.closes_at
    row.rth_opens_at, row.early_close = session.rth_opens_at, session.early_close
    return row
