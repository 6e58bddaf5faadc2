"""What the firm would have made of a row of daily results: passed, breached or neither, and on which day.

Source of the goals: the firm's help pages, "Profit Target" and "Consistency Target" (checked 2026-10); of the floor
`risk.drawdown.floor`, which a test holds `floor` equal to. Here it works on whole arrays, for many paths at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from backtest.days import Days
from backtest.trades import dollars, units
from market.bars import Int

CHECKED = date(2026, 10, 10)
COMBINE_BEST_DAY = Decimal("0.55")  # most that the best day may be of the profit; 0.50 until September 2026
COMBINE_DAYS = 2


class Result(StrEnum):
    PASSED = "passed"
    BREACHED = "breached"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Rules:
    """An account's rules in dollars.

    daily_loss     daily loss limit, None without one: reaching it ends the day at that loss, it breaks nothing
    target         profit that passes, None if there is nothing to pass
    best_day       most that the best day may be of the profit; a larger best day raises what has to be earned
    least_days     sessions with a trade that passing needs
    """

    name: str
    start: Decimal
    maximum_loss: Decimal
    daily_loss: Decimal | None = None
    target: Decimal | None = None
    best_day: Decimal = COMBINE_BEST_DAY
    least_days: int = COMBINE_DAYS

    def __post_init__(self) -> None:
        if self.maximum_loss <= 0 or not 0 < self.best_day <= 1:
            raise ValueError(f"maximum loss {self.maximum_loss} and best day {self.best_day} are not possible")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an account; dollars.

    day            date on which it was passed or breached, None if neither
    days           sessions up to then
    closest        least distance of the equity from the floor until then
    locked_days    sessions that ended at the daily loss limit
    best_day_share the best day's part of the profit, None without a profit
    """

    rules: Rules
    result: Result
    day: date | None
    days: int
    profit: Decimal
    closest: Decimal
    locked_days: int
    best_day_share: float | None


@dataclass(frozen=True, slots=True)
class Walked:
    """Where many accounts ended: per path -1 breached, 1 passed, 0 neither; the number of its last session."""

    ending: Int
    last: Int


def floor(start: int, maximum_loss: int, highest: Int) -> Int:
    """Return the equity at which accounts are lost whose highest end-of-day balance is `highest`."""
    found: Int = np.minimum(start, np.maximum(start, highest) - maximum_loss)
    return found


def judge(days: Days, rules: Rules) -> Outcome:
    """Return what the rules make of `days`, one after the other."""
    net, low, locked = _limited(days.net, days.low, rules)
    walked = walk(net[None, :], low[None, :], (days.trades > 0)[None, :], rules)
    ending, last = int(walked.ending[0]), int(walked.last[0])
    seen = net[: last + 1]
    before = units(rules.start) + np.concatenate(([0], np.cumsum(seen)[:-1])) if len(seen) else np.zeros(0, np.int64)
    floors = floor(units(rules.start), units(rules.maximum_loss), np.maximum.accumulate(before))
    room = before + np.minimum(low, net)[: last + 1] - floors
    profit = int(seen.sum())
    return Outcome(
        rules=rules,
        result=(Result.NEITHER, Result.PASSED, Result.BREACHED)[ending],
        day=days.dates[last] if ending else None,
        days=len(seen),
        profit=dollars(profit),
        closest=dollars(int(room.min(initial=units(rules.maximum_loss)))),
        locked_days=int(locked[: last + 1].sum()),
        best_day_share=round(int(seen.max(initial=0)) / profit, 4) if profit > 0 else None,
    )


def walk(net: Int, low: Int, traded: npt.NDArray[np.bool_], rules: Rules) -> Walked:
    """Let accounts live through `net` and `low` (int64 [paths, sessions]) until they pass or are breached.

    The floor of a day follows the balances at the ends of the days before; touching it is a breach. Passing is looked
    at after a day's end: the profit is the target or what the best day requires, if that is more.
    """
    start, loss = units(rules.start), units(rules.maximum_loss)
    paths, sessions = net.shape
    balance = np.full(paths, start, np.int64)
    highest, best, count = balance.copy(), np.zeros(paths, np.int64), np.zeros(paths, np.int64)
    ending, last = np.zeros(paths, np.int64), np.full(paths, sessions - 1, np.int64)
    for day in range(sessions):
        alive = ending == 0
        worst = balance + np.minimum(low[:, day], net[:, day])
        lost = alive & (worst <= floor(start, loss, highest))
        balance += net[:, day]
        highest = np.maximum(highest, balance)
        best = np.maximum(best, net[:, day])
        count += traded[:, day]
        ending[lost] = -1
        if rules.target is not None:
            profit = balance - start
            steady = best * 100 <= profit * int(rules.best_day * 100)
            won = alive & ~lost & (profit >= units(rules.target)) & steady & (count >= rules.least_days)
            ending[won] = 1
        last[alive & (ending != 0)] = day
        if (ending != 0).all():
            break
    return Walked(ending, last)


def limited(days: Days, rules: Rules) -> Days:
    """Return the days as they end under the daily loss limit."""
    net, low, _ = _limited(days.net, days.low, rules)
    return Days(days.trade_date, net, low, days.trades)


def _limited(net: Int, low: Int, rules: Rules) -> tuple[Int, Int, npt.NDArray[np.bool_]]:
    if rules.daily_loss is None:
        return net, low, np.zeros(len(net), np.bool_)
    limit = -units(rules.daily_loss)
    reached = low <= limit
    return np.where(reached, limit, net), np.where(reached, limit, low), reached
