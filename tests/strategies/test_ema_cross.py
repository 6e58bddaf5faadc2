from decimal import Decimal

import pytest

from market.plans import Kind
from strategies.ema_cross import Parameters, StopFrom, management
from strategies.parameters import ParameterError, parse
from tests.strategies.drawn import MNQ, PRICE, at, market, reasons, signals

NAME = "ema_cross"
UP = {"10:00": PRICE + 40}


@pytest.mark.parametrize(
    ("values", "stop", "target"),
    [
        ({}, 52, 104),  # the lowest low of ten bars is 79,990: 50 below the close, and 2 more
        ({"stop_buffer_ticks": "0"}, 50, 100),
        ({"stop_from": "slow"}, 38, 76),  # the slow EMA is at 80,000 + 40 x 2/22 = 80,003.64: 36.36 + 2
        ({"stop_from": "atr"}, 69, 138),  # 3 x 22.857
        ({"stop_max_atr": "2.0"}, 46, 92),  # the swing is farther than 2 x 22.857
        ({"stop_from": "slow", "stop_min_atr": "2.0"}, 46, 92),
        ({"target_r": "0"}, 52, 0),
    ],
)
def test_the_stop_lies_behind_what_it_is_told_between_its_bounds(values, stop, target):
    (found,) = signals(NAME, market(UP), parse(Parameters, values))
    assert (found.closed_at, found.short) == (at("10:05"), None)
    assert (found.long.kind, found.long.stop_ticks, found.long.target_ticks) == (Kind.MARKET, stop, target)


def test_a_short_has_its_stop_above_the_swing():
    (found,) = signals(NAME, market({"10:00": PRICE - 40}), Parameters(trail_atr=Decimal(1)))
    assert (found.long, found.short.stop_ticks, found.trail_ticks) == (None, 52, 23)


def test_the_swing_is_that_of_its_bars_only():
    # 30 lower for the minute of 09:05: a low of 79,960 within 12 bars of the cross, not within 10
    dip = {"09:05": PRICE - 30, "09:06": PRICE, "10:00": PRICE + 60}
    params = Parameters(entry_from=at("09:55").time(), stop_max_atr=Decimal(20))
    assert [one.long.stop_ticks for one in signals(NAME, market(dip), params) if one.long] == [72]
    wider = Parameters(entry_from=at("09:55").time(), stop_max_atr=Decimal(20), swing_bars=12)
    assert [one.long.stop_ticks for one in signals(NAME, market(dip), wider) if one.long] == [102]


def test_where_the_emas_cross_back_it_exits_and_turns_around():
    up, down = signals(NAME, market(UP | {"11:00": PRICE - 40}), Parameters())
    assert (up.exit_long, down.exit_long, down.exit_short) == (False, True, False)
    assert (down.closed_at, down.short is not None) == (at("11:10"), True)


def test_the_trend_filter_wants_the_close_on_the_side_of_the_longer_ema():
    # the EMA of 30 bars stays high after 80 down at 09:00, when the price rises 40 from there
    jumps = {"09:00": PRICE - 80, "10:00": PRICE - 40}
    params = Parameters(entry_from=at("09:30").time())
    assert [one.long is not None for one in signals(NAME, market(jumps), params)] == [True]
    filtered = Parameters(entry_from=at("09:30").time(), filter_trend=True, trend_period=100)
    assert signals(NAME, market(jumps), filtered) == []
    assert reasons(NAME, market(jumps), filtered)[1:] == [
        "the EMA of 100 bars is on the other side (filter_trend)",
    ]
    assert "trend" in signals(NAME, market(UP), filtered)[0].figures


def test_breakeven_after_one_stop_distance_is_declared():
    assert management(Parameters(), MNQ).breakeven_at(52) == 52
    assert management(Parameters(breakeven_r=Decimal(0)), MNQ).breakeven_at(52) == 0


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"fast_period": "21"}, "fast_period"),
        ({"stop_min_atr": "3.0"}, "stop_min_atr"),
        ({"stop_from": "x"}, "stop_from"),
    ],
)
def test_values_that_cannot_work_are_refused(values, name):
    with pytest.raises(ParameterError) as raised:
        parse(Parameters, values)
    assert list(raised.value.errors) == [name]
    assert StopFrom("swing") is Parameters().stop_from
