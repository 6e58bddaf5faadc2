"""The laws on every strategy, and that they catch a strategy that breaks them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import UNKNOWN, Bars, Timeframe, epoch
from market.contracts import Contract
from market.plans import Frames, Plan, frames
from market.products import product
from market.sessions import regular_session
from strategies import (
    STRATEGIES,
    Strategy,
    ema_cross,
    mean_reversion,
    orb_rubber_band,
    overnight_range,
    pdh_pdl,
    trend_following,
)
from strategies.indicators import Average
from tests.market.generated import minute_bars
from tests.strategies.laws import check_prefix, check_window

MNQ = product("MNQ").contract(2026, 12)
_DAYS = [date(2026, 2, 2) + timedelta(days=number) for number in range(290)]
SESSIONS = [regular_session(day) for day in _DAYS if day.weekday() < 5]  # to 18 November: the clocks change in it
LAST = SESSIONS[-15:]
NEWEST = epoch(LAST[-9].opens_at)  # nine sessions are enough for bars of up to 15 minutes


def daily_bars(seed: int) -> Bars:
    random = np.random.default_rng(seed)
    close = 80_000 + random.integers(-800, 800, len(SESSIONS)).cumsum()
    opened_at = np.array([epoch(session.opens_at) for session in SESSIONS])
    reach = random.integers(200, 1500, (2, len(SESSIONS)))
    return Bars(opened_at, close, close + reach[0], close - reach[1], close, np.zeros(len(SESSIONS), np.int64))


def interesting(base: Bars, seed: int) -> list[int]:
    """Return lengths at which to look: around the last captures, the flat times, and anywhere."""
    random = np.random.default_rng(seed)
    times = [epoch(session.rth_opens_at) for session in LAST[-3:]] + [epoch(LAST[-1].opens_at)]
    rows = [int(np.searchsorted(base.opened_at, at)) + shift for at in times for shift in (-1, 0, 1, 2)]
    return [*rows, *random.integers(1, len(base), 2).tolist(), len(base)]


@st.composite
def situations(draw):
    seed = draw(st.integers(0, 2**32))
    base = minute_bars(LAST, seed, missing=draw(st.sampled_from((0.0, 0.005, 0.02, 0.4))))
    gap = draw(st.sampled_from((0, 1, 4, 12)))  # minutes without a bar around the last capture
    capture = epoch(LAST[-1].rth_opens_at)
    kept = (base.opened_at < capture - 60) | (base.opened_at >= capture + 60 * (gap - 1)) if gap else slice(None)
    return seed, base[kept], daily_bars(seed)


def intraday(kind, **own):
    """Return parameters of a strategy that decides on closed bars, with those that change what it looks at."""
    return st.builds(
        kind,
        timeframe=st.sampled_from((Timeframe.M2, Timeframe.M5, Timeframe.M15)),
        atr_period=st.sampled_from((2, 5, 14)),
        entry_from=st.sampled_from((time(18), time(9, 30))),
        pause=st.booleans(),
        max_entries=st.sampled_from((1, 3, 100)),
        trail_atr=st.sampled_from((Decimal(0), Decimal(2))),
        filter_condition=st.booleans(),
        condition_timeframe=st.sampled_from((Timeframe.M2, Timeframe.M5)),
        **own,
    )


PARAMETERS = {
    "overnight_range": st.builds(
        overnight_range.Parameters,
        atr_timeframe=st.sampled_from((Timeframe.M2, Timeframe.M5, Timeframe.M30, Timeframe.H1)),
        atr_period=st.sampled_from((2, 5, 14)),
        daily_atr_period=st.sampled_from((2, 14)),
        zone_anchor=st.sampled_from(overnight_range.ZoneAnchor),
        late_start=st.sampled_from(overnight_range.LateStart),
        filter_range_size=st.booleans(),
        filter_gap=st.booleans(),
        filter_volatility=st.booleans(),
        filter_condition=st.booleans(),
        condition_timeframe=st.sampled_from((Timeframe.M2, Timeframe.M5)),
        max_missing_minutes=st.sampled_from((0, 15, 300)),
    ),
    "mean_reversion": intraday(
        mean_reversion.Parameters,
        rsi_period=st.sampled_from((2, 14)),
        rsi_low=st.sampled_from((30, 45)),
        average=st.sampled_from(Average),
        average_period=st.sampled_from((5, 20)),
        distance_atr=st.sampled_from((Decimal("0.1"), Decimal("1.5"))),
    ),
    "trend_following": intraday(
        trend_following.Parameters,
        average=st.sampled_from(Average),
        fast_period=st.sampled_from((2, 10)),
        slow_period=st.sampled_from((12, 30)),
        exit_on_cross=st.booleans(),
        max_adds=st.sampled_from((0, 3)),
        add_spacing_atr=st.sampled_from((Decimal("0.1"), Decimal(1))),
    ),
    "pdh_pdl": intraday(
        pdh_pdl.Parameters,
        mode=st.just(pdh_pdl.Mode.FADE),
        sweep=st.booleans(),
        sweep_bars=st.sampled_from((1, 4)),
        stop_max_atr=st.sampled_from((Decimal(2), Decimal(20))),
        target=st.sampled_from(pdh_pdl.Target),
        rth_only=st.booleans(),
        filter_profile=st.booleans(),
        filter_delta=st.booleans(),
        filter_adx=st.booleans(),
        adx_period=st.sampled_from((2, 14)),
    )
    | intraday(
        pdh_pdl.Parameters,
        avoid_swept=st.booleans(),
        stop_at_node=st.booleans(),
        rth_only=st.booleans(),
        filter_profile=st.booleans(),
        filter_delta=st.booleans(),
        filter_adx=st.booleans(),
    ),
    "ema_cross": intraday(
        ema_cross.Parameters,
        fast_period=st.sampled_from((2, 9)),
        slow_period=st.sampled_from((12, 21)),
        stop_from=st.sampled_from(ema_cross.StopFrom),
        exit_on_cross=st.booleans(),
        filter_trend=st.booleans(),
        trend_period=st.sampled_from((30, 60)),
    ),
    "orb_rubber_band": intraday(
        orb_rubber_band.Parameters,
        range_minutes=st.sampled_from((5, 15, 60)),
        max_missing_minutes=st.sampled_from((0, 4)),
        entry=st.sampled_from(orb_rubber_band.Entry),
        stretch_atr=st.sampled_from((Decimal("0.1"), Decimal(2))),
        time_entry=st.booleans(),
        filter_volatility=st.booleans(),
        daily_atr_period=st.sampled_from((2, 14)),
    ),
}


def telling(strategy: Strategy, params: Any, base: Bars, daily: Bars, seed: int) -> list[int]:
    """Return lengths that end with a row that says something, one row before and one after; and some of anywhere."""
    plan = strategy.plan(frames(base, LAST, strategy.timeframes(params), daily), params, MNQ)
    assert not plan.long.kind[plan.long.stop_ticks < 4].any()
    said = np.flatnonzero(
        (plan.reasons > 0) | (plan.long.kind + plan.short.kind > 0) | plan.exit_long | plan.exit_short
    )
    rows = np.random.default_rng(seed).permutation(said[said > len(base) // 2])[:3]
    around = [int(row) + 1 + shift for row in rows for shift in (0, 1)]
    return [length for length in [*around, *interesting(base, seed)[-3:]] if length <= len(base)]


def of_strategy(name: str, base: Bars, seed: int = 7) -> Bars:
    """Return as many of the bars as the strategy's parameters below ask for; pdh_pdl's with some deltas, or without."""
    base = base if name == "overnight_range" else base[int(np.searchsorted(base.opened_at, NEWEST)) :]
    if name != "pdh_pdl" or seed % 4 == 0:
        return base
    random = np.random.default_rng(seed)
    delta = random.integers(-50, 60, len(base))
    holes = random.integers(0, len(base), (0, 5, 60)[seed % 3])
    delta[holes] = UNKNOWN
    return replace(base, delta=delta)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
@settings(max_examples=6, deadline=None)
@given(data=st.data(), situation=situations())
def test_rows_never_depend_on_later_bars(strategy, data, situation):
    seed, base, daily = situation
    params, base = data.draw(PARAMETERS[strategy.name]), of_strategy(strategy.name, base, seed)
    captures = interesting(base, seed)[:4] if strategy.name == "overnight_range" else []
    ends = [*captures, *telling(strategy, params, base, daily, seed)]
    check_prefix(strategy, params, MNQ, base, LAST, daily, ends)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
@settings(max_examples=12, deadline=None)
@given(data=st.data(), situation=situations())
def test_the_declared_warm_up_decides_about_the_last_row(strategy, data, situation):
    seed, base, daily = situation
    params, base = data.draw(PARAMETERS[strategy.name]), of_strategy(strategy.name, base, seed)
    captures = interesting(base, seed)[:4] if strategy.name == "overnight_range" else []
    ends = [*captures, *telling(strategy, params, base, daily, seed)]
    check_window(strategy, params, MNQ, base, LAST, daily, ends)


BASE, DAILY = minute_bars(LAST, seed=7), daily_bars(7)
OVERNIGHT, DEFAULTS = STRATEGIES["overnight_range"], overnight_range.Parameters()


def peeking_at_the_range(frames: Frames, params: Any, contract: Contract) -> Plan:
    """The overnight range, but of the bars up to ten minutes after the capture."""
    later = replace(frames, rth_open=frames.rth_open + 600)
    plan, peeked = (overnight_range.plan(one, params, contract) for one in (frames, later))
    row, source = np.flatnonzero(plan.oco), np.flatnonzero(peeked.oco)
    plan.long.price[row[: len(source)]] = peeked.long.price[source]
    return plan


def peeking_at_longer_bars(frames: Frames, params: Any, contract: Contract) -> Plan:
    """The overnight range, but all longer bars are taken as closed before the capture."""
    closed = {timeframe: np.zeros_like(closes) for timeframe, closes in frames.closes.items()}
    return overnight_range.plan(replace(frames, closes=closed), params, contract)


@pytest.mark.parametrize("plan", [peeking_at_the_range, peeking_at_longer_bars])
def test_the_prefix_law_catches_a_look_ahead(plan):
    ends = interesting(BASE, 7)
    check_prefix(OVERNIGHT, DEFAULTS, MNQ, BASE, LAST, DAILY, ends)
    with pytest.raises(AssertionError, match="changed when later bars came"):
        check_prefix(replace(OVERNIGHT, plan=plan), DEFAULTS, MNQ, BASE, LAST, DAILY, ends)


@pytest.mark.parametrize(("timeframe", "bars"), [(Timeframe.M1, 900), (Timeframe.M5, 150), (Timeframe.D1, 153)])
def test_the_window_law_catches_a_warm_up_that_is_too_short(timeframe, bars):
    capture = [int(np.searchsorted(BASE.opened_at, epoch(session.rth_opens_at))) for session in LAST[2:]]
    check_window(OVERNIGHT, DEFAULTS, MNQ, BASE, LAST, DAILY, capture)
    short = replace(OVERNIGHT, warm_up=lambda params: overnight_range.warm_up(params) | {timeframe: bars})
    with pytest.raises(AssertionError, match="needs more than"):
        check_window(short, DEFAULTS, MNQ, BASE, LAST, DAILY, capture)


ON_CLOSED_BARS = [strategy for name, strategy in STRATEGIES.items() if name != "overnight_range"]


def with_open_bars(plan: Callable[[Frames, Any, Contract], Plan]) -> Callable[[Frames, Any, Contract], Plan]:
    """Return the plan with every longer bar taken as closed at the end of its first minute."""

    def peeking(frames: Frames, params: Any, contract: Contract) -> Plan:
        closes = {timeframe: bars.opened_at + 60 for timeframe, bars in frames.derived.items()}
        return plan(replace(frames, closes=closes), params, contract)

    return peeking


@pytest.mark.parametrize("strategy", ON_CLOSED_BARS, ids=lambda strategy: strategy.name)
def test_the_prefix_law_catches_a_bar_that_is_used_before_it_closed(strategy):
    params, base = strategy.parameters(), of_strategy(strategy.name, BASE)
    peeking = replace(strategy, plan=with_open_bars(strategy.plan))
    ends = telling(peeking, params, base, DAILY, 7)
    check_prefix(strategy, params, MNQ, base, LAST, DAILY, ends)
    with pytest.raises(AssertionError, match="changed when later bars came"):
        check_prefix(peeking, params, MNQ, base, LAST, DAILY, ends)


def peeking_at_the_opening_range(frames: Frames, params: Any, contract: Contract) -> Plan:
    """The opening range strategy, but its range is that of the half hour that begins when it is complete."""
    later = frames.rth_open + 900
    plan, peeked = (
        orb_rubber_band.plan(replace(frames, rth_open=opens), replace(params, range_minutes=length), contract)
        for opens, length in ((frames.rth_open, 15), (later, 30))
    )
    for name, column in peeked.figures.items():
        first = np.flatnonzero(~np.isnan(column))
        plan.figures[name][first - 30] = column[first]
    return plan


def peeking_at_today(frames: Frames, params: Any, contract: Contract) -> Plan:
    """Yesterday's levels, but with all of the session's volume in them as soon as it begins."""
    total = np.bincount(frames.trade_date - frames.trade_date[0], frames.base.volume)
    plan = pdh_pdl.plan(frames, params, contract)
    plan.measures["delta"][:] += total[frames.trade_date - frames.trade_date[0]]
    return plan


@pytest.mark.parametrize(
    ("name", "plan"), [("orb_rubber_band", peeking_at_the_opening_range), ("pdh_pdl", peeking_at_today)]
)
def test_the_prefix_law_catches_a_level_of_later_minutes(name, plan):
    strategy = STRATEGIES[name]
    ends = [int(np.searchsorted(BASE.opened_at, epoch(session.rth_opens_at))) + 20 for session in LAST[5:8]]
    check_prefix(strategy, strategy.parameters(), MNQ, BASE, LAST, DAILY, ends)
    with pytest.raises(AssertionError, match="changed when later bars came"):
        check_prefix(replace(strategy, plan=plan), strategy.parameters(), MNQ, BASE, LAST, DAILY, ends)


@pytest.mark.parametrize("strategy", ON_CLOSED_BARS, ids=lambda strategy: strategy.name)
@pytest.mark.parametrize(
    "short",
    [{Timeframe.M5: 420}, {Timeframe.M1: 2 * 1380}],  # the lookback without the session; the minutes of two sessions
    ids=["bars", "minutes"],
)
def test_the_window_law_catches_a_warm_up_without_the_lookback(strategy, short):
    params = strategy.parameters()
    ends = telling(strategy, params, BASE, DAILY, 7)
    check_window(strategy, params, MNQ, BASE, LAST, DAILY, ends)
    forgetful = replace(strategy, warm_up=lambda params: strategy.warm_up(params) | short)
    with pytest.raises(AssertionError, match="needs more than"):
        check_window(forgetful, params, MNQ, BASE, LAST, DAILY, ends)
