"""Which sessions exist: the exchange's calendar for equity index futures, and where its source is known to be wrong.

`python -m market.calendar 2026 2027` prints them as JSON, in UTC: [trade date, opens, closes, regular open, early].
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

from market.sessions import CHICAGO, CLOSE, NEW_YORK, Session, session_until

SOURCE = "pandas-market-calendars, CME Globex Equity"

_PATIENCE = 60.0  # seconds; it takes one on an idle machine

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
    with _one_asks:
        missing = [year for year in range(first.year, last.year + 1) if year not in _years]
        if missing:
            _learn(min(missing) - 1, max(missing) + 1)
    sessions = (session for year in range(first.year, last.year + 1) for session in _years[year])
    return [session for session in sessions if first <= session.trade_date <= last]


_years: dict[int, list[Session]] = {}
_one_asks = Lock()


def _learn(first: int, last: int) -> None:
    """Ask the library in a process of its own: it brings pandas, 60 MB that a process which goes on would keep."""
    answer = subprocess.run(
        [sys.executable, "-m", "market.calendar", str(first), str(last)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    if answer.returncode:
        raise RuntimeError(f"the calendar of {first} to {last} cannot be made: {answer.stderr.strip()[-300:]}")
    years: dict[int, list[Session]] = {year: [] for year in range(first, last + 1)}
    for day, *times, early_close in json.loads(answer.stdout):
        trade_date = date.fromisoformat(day)
        opens_at, closes_at, rth_opens_at = map(datetime.fromisoformat, times)
        years[trade_date.year].append(Session(trade_date, opens_at, closes_at, rth_opens_at, early_close))
    _years.update(years)


def _from_library(first: int, last: int) -> Iterator[Session]:
    from pandas_market_calendars import get_calendar

    schedule = get_calendar("CME Globex Equity").schedule(f"{first}-01-01", f"{last}-12-31")
    for day, closes in zip(schedule.index, schedule["market_close"], strict=True):
        closes_at = _corrected(day.date(), closes.to_pydatetime().astimezone(UTC))
        if closes_at is not None:
            regular = datetime.combine(day.date(), CLOSE, ZoneInfo(NEW_YORK))
            yield session_until(day.date(), closes_at, early_close=closes_at < regular)


def minutes(session: Session) -> int:
    """Return how many 1-minute bars the session has when every minute trades (1380 on an ordinary day)."""
    return int((session.closes_at - session.opens_at).total_seconds()) // 60


def _corrected(day: date, closes_at: datetime) -> datetime | None:
    if day not in CORRECTIONS:
        return closes_at
    clock = CORRECTIONS[day]
    return None if clock is None else datetime.combine(day, clock, ZoneInfo(CHICAGO)).astimezone(UTC)


def _print(first: int, last: int) -> None:
    rows = [
        [
            session.trade_date.isoformat(),
            *(at.isoformat() for at in (session.opens_at, session.closes_at, session.rth_opens_at)),
            session.early_close,
        ]
        for session in _from_library(first, last)
    ]
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    _print(int(sys.argv[1]), int(sys.argv[2]))
