"""Figures from hand-worked trades: money exact, statistics by definition."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.codes import Reason
from backtest.days import Days, by_session
from backtest.monte_carlo import odds
from backtest.outcomes import Result, Rules, floor, judge, walk
from backtest.statistics import drawdown, statistics
from backtest.trades import UNIT, Trades, dependent, dollars, units
from market.contracts import Contract
from market.performance import sharpe
from risk import drawdown as firm

MNQ = Contract("CON.F.US.MNQ.Z26", "MNQ", D("0.25"), D("0.5"))
MONDAY = date(2026, 11, 16)
COMBINE = Rules("combine-50", D(50_000), D(2_000), target=D(3_000), best_day=D("0.55"))
TODAY = MONDAY.toordinal() - date(1970, 1, 1).toordinal()


def trades(*rows: tuple[int, int, int]) -> Trades:
    """Return long trades of 2 MNQ: (day, ticks won, worst ticks), a minute each, one after the other."""
    count = len(rows)
    day, ticks, worst = np.array(rows, np.int64).reshape(-1, 3).T
    size, at = np.full(count, 2, np.int64), 1_763_300_000 + 120 * np.arange(count)
    gross = ticks * size * units(MNQ.tick_value)
    costs = size * units(D("1.22"))
    none = np.zeros(count, np.int64)
    return Trades(
        stretch=none, order=np.arange(count), trade_date=TODAY + day, side=none + 1, quantity=size, entry_row=none,
        exit_row=none, entered_at=at, exited_at=at + 60, entry=none + 80_000, exit=80_000 + ticks,
        stop_ticks=none + 40, reason=np.where(ticks > 0, Reason.TARGET, Reason.STOP),
        tick_value=none + units(MNQ.tick_value), adverse=worst,
        favourable=np.maximum(ticks, 0), gross=gross, costs=costs, net=gross - costs,
    )  # fmt: skip


def days(*rows: tuple[str, str]) -> Days:
    """Return sessions with a trade each: (net, lowest) in dollars."""
    net, low = (np.array([units(D(row[column])) for row in rows], np.int64) for column in (0, 1))
    return Days(TODAY + np.arange(len(rows)), net, low, np.ones(len(rows), np.int64))


class TestStatistics:
    def test_figures_of_three_trades(self):
        made = trades((0, 60, -10), (0, -40, -40), (1, -20, -30))
        # 2 x 60 x 0.50 - 2.44 = 57.56; -42.44; -22.44
        told = statistics(made, by_session(made, [MONDAY, date(2026, 11, 17)]))
        assert (told.trades, told.won, told.lost, told.net) == (3, 1, 2, -7.32)
        assert (told.gross, told.costs) == (0.0, 7.32)
        assert told.win_rate == pytest.approx(1 / 3, abs=1e-4)
        assert told.profit_factor == pytest.approx(57.56 / 64.88, abs=1e-4)
        assert told.expectancy == pytest.approx(-2.44)
        assert told.longest_losing == 2
        assert told.adverse == pytest.approx(-80 / 3, abs=0.01)
        assert {group.name: group.trades for group in told.groups["weekday"]} == {"Monday": 2, "Tuesday": 1}
        assert {group.name: group.net for group in told.groups["reason"]} == {"target": 57.56, "stop": -64.88}

    def test_without_a_trade_nothing_is_divided(self):
        told = statistics(Trades.none(), by_session(Trades.none(), [MONDAY]))
        assert (told.trades, told.net, told.sharpe, told.win_rate, told.max_drawdown) == (0, 0.0, None, None, 0.0)

    def test_the_days_low_holds_open_losses_after_what_was_won(self):
        made = trades((0, 60, -10), (0, -40, -44))
        # 57.56, then 44 ticks of 2 contracts below that with costs: 57.56 - 44 - 2.44
        (low,) = by_session(made, [MONDAY]).low.tolist()
        assert dollars(low) == D("-12.44")  # before it the first trade was 10 ticks and its costs below 0

    def test_sharpe_is_mean_over_deviation_times_the_root_of_252(self):
        assert sharpe(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 1 * 252**0.5, abs=1e-3)
        assert sharpe(np.array([1.0, 1.0])) is None

    def test_drawdown_counts_from_the_peak_of_ended_days_to_any_low(self):
        assert drawdown(days(("500", "0"), ("-200", "-300"), ("-100", "-450"), ("900", "-10"))) == 650

    def test_entries_that_end_otherwise_depend_on_the_reading(self):
        one, other = trades((0, 60, 0), (0, -40, -40)), trades((0, 60, 0), (0, 20, 0))
        assert dependent(one, one) == 0
        assert dependent(one, other) == 1


class TestOutcome:
    @given(st.integers(-5_000, 60_000), st.integers(1, 9_000), st.integers(-5_000, 70_000))
    def test_the_floor_is_the_firms(self, start, loss, highest):
        ours = floor(start * UNIT, loss * UNIT, np.array([highest * UNIT]))
        assert dollars(ours[0]) == firm.floor(start=D(start), maximum_loss=D(loss), highest_eod=D(highest))

    def test_passes_on_the_day_that_reaches_the_target_when_no_day_is_too_large(self):
        told = judge(days(("1500", "0"), ("1000", "-100"), ("500", "0"), ("100", "0")), COMBINE)
        assert (told.result, told.day, told.days, told.profit) == (Result.PASSED, date(2026, 11, 18), 3, D(3000))

    def test_a_best_day_above_its_share_raises_what_is_needed(self):
        # 1,800 of 3,000 is 60 %: 1,800 / 0.55 = 3,272.73 are needed (the firm's own example)
        told = judge(days(("1800", "0"), ("900", "0"), ("300", "0"), ("272.72", "0"), ("0.01", "0")), COMBINE)
        assert (told.result, told.days) == (Result.PASSED, 5)

    def test_touching_the_trailing_floor_within_a_day_is_a_breach(self):
        # the floor rises to 49,000 after the first day: 51,000 - 2,000
        held = judge(days(("1000", "0"), ("-500", "-1999.99")), COMBINE)
        lost = judge(days(("1000", "0"), ("-500", "-2000")), COMBINE)
        assert (held.result, lost.result, lost.day) == (Result.NEITHER, Result.BREACHED, date(2026, 11, 17))
        assert (held.closest, lost.closest) == (D("0.01"), D(0))

    def test_the_floor_follows_ended_days_and_stops_at_the_start(self):
        # three days of +1,000: the floor stands at 50,000 for good, a day down to 50,000.01 is survived
        told = judge(days(("1000", "0"), ("1000", "-500"), ("900", "0"), ("0", "-2899.99")), COMBINE)
        assert (told.result, told.closest) == (Result.NEITHER, D("0.01"))

    def test_the_daily_loss_limit_ends_the_day_there(self):
        rules = Rules("combine-50-dll", D(50_000), D(2_000), daily_loss=D(1_000), target=D(3_000))
        told = judge(days(("400", "-1200"), ("-1500", "-1500")), rules)
        assert (told.result, told.profit, told.locked_days) == (Result.BREACHED, D(-2000), 2)

    def test_many_paths_at_once_are_each_as_one_alone(self):
        random = np.random.default_rng(5)
        net = random.integers(-900, 1000, (50, 30)) * UNIT
        low = np.minimum(net, 0) - random.integers(0, 400, net.shape) * UNIT
        walked = walk(net, low, net != 0, COMBINE)
        for path in range(50):
            alone = judge(Days(TODAY + np.arange(30), net[path], low[path], np.ones(30, np.int64)), COMBINE)
            assert (Result.NEITHER, Result.PASSED, Result.BREACHED)[walked.ending[path]] is alone.result
            assert walked.last[path] + 1 == alone.days


class TestOdds:
    def test_days_that_only_win_always_pass(self):
        told = odds(days(("200", "0"), ("300", "-10")), COMBINE, paths=200, sessions=60)
        assert (told.passes.value, told.breaches.value) == (1.0, 0.0)
        assert told.median_days is not None
        assert 10 <= told.median_days <= 15  # 3,000 at 250 a day

    def test_the_same_seed_gives_the_same_odds_and_they_add_up(self):
        rows = days(*[(str(net), str(min(net, 0) - 100)) for net in (-700, 400, 900, -300, 150, -650, 800)])
        one, again = (odds(rows, COMBINE, paths=500, sessions=40, seed=3) for _ in range(2))
        assert one == again
        assert one.passes.value + one.breaches.value + one.neither.value == pytest.approx(1)
        assert one.breaches.low <= one.breaches.high

    def test_nothing_to_draw_from_is_refused(self):
        with pytest.raises(ValueError, match="0 days"):
            odds(days()[:0], COMBINE)
