"""How far each trade went with and against us while it was open, compiled."""

from __future__ import annotations

import numba
import numpy as np

from backtest.codes import T_ENTRY, T_ENTRY_ROW, T_EXIT, T_EXIT_ROW, T_REASON, T_SIDE, Reason

_TARGET = int(Reason.TARGET)
_COLUMN = numba.int64[::1]
_COLUMNS = numba.types.UniTuple(_COLUMN, 2)  # type: ignore[no-untyped-call]


@numba.njit(_COLUMNS(_COLUMN, _COLUMN, numba.int64[:, ::1]), cache=True, nogil=True)
def excursions(highs, lows, trades):  # type: ignore[no-untyped-def]
    """Return per trade the worst and the best profit in ticks a contract while it was open.

    Whole bars count from the entry's on; of the bar of the exit only what the trade certainly saw: its exit, and before
    a target the bar's other extreme.
    """
    worst, best = np.zeros(len(trades), np.int64), np.zeros(len(trades), np.int64)
    for number in range(len(trades)):
        trade = trades[number]
        side, entry, last = trade[T_SIDE], trade[T_ENTRY], trade[T_EXIT_ROW]
        low = high = entry
        for row in range(trade[T_ENTRY_ROW], last):
            low, high = min(low, lows[row]), max(high, highs[row])
        if trade[T_REASON] == _TARGET:
            if side > 0:
                low = min(low, lows[last])
            else:
                high = max(high, highs[last])
        low, high = min(low, trade[T_EXIT]), max(high, trade[T_EXIT])
        worst[number] = low - entry if side > 0 else entry - high
        best[number] = high - entry if side > 0 else entry - low
    return worst, best
