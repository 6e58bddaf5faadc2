"""The laws on every strategy, and that they catch a strategy that breaks them."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import Bars, Timeframe, epoch
from market.contracts import Contract
from market.plans import Frames, Plan
from market.products import product
from market.sessions import regular_session
from strategies import STRATEGIES, overnight_range
from tests.market.generated import minute_bars
from tests.strategies.laws import check_prefix, check_window

MNQ = product("MNQ").contract(2026, 12)
_DAYS = [date(2026, 2, 2) + timedelta(days=number) for number in range(290)]
SESSIONS = [regular_session(day) for day in _DAYS if day.weekday() < 5]  # to 18 November: the clocks change in it
LAST = SESSIONS[-15:]


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


def overnight_parameters():
    return st.builds(
        overnight_range.Parameters,
        atr_timeframe=st.sampled_from((Timeframe.M2, Timeframe.M5, Timeframe.M30, Timeframe.H1)),
        atr_period=st.sampled_from((2, 5, 14)),
        daily_atr_period=st.sampled_from((2, 14)),
        zone_anchor=st.sampled_from(overnight_range.ZoneAnchor),
        late_start=st.sampled_from(overnight_range.LateStart),
        filter_range_size=st.booleans(),
        filter_gap=st.booleans(),
        filter_volatility=st.booleans(),
        max_missing_minutes=st.sampled_from((0, 15, 300)),
    )


PARAMETERS = {"overnight_range": overnight_parameters()}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), situation=situations())
def test_rows_never_depend_on_later_bars(strategy, data, situation):
    seed, base, daily = situation
    params = data.draw(PARAMETERS[strategy.name])
    check_prefix(strategy, params, MNQ, base, LAST, daily, interesting(base, seed))


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), situation=situations())
def test_the_declared_warm_up_decides_about_the_last_row(strategy, data, situation):
    seed, base, daily = situation
    params = data.draw(PARAMETERS[strategy.name])
    check_window(strategy, params, MNQ, base, LAST, daily, interesting(base, seed))


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
