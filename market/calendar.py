"""Which sessions exist: the exchange's calendar for equity index futures, and where its source is known to be wrong.

The years of `holidays.toml` are known at once, others are asked of the library. `python -m market.calendar 2010 2035`
prints that file anew.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

from market.sessions import CHICAGO, CLOSE, NEW_YORK, Session, session_until

SOURCE = "pandas-market-calendars, CME Globex Equity"

_HOLIDAYS = Path(__file__).with_name("holidays.toml")
_PATIENCE = 60.0  # seconds; it takes one on an idle machine

_GOOD_FRIDAY = time(8, 15)  # Chicago; the library (5.5.0) has no other day close then

CORRECTIONS: dict[date, time | None] = {
    # National Day of Mourning: equities until 08:30 Chicago. Source: CME Group's announcement of 2024-12-30.
    date(2025, 1, 9): time(8, 30),
}
"""Closing time in Chicago, None for no session, of dates that the library does not know as they were."""


@dataclass(frozen=True, slots=True)
class Holidays:
    """The weekdays of one year that are no ordinary ones: without a session, or closing early, in Chicago's time."""

    closed: frozenset[date]
    early: Mapping[date, time]

    def sessions(self, year: int) -> Iterator[Session]:
        """Return the sessions of the year, oldest first."""
        day = date(year, 1, 1)
        while day.year == year:
            if day.weekday() < 5 and day not in self.closed:
                early = self.early.get(day)
                closes = datetime.combine(day, *((CLOSE, _NEW_YORK) if early is None else (early, _CHICAGO)))
                yield session_until(day, closes.astimezone(UTC))
            day += timedelta(days=1)


_CHICAGO, _NEW_YORK = ZoneInfo(CHICAGO), ZoneInfo(NEW_YORK)


def generate(first: date, last: date) -> list[Session]:
    """Return the sessions dated `first` to `last`, oldest first; days without trading have none.

    Raises ValueError if `last` is before `first`.
    """
    if last < first:
        raise ValueError(f"the calendar cannot end on {last}, before it begins on {first}")
    with _one_asks:
        missing = [year for year in range(first.year, last.year + 1) if year not in _years]
        unknown = [year for year in missing if year not in holidays()]
        known = holidays() | (_asked(min(unknown), max(unknown)) if unknown else {})
        _years.update({year: list(known[year].sessions(year)) for year in missing})
    sessions = (session for year in range(first.year, last.year + 1) for session in _years[year])
    return [session for session in sessions if first <= session.trade_date <= last]


_years: dict[int, list[Session]] = {}
_one_asks = Lock()


def minutes(session: Session) -> int:
    """Return how many 1-minute bars the session has when every minute trades (1380 on an ordinary day)."""
    return int((session.closes_at - session.opens_at).total_seconds()) // 60


@cache
def holidays() -> dict[int, Holidays]:
    """Return the years that we know without asking."""
    return _read(_HOLIDAYS.read_text())


def _read(text: str) -> dict[int, Holidays]:
    return {
        int(year): Holidays(
            frozenset(date.fromisoformat(f"{year}-{day}") for day in of["closed"]),
            {date.fromisoformat(f"{year}-{day}"): time.fromisoformat(at) for day, at in of["early"].items()},
        )
        for year, of in tomllib.loads(text).items()
    }


def _asked(first: int, last: int) -> dict[int, Holidays]:
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
    return _read(answer.stdout)


def from_library(first: int, last: int) -> dict[int, Holidays]:
    """Return what the library knows of the years, corrected."""
    from pandas_market_calendars import get_calendar

    schedule = get_calendar("CME Globex Equity").schedule(f"{first}-01-01", f"{last}-12-31")
    known = {day.date(): closes.to_pydatetime() for day, closes in schedule["market_close"].items()}
    found: dict[int, Holidays] = {}
    for year in range(first, last + 1):
        closed, early = set(), {}
        for number in range(366):
            day = date(year, 1, 1) + timedelta(days=number)
            if day.year == year and day.weekday() < 5:
                ordinary = datetime.combine(day, CLOSE, _NEW_YORK)
                closes = known[day].astimezone(_CHICAGO).time() if day in known else None
                if closes == _GOOD_FRIDAY and not _has_employment_report(day):
                    closes = None
                closes = CORRECTIONS.get(day, closes)
                if closes is None:
                    closed.add(day)
                elif datetime.combine(day, closes, _CHICAGO) < ordinary:
                    early[day] = closes
        found[year] = Holidays(frozenset(closed), early)
    return found


def _has_employment_report(good_friday: date) -> bool:
    """Return whether the exchange trades on a Good Friday: the library says so of every one from 2023 on.

    It does when the employment report comes out that day, on the third Friday after the week of March 12: the first
    Friday of April. Sources: Bureau of Labor Statistics; CME Globex holiday schedules, open 2010, 2012, 2015, 2021,
    2023 and 2026, closed in the years between.
    """
    return good_friday.month == 4 and good_friday.day <= 7


def _text(first: int, last: int) -> str:
    lines = [
        f"# {SOURCE}, corrected where it is known to be wrong. Times are Chicago's.",
        f"# python -m market.calendar {first} {last} > market/holidays.toml",
    ]
    for year, of in from_library(first, last).items():
        closed = ", ".join(f'"{day:%m-%d}"' for day in sorted(of.closed))
        early = ", ".join(f'"{day:%m-%d}" = "{at:%H:%M}"' for day, at in sorted(of.early.items()))
        lines += ["", f"[{year}]", f"closed = [{closed}]", f"early = {{{early}}}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(_text(int(sys.argv[1]), int(sys.argv[2])))
