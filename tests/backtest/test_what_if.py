"""Real trades under other settings, and the odds of going on: by hand, and against traders whose edge is known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import numpy as np
import pytest

from backtest.outcomes import Result, Rules
from backtest.prospects import Standing, TooFewTrades, fresh, prospects
from backtest.what_if import RealTrade, Settings, replay, what_if

MONDAY = date(2026, 11, 16)
COMBINE = Rules("combine-50", D(50_000), D(2_000), target=D(3_000))


def trade(day: int, minute: int, gross: int, *, minutes: int = 5, quantity: int = 2) -> RealTrade:
    at = datetime(2026, 11, 16 + day, 15, minute, tzinfo=UTC)
    return RealTrade(
        MONDAY + timedelta(days=day), at, at + timedelta(minutes=minutes), quantity, D(gross), D("1.22") * quantity
    )


DAYS = [trade(0, 0, -100), trade(0, 10, -100), trade(0, 20, 300), trade(1, 0, 50), trade(1, 10, -100)]


def test_without_a_setting_nothing_changes():
    assert replay(DAYS, Settings()) == DAYS
    assert what_if(DAYS, Settings(), None).figures.net == 50 - 5 * D("2.44")


def test_another_size_scales_results_and_costs():
    told = what_if(DAYS, Settings(size=1), None).figures
    assert (told.gross, told.costs, told.trades) == (25, 5 * D("1.22"), 5)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (Settings(stop_after_losses=2), [0, 1, 3, 4]),
        (Settings(stop_after_losses=1), [0, 3, 4]),
        (Settings(stop_after_loss=D(150)), [0, 1, 3, 4]),
        (Settings(most_trades=1), [0, 3]),
    ],
)
def test_rules_leave_out_what_came_after_them(settings, kept):
    assert replay(DAYS, settings) == [DAYS[number] for number in kept]


def test_what_was_still_open_is_no_reason_to_stop():
    days = [trade(0, 0, -100, minutes=30), trade(0, 10, 40), trade(0, 40, 50)]
    assert replay(days, Settings(stop_after_losses=1)) == days[:2]


def test_the_firms_rules_judge_the_replay():
    days = [trade(day, 0, 1_000) for day in range(4)]
    passed = what_if(days, Settings(), COMBINE).outcome
    assert (passed.result, passed.day) == (Result.PASSED, MONDAY + timedelta(days=3))
    lost = what_if([trade(0, 0, -1_000), trade(0, 10, 900)], Settings(size=4), COMBINE).outcome
    assert lost.result is Result.BREACHED


def test_a_setting_that_is_not_possible_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        Settings(size=0)


# --- odds


def draw(random: np.random.Generator, chance: float, win: int, loss: int, days: int) -> list[list[D]]:
    """A trader with an edge: one to four trades a day, each wins with a known probability."""
    counts = random.integers(1, 5, days)
    return [[D(win) if random.random() < chance else D(-loss) for _ in range(count)] for count in counts]


def truth(
    chance: float, win: int, loss: int, standing: Standing, sessions: int, paths: int = 8_000
) -> tuple[float, ...]:
    """Let accounts of the trader himself live, one by one trade: shares that pass, are lost, are lost today."""
    random = np.random.default_rng(99)
    balance = np.full(paths, float(standing.equity))
    highest, best = np.full(paths, float(standing.highest)), np.full(paths, float(standing.best_day))
    state, today = np.zeros(paths, int), 0.0
    for session in range(sessions):
        counts = random.integers(1, 5, paths)
        begun, under = balance.copy(), np.minimum(50_000, np.maximum(50_000, highest) - 2_000)
        for number in range(4):
            moves = np.where(random.random(paths) < chance, win, -loss)
            balance += np.where((number < counts) & (state == 0), moves, 0)
            state[(state == 0) & (balance <= under)] = -1
        highest, best = np.maximum(highest, balance), np.maximum(best, balance - begun)
        profit = balance - 50_000
        enough = (profit >= 3_000) & (best <= 0.55 * profit) & (session + 1 + standing.days >= 2)
        state[(state == 0) & enough] = 1
        today = float((state == -1).mean()) if session == 0 else today
    return (state == 1).mean(), (state == -1).mean(), today


@pytest.mark.parametrize(
    ("chance", "win", "loss", "equity"),
    [(0.55, 200, 200, 50_000), (0.50, 200, 200, 51_000), (0.40, 300, 200, 48_500), (0.30, 200, 200, 48_700)],
)
def test_predicted_and_true_frequencies_of_known_traders_agree(chance, win, loss, equity):
    """What the bootstrap of 400 days of a trader says, on average over histories, is what happens to such traders."""
    random = np.random.default_rng(7)
    standing = Standing(D(equity), D(max(equity, 50_000)), days=1)
    told = [
        prospects(draw(random, chance, win, loss, 400), standing, COMBINE, sessions=30, paths=500, seed=seed)
        for seed in range(12)
    ]
    passes, breaches, today = truth(chance, win, loss, standing, 30)
    assert np.mean([one.passes for one in told]) == pytest.approx(passes, abs=0.05)
    assert np.mean([one.breaches for one in told]) == pytest.approx(breaches, abs=0.05)
    assert np.mean([one.breaches_today for one in told]) == pytest.approx(today, abs=0.03)


def test_today_counts_what_was_traded_today_already():
    by_day = [[D(-500), D(-500)]] * 20
    near = Standing(D(48_900), D(50_000), today=D(-1_100), trades_today=1)  # one more trade: 48,400
    assert prospects(by_day, near, COMBINE).breaches_today == 0
    assert prospects(by_day, Standing(D(48_900), D(50_000)), COMBINE).breaches_today == 1
    done = Standing(D(48_900), D(50_000), trades_today=2)
    assert prospects(by_day, done, COMBINE, sessions=1).breaches == 0


def test_a_daily_loss_limit_ends_the_day_before_the_floor():
    by_day = [[D(-500)] * 6] * 10
    limited = Rules("dll", D(50_000), D(2_000), daily_loss=D(1_000), target=D(3_000))
    assert prospects(by_day, fresh(COMBINE), COMBINE).breaches_today == 1
    assert prospects(by_day, fresh(limited), limited).breaches_today == 0


def test_an_account_without_a_target_has_nothing_to_pass():
    express = Rules("express-50", D(0), D(2_000))
    told = prospects([[D(10)]] * 30, fresh(express), express)
    assert (told.passes, told.breaches) == (None, 0)


def test_too_few_trades_tell_nothing():
    with pytest.raises(TooFewTrades, match="29 trades are too few"):
        prospects([[D(1)]] * 29, fresh(COMBINE), COMBINE)
