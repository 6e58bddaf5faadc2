from datetime import date
from decimal import Decimal
from functools import partial

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from market.bars import Bars, epoch
from market.sessions import regular_session
from strategies.indicators import (
    ADX_PERIODS,
    WILDER_PERIODS,
    Average,
    adx,
    atr,
    average_true_range,
    highest,
    lookback,
    lowest,
    moving_average,
    rsi,
)
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
    assert value == pytest.approx(wilder(bars, period), abs=1e-8)
    assert value == pytest.approx(talib.ATR(*columns, timeperiod=period)[-1], abs=1e-9)


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


WEEK = [regular_session(date(2026, 10, day)) for day in (5, 6, 7, 8, 9)]
MINUTES = minute_bars(WEEK, seed=5, missing=0.01)
BEGINS = np.searchsorted(MINUTES.opened_at, [epoch(session.opens_at) for session in WEEK])
HIGH, LOW, CLOSE = (column.astype(np.float64) for column in (MINUTES.high, MINUTES.low, MINUTES.close))


@pytest.mark.parametrize("period", [2, 5, 14, 30])
@pytest.mark.parametrize(
    ("name", "ours", "theirs", "needed"),
    [
        ("atr", average_true_range, lambda period: talib.ATR(HIGH, LOW, CLOSE, period), WILDER_PERIODS),
        ("rsi", rsi, lambda period: talib.RSI(CLOSE, period), WILDER_PERIODS),
        ("adx", adx, lambda period: talib.ADX(HIGH, LOW, CLOSE, period), ADX_PERIODS),
        ("ema", partial(moving_average, average=Average.EMA), lambda period: talib.EMA(CLOSE, period), 15),
        ("sma", partial(moving_average, average=Average.SMA), lambda period: talib.SMA(CLOSE, period), 1),
        ("highest", highest, lambda period: talib.MAX(HIGH, period), 1),
        ("lowest", lowest, lambda period: talib.MIN(LOW, period), 1),
    ],
)
def test_columns_are_talibs_on_the_whole_history_from_the_lookback_on(name, ours, theirs, needed, period):
    columns = {"period": period} if name not in ("highest", "lowest") else {"count": period}
    values = ours(MINUTES, BEGINS, **columns)
    begin = next(first for first in BEGINS if first >= needed * period - (needed == 1))
    assert np.isnan(values[:begin]).all()
    np.testing.assert_allclose(values[begin:], theirs(period)[begin:], rtol=1e-9, atol=1e-9)


def test_the_lookback_of_an_average_is_that_of_its_kind():
    assert (lookback(Average.SMA, 20), lookback(Average.EMA, 20)) == (19, 300)


@given(st.integers(1, 4), st.integers(0, 400))
def test_a_column_never_depends_on_how_far_back_the_bars_reach(session, more):
    first, end = BEGINS[session], len(MINUTES) if session == 4 else BEGINS[session + 1]
    start = max(0, first - WILDER_PERIODS * 14 - more)
    used, begins = MINUTES[start:end], BEGINS[np.isin(BEGINS, np.arange(start, end))] - start
    for column in (rsi, average_true_range):
        whole = column(MINUTES, BEGINS, 14)[first:end]
        np.testing.assert_array_equal(column(used, begins, 14)[first - start :], whole)


def test_the_rsi_by_hand():
    # still for long: means 0. Up 2: mean gain 2/4. Down 1: gain 3/4 x 0.5 = 0.375, loss 0.25. Up 3: 1.03125 and 0.1875
    closes = np.array([10] * 130 + [12, 11, 14])
    bars = Bars(np.arange(133) * 60, closes, closes, closes, closes, closes * 0)
    values = rsi(bars, np.array([0, 125]), 4)
    assert np.isnan(values[:125]).all()
    expected = [0.0, 100.0, 100 * 0.375 / 0.625, 100 * 1.03125 / 1.21875]
    assert values[129:] == pytest.approx(expected)
