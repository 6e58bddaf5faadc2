"""Closed trades as columns, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal

import numpy as np

from backtest.codes import Reason
from market.bars import Int

UNIT = 10_000  # money in arrays is counted in hundredths of a cent: every tick value of every product is whole


@dataclass(frozen=True, slots=True)
class Trades:
    """One row a closed position, or a part of one, in the order of the exits; every column int64 of the same length.

    stretch     index of the stretch of bars, entry_row and exit_row are rows of its bars
    order       number of the entry within the stretch: parts of one position share it
    trade_date  days since 1970-01-01 of the session
    side        1 long, -1 short
    entered_at, exited_at   epoch seconds at which the bar of the fill opened
    entry, exit     ticks, slippage included
    stop_ticks      distance of the stop that the entry began with
    reason          `Reason`
    tick_value      of one contract, in `UNIT`
    adverse, favourable   worst and best profit in ticks of a contract while it was open; never above, below 0
    gross, costs, net     `UNIT` a dollar
    """

    stretch: Int
    order: Int
    trade_date: Int
    side: Int
    quantity: Int
    entry_row: Int
    exit_row: Int
    entered_at: Int
    exited_at: Int
    entry: Int
    exit: Int
    stop_ticks: Int
    reason: Int
    tick_value: Int
    adverse: Int
    favourable: Int
    gross: Int
    costs: Int
    net: Int

    def __len__(self) -> int:
        return len(self.net)

    def __getitem__(self, rows: slice | Int | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Trades:
        return Trades(*(getattr(self, column.name)[rows] for column in fields(self)))

    @property
    def ticks(self) -> Int:
        """Return profit in ticks of one contract."""
        return (self.exit - self.entry) * self.side

    def worth(self, ticks: Int) -> Int:
        """Return what moves of `ticks` came to with each trade's contracts, in `UNIT`."""
        found: Int = ticks * self.quantity * self.tick_value
        return found

    @classmethod
    def none(cls) -> Trades:
        return cls(*(np.empty(0, np.int64) for _ in fields(cls)))

    @classmethod
    def join(cls, parts: list[Trades]) -> Trades:
        """Return the trades of several stretches as one, in the order given."""
        if not parts:
            return cls.none()
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))


def units(amount: Decimal) -> int:
    """Return dollars as they stand in arrays. Raises ValueError for less than a hundredth of a cent."""
    counted = amount * UNIT
    if counted != int(counted):
        raise ValueError(f"{amount} dollars are no whole number of hundredths of a cent")
    return int(counted)


def dollars(amount: int | np.int64) -> Decimal:
    """Return an amount of an array in dollars, exactly."""
    return Decimal(int(amount)) / UNIT


def dependent(one: Trades, other: Trades) -> int:
    """Return how many entries of either ended otherwise, or did not fill, in the other."""
    first, second = _endings(one), _endings(other)
    return sum(first.get(key) != second.get(key) for key in first.keys() | second.keys())


def reasons(trades: Trades) -> list[str]:
    """Return why each trade was closed, in words."""
    return [Reason(reason).name.lower() for reason in trades.reason.tolist()]


def _endings(trades: Trades) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Return by entry (stretch, bar of the fill, side) how its parts ended."""
    ends: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    keys = np.stack((trades.stretch, trades.entered_at, trades.side), axis=1).tolist()
    results = (trades.entry, trades.exited_at, trades.exit, trades.quantity, trades.reason)
    for key, ending in zip(keys, np.stack(results, axis=1).tolist(), strict=True):
        ends.setdefault(tuple(key), []).append(tuple(ending))
    return ends
