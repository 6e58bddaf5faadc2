from datetime import date

import numpy as np
import pytest

from market.bars import Bars, Timeframe
from market.plans import frames
from market.products import product
from market.sessions import regular_session
from strategies import STRATEGIES
from strategies.conditions import BREAKOUT_BARS, LOOKBACK, Condition, at, classify, refusal
from tests.market.generated import minute_bars

QUIET = 700  # bars before those of interest


def bars_of(closes: list[int], reach: list[int] | int = 10) -> Bars:
    """Return quiet bars at 1,000 that reach ten ticks up and down, then bars with these closes and reaches."""
    close = np.array([1000] * QUIET + closes)
    wide = np.concatenate((np.full(QUIET, 10), np.broadcast_to(reach, len(closes))))
    return Bars(np.arange(len(close)) * 900, close, close + wide, close - wide, close, close * 0)


def conditions_of(closes: list[int], reach: list[int] | int = 10) -> list[Condition]:
    found = classify(bars_of(closes, reach), np.array([0, QUIET - 10]))
    return [Condition(one) for one in found[QUIET:].tolist()]


def test_a_quiet_market_ranges():
    assert set(conditions_of([1000, 1002, 999, 1001] * 20)) == {Condition.RANGING}


def test_a_steady_climb_trends():
    # two ticks a bar: no close beyond the highs of ten ticks above, and all direction is up: the ADX nears 100 like
    # 1 - (13/14) ** n: 25 is passed with the fourth value
    found = conditions_of([1000 + 2 * number for number in range(1, 60)])
    assert found[:3] == [Condition.RANGING] * 3
    assert found[4:] == [Condition.TRENDING] * 55


def test_a_close_beyond_the_channel_in_a_wide_bar_is_a_breakout_for_three_bars():
    # the channel is 990 to 1,010; true range 31 against 1.5 x 20
    found = conditions_of([1011] + [1011] * 5, [20] + [10] * 5)
    assert found[:BREAKOUT_BARS] == [Condition.BREAKOUT] * 3
    assert found[BREAKOUT_BARS] is not Condition.BREAKOUT


@pytest.mark.parametrize(("close", "reach"), [(1010, 20), (1011, 8)])  # on the channel's edge; true range 19 below 30
def test_a_close_on_the_edge_or_a_narrow_bar_is_no_breakout(close, reach):
    assert conditions_of([close], reach)[0] is not Condition.BREAKOUT


def test_wide_bars_without_direction_are_volatile():
    # true range 80 for 20: ATR 20 + 60 (1 - (13/14) ** n), its mean of 100 bars lags behind
    found = conditions_of([1000] * 60, 40)
    # after 3 bars 31.96 is above 1.5 x the mean of 97 at 20 and 24.3, 28.3, 32.0: 20.25; after 2 28.3 is not
    assert found[:2] == [Condition.RANGING] * 2
    assert found[2] is Condition.VOLATILE
    assert found[20] is Condition.VOLATILE


def test_without_enough_bars_before_the_session_it_is_unknown():
    bars = bars_of([1000] * 5)
    assert set(classify(bars, np.array([0])).tolist()) == {Condition.UNKNOWN}
    assert set(classify(bars[: LOOKBACK + 5], np.array([0, LOOKBACK])).tolist()) == {0, Condition.RANGING}
    assert set(classify(bars[: LOOKBACK + 5], np.array([0, LOOKBACK - 1])).tolist()) == {Condition.UNKNOWN}
    assert len(classify(Bars.empty(), np.empty(0, np.int64))) == 0


def test_a_market_of_one_price_ranges():
    assert set(conditions_of([1000] * 20, 10)) == {Condition.RANGING}
    flat = Bars(*(np.full(QUIET, 1000) for _ in range(6)))
    assert set(classify(flat, np.array([0, LOOKBACK])).tolist()) == {0, Condition.RANGING}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_every_strategy_says_what_suits_it(strategy):
    suits = strategy.suits(strategy.parameters())
    assert suits
    assert suits < set(Condition)
    assert Condition.UNKNOWN not in suits


def test_the_refusal_names_what_is_wanted():
    assert refusal(Condition.UNKNOWN, frozenset({Condition.RANGING})) == (
        "the market is not classified yet, entries want it ranging (filter_condition)"
    )


def test_the_filter_lets_those_enter_whose_market_it_is():
    """Several strategies with the filter on take turns: what docs/strategies/conditions.md promises."""
    sessions = [regular_session(date(2026, 10, day)) for day in (*range(5, 10), *range(12, 17), *range(19, 24))]
    base, entered = minute_bars(sessions, seed=5), dict[str, set[Condition]]()
    for name, strategy in STRATEGIES.items():
        if name == "overnight_range":
            continue  # it asks once, at 09:30
        for filters in (True, False):
            params = strategy.parameters(filter_condition=filters, max_entries=100)
            seen = frames(base, sessions, {*strategy.timeframes(params), Timeframe.M15})
            plan = strategy.plan(seen, params, product("MNQ").contract(2026, 12))
            rows = np.flatnonzero((plan.long.kind > 0) | (plan.short.kind > 0))
            found = at(seen, Timeframe.M15, base.opened_at[rows] + 60, seen.session_open[rows])
            if filters:
                entered[name] = {Condition(one) for one in found.tolist()}
                assert entered[name] <= strategy.suits(params)
            else:
                assert set(found.tolist()) - strategy.suits(params)
    assert {Condition.RANGING, Condition.TRENDING, Condition.BREAKOUT} <= set().union(*entered.values())
