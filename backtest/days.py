"""Results by session: what an account's rules and every statistic over time look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from backtest.simulation import EPOCH
from backtest.trades import Trades
from market.bars import Int


@dataclass(frozen=True, slots=True)
class Days:
    """One row a session, those without a trade too; every column int64 of the same length, money in `trades.UNIT`.

    trade_date   days since 1970-01-01
    net          result after costs
    low          worst result of the day so far at any time, open losses included; never above 0. Where positions
                 overlap their worst moments are added up: it may be worse than it was, never better
    trades       positions and parts closed
    """

    trade_date: Int
    net: Int
    low: Int
    trades: Int

    def __len__(self) -> int:
        return len(self.net)

    def __getitem__(self, rows: slice | Int) -> Days:
        return Days(self.trade_date[rows], self.net[rows], self.low[rows], self.trades[rows])

    @property
    def dates(self) -> list[date]:
        return [date.fromordinal(EPOCH + day) for day in self.trade_date.tolist()]


def by_session(trades: Trades, sessions: Sequence[date]) -> Days:
    """Return the results of `sessions` (oldest first); trades of other days are left out."""
    dates = np.array([day.toordinal() - EPOCH for day in sessions], np.int64)
    net, low, count = (np.zeros(len(dates), np.int64) for _ in range(3))
    worst = trades.worth(trades.adverse) - trades.costs
    for row, day in enumerate(dates.tolist()):
        first, end = np.searchsorted(trades.trade_date, [day, day + 1]).tolist()
        if first < end:
            today = slice(first, end)
            net[row], count[row] = trades.net[today].sum(), end - first
            low[row] = min(0, _lowest(trades[today], worst[today]))
    return Days(dates, net, low, count)


def _lowest(trades: Trades, worst: Int) -> int:
    """Return the lowest that the day's result can have been."""
    lowest = 0
    for row in range(len(trades)):
        begun, ended = trades.entered_at[row], trades.exited_at[row]
        before = trades.exited_at < begun
        before |= (trades.exited_at == begun) & (np.arange(len(trades)) < row)
        open_too = ~before & (trades.entered_at <= ended)
        lowest = min(lowest, int(trades.net[before].sum() + worst[open_too].sum()))
    return min(lowest, int(np.minimum.accumulate(np.cumsum(trades.net)).min()))
