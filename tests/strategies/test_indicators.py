from datetime import date
from decimal import Decimal

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from market.bars import Bars
from market.sessions import regular_session
from strategies.indicators import atr
from tests.market.generated import minute_bars

BARS = minute_bars([regular_session(date(2026, 10, 5))], seed=4)


def wilder(bars: Bars, period: int) -> float:
    """Return the average true range as Wilder's book has it, bar by bar."""
    high, low, close = bars.high.tolist(), bars.low.tolist(), bars.close.tolist()
    ranges = [
        max(high[n] - low[n], abs(high[n] - close[n - 1]), abs(low[n] - close[n - 1])) for n in range(1, len(bars))
    ]
    average = sum(ranges[:period]) / period
    for true_range in ranges[period:]:
        average = (average * (period - 1) + true_range) / period
    return average


@given(st.integers(2, 50), st.integers(0, 300))
def test_the_average_true_range_is_wilders_and_talibs(period, more):
    bars = BARS[: period + 1 + more]
    value = float(atr(bars, period, window=10_000))
    columns = (column.astype(np.float64) for column in (bars.high, bars.low, bars.close))
    assert value == pytest.approx(wilder(bars, period), abs=1e-6)
    assert value == pytest.approx(talib.ATR(*columns, timeperiod=period)[-1], abs=1e-6)


def test_a_gap_between_bars_counts():
    bars = Bars(
        *(np.array(column) for column in ([0, 60, 120], [10, 30, 30], [11, 31, 31], [9, 29, 29], [10, 30, 30])),
        np.zeros(3, np.int64),
    )
    assert atr(bars, 2, window=10) == Decimal("11.5")  # true ranges 21 and 2


def test_only_the_window_decides():
    assert atr(BARS, 14, window=280) == atr(BARS[-280:], 14, window=280)
    assert atr(BARS, 14, window=20) != atr(BARS, 14, window=280)


def test_twenty_periods_forget_the_seed():
    assert float(atr(BARS, 14, window=280)) == pytest.approx(float(atr(BARS, 14, window=1380)), abs=1e-5)


def test_too_few_bars_have_none():
    assert atr(BARS[:14], 14, window=280) is None
    assert atr(BARS[:15], 14, window=280) is not None
