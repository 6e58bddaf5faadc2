"""What a strategy may look at: cached minutes that are known without a hole, and the longer bars made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

import strategies as registry
from market.bars import Bars, Timeframe, moment
from market.plans import Frames, frames
from market.sessions import Session
from strategies.parameters import ParameterError
from tradingbot.models import BarDay, Contract, Strategy
from tradingbot.operations import bars, calendar
from tradingbot.operations.bars.storing import MINUTE, days, join, load

_SESSIONS_IN = {"d": 1, "w": 5, "M": 23}
_MINUTES_OF_SESSION = 1380
_daily: dict[tuple[int, int], tuple[object, Bars]] = {}


@dataclass(frozen=True, slots=True)
class Sight:
    """Frames of one contract, the session of the newest bar, and when that bar closed."""

    frames: Frames
    session: Session
    closed_at: datetime


def look(contract: Contract, rows: Iterable[Strategy], *, now: datetime) -> Sight | None:
    """Return what `rows` together need to look at; None without bars, or outside of the calendar's sessions.

    It ends before the first minute that is not known: a row of a plan never rests on bars with a hole.
    """
    needed = _needed(rows)
    opened = calendar.recent(now, needed.pop(Timeframe.M1, 0) // _MINUTES_OF_SESSION + 3)
    if not opened:
        return None
    stored = days(contract, opened[0].trade_date, opened[-1].trade_date)
    known = next((day.covered_until for day in stored if day.trade_date == opened[-1].trade_date), opened[-1].opens_at)
    minutes = join(load(stored)).between(opened[0].opens_at, min(known, now))
    if not len(minutes):
        return None
    newest = moment(minutes.opened_at[-1])
    session = next((session for session in opened if session.opens_at <= newest < session.closes_at), None)
    if session is None:
        return None
    longer = [count * _SESSIONS_IN[timeframe.unit] for timeframe, count in needed.items() if timeframe.unit in "dwM"]
    daily = _daily_bars(contract, max(longer) + 1, now) if longer else None
    return Sight(frames(minutes, opened, list(needed), daily), session, newest + MINUTE)


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


def _daily_bars(contract: Contract, sessions: int, now: datetime) -> Bars:
    """Return the daily series; made anew when a session ended or a day of the product changed."""
    days = BarDay.objects.filter(contract__venue=contract.venue, contract__symbol=contract.symbol, complete=True)
    state = days.aggregate(count=Count("pk"), changed=Max("updated_at"), last=Max("trade_date"))
    kept = _daily.get((contract.pk, sessions))
    if kept is None or kept[0] != state:
        kept = _daily[contract.pk, sessions] = (state, bars.daily(contract, sessions=sessions, now=now))
    return kept[1]
