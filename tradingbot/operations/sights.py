"""What a strategy may look at: cached minutes that are known without a hole, and the longer bars made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import strategies as registry
from market.bars import Bars, Timeframe, join, moment
from market.plans import Frames, frames
from market.sessions import Session
from strategies.parameters import ParameterError
from tradingbot.models import Contract, Strategy
from tradingbot.operations import bars, statements
from tradingbot.operations.bars.storing import MINUTE, Day, Version, load

_SESSIONS_IN = {"d": 1, "w": 5, "M": 23}
_MINUTES_OF_SESSION = 1380
_daily: dict[tuple[int, int], tuple[object, Bars]] = {}

# The sessions that have opened, what is stored of each, and what changes when a complete day of the product does.
_KNOWN = """
SELECT day.trade_date, day.opens_at, day.closes_at, day.rth_opens_at,
       stored.id, stored.updated_at, stored.covered_until, stored.count, stored.complete,
       captured.high, captured.low, product.days, product.changed, product.last
FROM (
    SELECT * FROM tradingbot_calendarday WHERE opens_at <= %(now)s ORDER BY opens_at DESC LIMIT %(sessions)s
) day
LEFT JOIN tradingbot_barday stored ON stored.contract_id = %(contract)s AND stored.trade_date = day.trade_date
LEFT JOIN tradingbot_overnightrange captured
    ON captured.contract_id = %(contract)s AND captured.session_date = day.trade_date
CROSS JOIN (
    SELECT count(*) AS days, max(complete.updated_at) AS changed, max(complete.trade_date) AS last
    FROM tradingbot_barday complete
    JOIN tradingbot_contract month ON month.id = complete.contract_id
    WHERE month.venue = %(venue)s AND month.symbol = %(symbol)s AND complete.complete
) product
ORDER BY day.opens_at
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """Frames of one contract, the session of the newest bar, when that bar closed, the captured range (high, low)."""

    frames: Frames
    session: Session
    closed_at: datetime
    captured: tuple[Decimal, Decimal] | None


def look(contract: Contract, rows: Iterable[Strategy], *, now: datetime) -> Sight | None:
    """Return what `rows` together need to look at; None without bars, or outside of the calendar's sessions.

    It ends before the first minute that is not known: a row of a plan never rests on bars with a hole.
    """
    needed = _needed(rows)
    known = _known(contract, needed.pop(Timeframe.M1, 0) // _MINUTES_OF_SESSION + 3, now)
    if not known.sessions:
        return None
    opened = known.sessions
    until = next((day.covered_until for day in known.days if day.trade_date == opened[-1].trade_date), None)
    minutes = join(load(known.days)).between(opened[0].opens_at, min(until or opened[-1].opens_at, now))
    if not len(minutes):
        return None
    newest = moment(minutes.opened_at[-1])
    session = next((session for session in opened if session.opens_at <= newest < session.closes_at), None)
    if session is None:
        return None
    longer = [count * _SESSIONS_IN[timeframe.unit] for timeframe, count in needed.items() if timeframe.unit in "dwM"]
    daily = _daily_bars(contract, max(longer) + 1, known.version, now) if longer else None
    captured = known.ranges.get(session.trade_date)
    return Sight(frames(minutes, opened, list(needed), daily), session, newest + MINUTE, captured)


@dataclass(frozen=True, slots=True)
class _Known:
    """Sessions that have opened, oldest first, the stored days and captured ranges of them.

    version   another one when a complete day of the product was added or changed
    """

    sessions: list[Session]
    days: list[Day]
    ranges: dict[date, tuple[Decimal, Decimal]]
    version: tuple[Any, ...]


def _known(contract: Contract, sessions: int, now: datetime) -> _Known:
    """Read in one statement what is known without the bars themselves: this stands on the way of every order."""
    values = {
        "now": now,
        "sessions": sessions,
        "contract": contract.pk,
        "venue": contract.venue,
        "symbol": contract.symbol,
    }
    rows = statements.rows(_KNOWN, values)
    days = [Day(row[0], Version(*row[4:8]), row[8]) for row in rows if row[4] is not None]
    ranges = {row[0]: (row[9], row[10]) for row in rows if row[9] is not None}
    return _Known([Session(*row[:4]) for row in rows], days, ranges, rows[0][11:] if rows else ())


def _needed(rows: Iterable[Strategy]) -> dict[Timeframe, int]:
    """Return how many bars of each frame the hungriest strategy wants."""
    needed: dict[Timeframe, int] = {}
    for row in rows:
        try:
            kind, params = registry.STRATEGIES[row.kind], row.typed_parameters()
        except (KeyError, ParameterError):
            continue  # it says so when its turn comes
        wanted = dict.fromkeys(kind.timeframes(params), 0) | kind.warm_up(params)
        for timeframe, count in wanted.items():
            needed[timeframe] = max(count, needed.get(timeframe, 0))
    return needed


def _daily_bars(contract: Contract, sessions: int, version: object, now: datetime) -> Bars:
    """Return the daily series; made anew when a session ended or a day of the product changed."""
    kept = _daily.get((contract.pk, sessions))
    if kept is None or kept[0] != version:
        kept = _daily[contract.pk, sessions] = (version, bars.daily(contract, sessions=sessions, now=now))
    return kept[1]
