"""Figures of daily results, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.performance import Day, Fall, by_month, by_week, causes, figures, largest_fall, sharpe, together

MONDAY = date(2026, 11, 16)


def day(number: int, net: str, *, low: str = "0", won: int = 0, lost: int = 0, **values) -> Day:
    amount = D(net)
    gain, loss = max(amount, D(0)), min(amount, D(0))
    return Day(
        MONDAY + timedelta(days=number), trades=won + lost, won=won, lost=lost, gross=amount + 2, costs=D(2),
        net=amount, gain=gain, loss=loss, low=D(low), **values,
    )  # fmt: skip


def test_a_week_in_figures():
    days = [
        day(0, "100", won=2, risk=D(80), risked=2, held=3600),
        day(1, "-40", won=0, lost=1, low="-60", held=1800),
        Day(MONDAY + timedelta(days=2)),
        day(3, "30", won=1, risk=D(40), risked=1),
    ]
    told = figures(days, seconds=4 * 23 * 3600)
    assert (told.sessions, told.sessions_traded, told.trades, told.won, told.lost) == (4, 3, 4, 3, 1)
    assert (told.net, told.gross, told.costs) == (90, 96, 6)
    assert (told.win_rate, told.profit_factor, told.expectancy) == (0.75, 3.25, D("22.50"))
    assert (told.average_win, told.average_loss, told.average_risk) == (D("43.33"), D(-40), D(40))
    assert told.exposure == pytest.approx(5400 / (4 * 23 * 3600), abs=1e-4)
    assert (told.best_day, told.worst_day) == (100, -40)
    assert told.fall == Fall(D(60), MONDAY, MONDAY + timedelta(days=1))
    assert told.sharpe == pytest.approx(
        np.mean([100, -40, 0, 30]) / np.std([100, -40, 0, 30], ddof=1) * 252**0.5, abs=1e-4
    )


def test_without_a_session_nothing_is_divided():
    told = figures([])
    nothing = (told.win_rate, told.profit_factor, told.expectancy, told.exposure, told.sharpe, told.sortino, told.fall)
    assert nothing == (None,) * 7
    assert (told.trades, told.net) == (0, 0)


def test_a_drawdown_is_told_with_who_lost_what_in_it():
    anna = [day(0, "50", won=1), day(1, "-20", lost=1), day(2, "-30", lost=1), day(3, "10", won=1)]
    bert = [day(0, "-5", lost=1), day(2, "-15", lost=1), day(3, "-1", lost=1)]
    fall = largest_fall(together([*anna, *bert]))
    assert fall == Fall(D(65), MONDAY, MONDAY + timedelta(days=2))
    assert causes(fall, {"anna": anna, "bert": bert}) == [
        ("anna", MONDAY + timedelta(days=2), -30),
        ("anna", MONDAY + timedelta(days=1), -20),
        ("bert", MONDAY + timedelta(days=2), -15),
    ]


def test_weeks_and_months_are_sums_of_their_days():
    days = [day(n, str(n - 7), lost=1, low=str(min(n - 7, 0))) for n in (0, 4, 7, 14, 15)]  # 16, 20, 23, 30 Nov, 1 Dec
    assert [(week.session_date, week.net, week.low) for week in by_week(days)] == [
        (MONDAY, -10, -10),
        (MONDAY + timedelta(days=7), 0, 0),
        (MONDAY + timedelta(days=14), 15, 0),
    ]
    assert [(month.session_date, month.trades, month.net) for month in by_month(days)] == [
        (date(2026, 11, 1), 4, -3),
        (date(2026, 12, 1), 1, 8),
    ]


@given(st.lists(st.integers(-10_000, 10_000), max_size=30))
def test_the_largest_fall_is_the_largest_of_all_falls(cents):
    days = [day(number, str(D(amount) / 100)) for number, amount in enumerate(cents)]
    curve = [D(0)]
    for one in days:
        curve.append(curve[-1] + one.net)
    worst = max((high - low for at, high in enumerate(curve) for low in curve[at:]), default=D(0))
    fall = largest_fall(days)
    assert (fall.amount if fall else 0) == worst


def test_a_row_of_equal_days_has_no_sharpe_ratio():
    assert sharpe(np.array([5.0, 5.0])) is None
