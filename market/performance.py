"""What a row of daily results says: of a simulation and of real trades by the same functions.

Source of the ratios: W. F. Sharpe, "The Sharpe Ratio" (1994); F. Sortino and L. Price, "Performance Measurement in a
Downside Risk Framework" (1994). Both of daily results, times the root of the sessions of a year, without interest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
SESSIONS_A_YEAR = 252
_CENT = Decimal("0.01")
_ADDED = ("trades", "won", "lost", "gross", "costs", "net", "gain", "loss", "low", "risk", "risked", "held")


@dataclass(frozen=True, slots=True)
class Day:
    """The closed trades of one session; dollars.

    trades     entries, however many pieces they were closed in; one that nets exactly 0 is neither won nor lost
    gain, loss sums of the won and of the lost (negative) ones
    low        worst sum of closed trades at any time of the session, never above 0
    risk       what the entries of which it is known would have lost at their first stop; `risked` of them
    held       seconds in which a position was open
    """

    session_date: date
    trades: int = 0
    won: int = 0
    lost: int = 0
    gross: Decimal = Decimal(0)
    costs: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    gain: Decimal = Decimal(0)
    loss: Decimal = Decimal(0)
    low: Decimal = Decimal(0)
    risk: Decimal = Decimal(0)
    risked: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Fall:
    """The largest fall of the results' sum, in dollars, positive.

    peak    session at whose end it was highest, None for the beginning; bottom: session in which it was lowest
    """

    amount: Decimal
    peak: date | None
    bottom: date


@dataclass(frozen=True, slots=True)
class Figures:
    """A row of sessions in figures. None where there is nothing to divide by; ratios are shares of 1.

    sessions    all of them, those without a trade too; sharpe and sortino are of all
    exposure    part of the sessions' time in which a position was open
    """

    sessions: int
    sessions_traded: int
    trades: int
    won: int
    lost: int
    gross: Decimal
    costs: Decimal
    net: Decimal
    win_rate: float | None
    profit_factor: float | None
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None
    average_risk: Decimal | None
    exposure: float | None
    sharpe: float | None
    sortino: float | None
    fall: Fall | None
    best_day: Decimal | None
    worst_day: Decimal | None


def figures(days: Sequence[Day], *, seconds: int = 0, held: int | None = None) -> Figures:
    """Return the figures of `days` (oldest first), whose sessions were open for `seconds` altogether.

    held   seconds in which a position was open, where parts of the days overlap; by default their sum
    """
    trades, won, lost = (sum(getattr(day, name) for day in days) for name in ("trades", "won", "lost"))
    gain, loss, net = (_total(days, name) for name in ("gain", "loss", "net"))
    daily = np.array([float(day.net) for day in days])
    traded = [day.net for day in days if day.trades]
    return Figures(
        sessions=len(days),
        sessions_traded=len(traded),
        trades=trades,
        won=won,
        lost=lost,
        gross=_total(days, "gross"),
        costs=_total(days, "costs"),
        net=net,
        win_rate=share(won, trades),
        profit_factor=share(float(gain), -float(loss)),
        expectancy=_mean(net, trades),
        average_win=_mean(gain, won),
        average_loss=_mean(loss, lost),
        average_risk=_mean(_total(days, "risk"), sum(day.risked for day in days)),
        exposure=share(sum(day.held for day in days) if held is None else held, seconds),
        sharpe=sharpe(daily),
        sortino=sortino(daily),
        fall=largest_fall(days),
        best_day=max(traded, default=None),
        worst_day=min(traded, default=None),
    )


def largest_fall(days: Iterable[Day]) -> Fall | None:
    """Return the largest fall from the end of a session to any later low, None if there was none."""
    total = highest = Decimal(0)
    peak: date | None = None
    found: Fall | None = None
    for day in days:
        fall = highest - (total + min(day.low, day.net))
        if fall > (found.amount if found else 0):
            found = Fall(fall, peak, day.session_date)
        total += day.net
        if total > highest:
            highest, peak = total, day.session_date
    return found


def causes(fall: Fall, parts: Mapping[str, Sequence[Day]]) -> list[tuple[str, date, Decimal]]:
    """Return which part (a strategy) lost how much on which day of a fall, the largest loss first."""
    found = [
        (name, day.session_date, day.net)
        for name, days in parts.items()
        for day in days
        if day.net < 0 and (fall.peak is None or day.session_date > fall.peak) and day.session_date <= fall.bottom
    ]
    return sorted(found, key=lambda row: row[2])


def together(rows: Iterable[Day]) -> list[Day]:
    """Return one day a session, oldest first: parts of it added up, their lows too, so never better than it was."""
    sums: dict[date, list[Day]] = {}
    for row in rows:
        sums.setdefault(row.session_date, []).append(row)
    return [_added(day, sums[day]) for day in sorted(sums)]


def by_week(days: Iterable[Day]) -> list[Day]:
    """Return one row a week of sessions, dated by its Monday; `low` is the worst of its days on the way."""
    return _periods(days, lambda day: day - timedelta(days=day.weekday()))


def by_month(days: Iterable[Day]) -> list[Day]:
    """Return one row a month, dated by its first; `low` is the worst of its days on the way."""
    return _periods(days, lambda day: day.replace(day=1))


def sharpe(daily: Float) -> float | None:
    """Return mean over standard deviation of daily results, a year; None for fewer than two or without spread."""
    spread = float(daily.std(ddof=1)) if len(daily) > 1 else 0.0
    return rounded(float(daily.mean()) / spread * math.sqrt(SESSIONS_A_YEAR)) if spread > 0 else None


def sortino(daily: Float) -> float | None:
    """Return mean over the root of the mean squared loss of daily results, a year; None also without a loss."""
    below = math.sqrt(float((np.minimum(daily, 0) ** 2).mean())) if len(daily) > 1 else 0.0
    return rounded(float(daily.mean()) / below * math.sqrt(SESSIONS_A_YEAR)) if below > 0 else None


def share(part: float, whole: float) -> float | None:
    """Return a ratio to four places, None of nothing."""
    return rounded(part / whole) if whole else None


def rounded(value: float | np.floating[npt.NBitBase]) -> float:
    return round(float(value), 4)


def _periods(days: Iterable[Day], begins: Callable[[date], date]) -> list[Day]:
    periods: dict[date, list[Day]] = {}
    for day in days:
        periods.setdefault(begins(day.session_date), []).append(day)
    return [replace(_added(first, rows), low=_lowest(rows)) for first, rows in sorted(periods.items())]


def _lowest(days: Sequence[Day]) -> Decimal:
    total = lowest = Decimal(0)
    for day in days:
        lowest = min(lowest, total + day.low, total + day.net)
        total += day.net
    return lowest


def _added(day: date, rows: Sequence[Day]) -> Day:
    return Day(day, **{name: sum(getattr(row, name) for row in rows) for name in _ADDED})


def _total(days: Iterable[Day], name: str) -> Decimal:
    return sum((getattr(day, name) for day in days), Decimal(0))


def _mean(total: Decimal, count: int) -> Decimal | None:
    return (total / count).quantize(_CENT, ROUND_HALF_UP) if count else None
