"""Days of which a test knows every minute: the price stands still, reaches ten ticks up and down, jumps when told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from market.bars import Bars, epoch
from market.contracts import Contract
from market.plans import Frames, Plan, Signal, Silence, frames, last_signals, last_silences
from market.products import product
from market.sessions import NEW_YORK, Session, regular_session
from strategies import STRATEGIES

MNQ: Contract = product("MNQ").contract(2026, 12)
DAY = regular_session(date(2026, 10, 21))
PRICE = 80_000
SESSIONS = [regular_session(date(2026, 10, day)) for day in (9, 12, 13, 14, 15, 16, 19, 20, 21)]
YESTERDAY = SESSIONS[-2]
Jumps = Mapping[str, int]
"""New York time of a minute's opening -> the price that it closes at, and all after it until the next."""


def at(clock: str, session: Session = DAY) -> datetime:
    """Return when clocks in New York show HH:MM in the session; before 18:00 that is its own date."""
    hour = time.fromisoformat(clock)
    day = session.trade_date - timedelta(days=1) if hour.hour >= 18 else session.trade_date
    return datetime.combine(day, hour, ZoneInfo(NEW_YORK))


def minutes(
    jumps: Jumps, session: Session = DAY, *, start: int = PRICE, volume: int = 100, drop: tuple[str, str] | None = None
) -> Bars:
    """Return a session's minutes; those that open in [drop[0], drop[1]) have no bar.

    A minute opens where the one before closed; its high and low lie ten ticks beyond open and close.
    """
    opened_at = np.arange(epoch(session.opens_at), epoch(session.closes_at), 60)
    close = np.full(len(opened_at), start)
    for moment, price in sorted((epoch(at(clock, session)), price) for clock, price in jumps.items()):
        close[opened_at >= moment] = price
    opening = np.append(start, close[:-1])
    high, low = np.maximum(opening, close) + 10, np.minimum(opening, close) - 10
    bars = Bars(opened_at, opening, high, low, close, np.full(len(close), volume))
    if drop is None:
        return bars
    first, end = (int(np.searchsorted(opened_at, epoch(at(clock, session)))) for clock in drop)
    return joined(bars[:first], bars[end:])


def joined(*parts: Bars) -> Bars:
    return Bars(*(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True)))


def market(
    today: Jumps | Bars, yesterday: Jumps | Bars | None = None, *, sessions: int = len(SESSIONS), volume: int = 100
) -> Bars:
    """Return the minutes of the day and of quiet days before it."""
    days = [minutes({}, session, volume=volume) for session in SESSIONS]
    days[-1] = today if isinstance(today, Bars) else minutes(today, volume=volume)
    if yesterday is not None:
        days[-2] = yesterday if isinstance(yesterday, Bars) else minutes(yesterday, YESTERDAY, volume=volume)
    return joined(*days[-sessions:])


def daily(true_range: int, count: int = 20) -> Bars:
    """Return daily bars before the day whose true range is always `true_range`."""
    days = [DAY.trade_date - timedelta(days=back) for back in range(40, 0, -1)]
    opened_at = np.array([epoch(regular_session(day).opens_at) for day in days if day.weekday() < 5][-count:])
    price = np.full(len(opened_at), PRICE)
    return Bars(opened_at, price, price + true_range // 2, price - true_range // 2, price, price * 0)


def built(
    name: str, base: Bars, params: Any, *, days: Bars | None = None, delta: Any = None, calendar: bool = True
) -> tuple[Plan, Frames]:
    strategy = STRATEGIES[name]
    base = base if delta is None else replace(base, delta=delta)
    seen = frames(base, SESSIONS if calendar else SESSIONS[:-1], strategy.timeframes(params), days)
    return strategy.plan(seen, params, MNQ), seen


def signals(name: str, base: Bars, params: Any, **more: Any) -> list[Signal]:
    """Return what the plan asks for on the day."""
    plan, seen = built(name, base, params, **more)
    return last_signals(plan, seen, epoch(DAY.opens_at) - 1)


def silences(name: str, base: Bars, params: Any, **more: Any) -> list[Silence]:
    """Return why the plan asks for nothing on the day."""
    plan, seen = built(name, base, params, **more)
    return last_silences(plan, seen, epoch(DAY.opens_at) - 1)


def reasons(name: str, base: Bars, params: Any, **more: Any) -> list[str]:
    return [one.reason for one in silences(name, base, params, **more)]
