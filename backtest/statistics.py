"""What a list of trades says: figures, groups, the equity and its drawdown. Dollars and sessions, floats at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from backtest.days import Days
from backtest.simulation import EPOCH
from backtest.trades import UNIT, Trades, reasons
from market.bars import Int
from market.performance import Float, rounded, share, sharpe, sortino
from market.sessions import NEW_YORK

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


@dataclass(frozen=True, slots=True)
class Group:
    """Trades that share a weekday, an hour, a direction or a reason; dollars."""

    name: str
    trades: int
    net: float
    win_rate: float
    expectancy: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of a simulation. None where there is nothing to divide by.

    net, gross, costs, expectancy, best, worst, average_*   dollars; a trade that nets exactly 0 is neither won nor lost
    max_drawdown     largest fall of the equity from its peak, open losses included (`Days.low`), dollars, positive
    drawdown_days    most sessions between two peaks of the end-of-day equity, the unfinished stretch included
    sharpe, sortino  of daily results over all sessions, without trades too, times the root of 252; no interest rate
    adverse, favourable   average worst and best open result of a trade in dollars (MAE, MFE)
    dependent        entries that end otherwise when bars that reached two prices are read the other way (kindly, for a
                     kind simulation by the rule); otherwise_net is what all of them net then
    """

    trades: int
    won: int
    lost: int
    win_rate: float | None
    net: float
    gross: float
    costs: float
    expectancy: float | None
    profit_factor: float | None
    best: float
    worst: float
    average_win: float | None
    average_loss: float | None
    max_drawdown: float
    drawdown_days: int
    sessions: int
    sessions_traded: int
    sharpe: float | None
    sortino: float | None
    adverse: float | None
    favourable: float | None
    longest_losing: int
    minutes_held: float | None
    dependent: int | None = None
    otherwise_net: float | None = None
    groups: dict[str, tuple[Group, ...]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return asdict(self)


def statistics(
    trades: Trades, days: Days, *, dependent: int | None = None, otherwise_net: int | None = None
) -> Statistics:
    """Return the figures of `trades`, whose sessions are `days`."""
    net = trades.net / UNIT
    won, lost = net[net > 0], net[net < 0]
    daily = days.net / UNIT
    worst, best = (trades.worth(ticks) / UNIT for ticks in (trades.adverse, trades.favourable))
    return Statistics(
        trades=len(trades),
        won=len(won),
        lost=len(lost),
        win_rate=share(len(won), len(trades)),
        net=_cents(net.sum()),
        gross=_cents(trades.gross.sum() / UNIT),
        costs=_cents(trades.costs.sum() / UNIT),
        expectancy=_mean(net),
        profit_factor=share(float(won.sum()), -float(lost.sum())),
        best=_cents(net.max(initial=0)),
        worst=_cents(net.min(initial=0)),
        average_win=_mean(won),
        average_loss=_mean(lost),
        max_drawdown=_cents(drawdown(days)),
        drawdown_days=_longest_under_water(np.cumsum(daily)),
        sessions=len(days),
        sessions_traded=int((days.trades > 0).sum()),
        sharpe=sharpe(daily),
        sortino=sortino(daily),
        adverse=_mean(worst),
        favourable=_mean(best),
        longest_losing=_longest_run(net < 0),
        minutes_held=_mean((trades.exited_at - trades.entered_at) / 60),
        dependent=dependent,
        otherwise_net=None if otherwise_net is None else _cents(otherwise_net / UNIT),
        groups=_groups(trades),
    )


def drawdown(days: Days) -> float:
    """Return the largest fall from the highest end-of-day equity to any later low, in dollars."""
    before = np.concatenate(([0], np.cumsum(days.net)[:-1])) if len(days) else np.zeros(0, np.int64)
    peak = np.maximum.accumulate(np.maximum(before, 0))
    falls = peak - (before + np.minimum(days.low, days.net))
    return float(falls.max(initial=0)) / UNIT


def equity(trades: Trades) -> tuple[Int, Float]:
    """Return when each trade was closed (epoch seconds) and the sum of results after it, in dollars."""
    return trades.exited_at, np.cumsum(trades.net) / UNIT


def _groups(trades: Trades) -> dict[str, tuple[Group, ...]]:
    zone = ZoneInfo(NEW_YORK)
    weekdays = [date.fromordinal(EPOCH + day).weekday() for day in trades.trade_date.tolist()]
    hours = [datetime.fromtimestamp(at, UTC).astimezone(zone).hour for at in trades.entered_at.tolist()]
    sides = ["long" if side > 0 else "short" for side in trades.side.tolist()]
    return {
        "weekday": grouped(trades, weekdays, lambda key: _WEEKDAYS[int(key)]),
        "hour": grouped(trades, hours, lambda key: f"{int(key):02}:00"),
        "side": grouped(trades, sides, str),
        "reason": grouped(trades, reasons(trades), str),
    }


def grouped(trades: Trades, keys: list[Any], name: Callable[[Any], str]) -> tuple[Group, ...]:
    """Return the trades by their keys, one a trade; `name` tells a key."""
    net, column = trades.net / UNIT, np.array(keys)
    groups = []
    for key in sorted(set(keys)):
        mine = net[column == key]
        groups.append(Group(name(key), len(mine), _cents(mine.sum()), rounded((mine > 0).mean()), _cents(mine.mean())))
    return tuple(groups)


def _longest_under_water(curve: Float) -> int:
    """Return the most steps between a peak of the curve (which begins at 0) and the one after it."""
    peaks = np.flatnonzero(curve >= np.maximum.accumulate(np.maximum(curve, 0)))
    edges = np.concatenate(([-1], peaks, [len(curve)]))
    return int((np.diff(edges) - 1).max(initial=0))


def _longest_run(mask: npt.NDArray[np.bool_]) -> int:
    longest = run = 0
    for lost in mask.tolist():
        run = run + 1 if lost else 0
        longest = max(longest, run)
    return longest


def _mean(values: Float) -> float | None:
    return _cents(values.mean()) if len(values) else None


def _cents(value: float | np.floating[Any]) -> float:
    return round(float(value), 2)
