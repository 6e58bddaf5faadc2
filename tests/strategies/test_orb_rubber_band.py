from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest

from market.bars import Timeframe
from market.plans import Kind
from strategies.orb_rubber_band import Entry, Parameters, warm_up
from strategies.parameters import ParameterError, parse
from tests.strategies.drawn import PRICE, at, daily, market, minutes, reasons, signals

NAME = "orb_rubber_band"
OPENING = {"09:35": PRICE + 20, "09:40": PRICE}  # range of the first 15 minutes: 79,990 to 80,030
UP = OPENING | {"09:50": PRICE + 60}
SNAP = Parameters(entry=Entry.SNAP_BACK)
WAITING = "waiting for the price to leave the opening range"


def test_after_a_breakout_a_limit_waits_where_the_price_springs_back_to():
    # 40 wide, a quarter of it inside of 80,030: 80,020. True ranges 20 but for 40 at 09:35 and 09:40 (closed 09:45),
    # 20 at 09:45 and 80 at 09:50: ATR 20 -> 21.43 -> 22.76 -> 22.56 -> 26.66; stop 1.5 of it, target twice the stop
    (found,) = signals(NAME, market(UP), Parameters())
    assert (found.closed_at, found.short) == (at("09:55"), None)
    assert (found.long.kind, found.long.price) == (Kind.LIMIT, 80_020)
    assert (found.long.stop_ticks, found.long.target_ticks) == (40, 80)
    assert found.long.expires_at == at("10:25")
    assert (found.figures["opening_high"], found.figures["opening_low"]) == (80_030, 79_990)


def test_the_other_side_is_its_mirror():
    down = {"09:35": PRICE - 20, "09:40": PRICE, "09:50": PRICE - 60}
    (found,) = signals(NAME, market(down), Parameters(pullback=Decimal(0)))
    assert (found.long, found.short.kind, found.short.price, found.short.stop_ticks) == (None, Kind.LIMIT, 79_970, 40)


@pytest.mark.parametrize(("beyond", "expected"), [(31, 0), (32, 1)])
def test_a_breakout_closes_offset_ticks_beyond_the_range(beyond, expected):
    assert len(signals(NAME, market(OPENING | {"09:50": PRICE + beyond}), Parameters())) == expected


def test_nothing_breaks_before_the_range_is_complete():
    early = {"09:32": PRICE + 60, "09:38": PRICE}  # it is part of the range: to 80,070
    assert signals(NAME, market(early | {"09:50": PRICE + 60}), Parameters()) == []
    # a range of five minutes is complete at 09:35: 79,990 to 80,010
    assert [one.closed_at for one in signals(NAME, market(OPENING), Parameters(range_minutes=5))] == [at("09:40")]


def test_the_limit_ends_with_the_entries():
    (found,) = signals(NAME, market(OPENING | {"14:40": PRICE + 60}), Parameters())
    assert found.long.expires_at == at("15:00")


def test_a_stretched_price_is_traded_back_to_the_edge():
    # 70 beyond 80,030 at 80,100; ATR (22.39 x 13 + 120) / 14 = 29.4 at 09:55: twice it is 58.7. Stop 44
    (found,) = signals(NAME, market(OPENING | {"09:50": PRICE + 100}), SNAP)
    assert (found.closed_at, found.long) == (at("09:55"), None)
    assert (found.short.kind, found.short.stop_ticks, found.short.target_ticks) == (Kind.MARKET, 44, 70)
    # 50 of 56 at 09:55; the ATR shrinks while the price stands there, to 24.8 at 10:30
    assert signals(NAME, market(OPENING | {"09:50": PRICE + 80}), SNAP)[0].closed_at == at("10:30")


def test_without_a_breakout_it_may_enter_at_a_time():
    # a tick out of the range from 09:50 on, three from 10:25 on: less than an offset of four
    creeping = OPENING | {"09:50": PRICE + 31, "10:25": PRICE + 33}
    params = Parameters(time_entry=True, offset_ticks=4)
    assert signals(NAME, market(creeping), params) == []
    timed = replace(params, offset_ticks=1, pullback=Decimal(1))
    assert signals(NAME, market(creeping), timed)[0].closed_at == at("09:55")  # the breakout came first
    # out of the range since before it was complete: no breakout, but outside at 10:30
    outside = {"09:30": PRICE, "09:44": PRICE + 40}
    found = signals(NAME, market(outside | {"09:45": PRICE + 60}), replace(params, entry_from=time(10)))
    assert [(one.closed_at, one.long.kind) for one in found] == [(at("10:30"), Kind.MARKET)]
    assert found[0].reason == "outside of the opening range at time_entry_at"
    back = replace(params, entry_from=time(10), entry=Entry.SNAP_BACK)
    assert signals(NAME, market(outside | {"09:45": PRICE + 60}), back)[0].short.target_ticks == 10


@pytest.mark.parametrize(("true_range", "expected"), [(66, 0), (68, 1), (400, 1), (402, 0)])
def test_the_volatility_filter_measures_the_range_in_daily_atrs(true_range, expected):
    # 40 wide: from 0.1 to 0.6 of the daily ATR
    params = Parameters(filter_volatility=True)
    assert len(signals(NAME, market(UP), params, days=daily(true_range))) == expected
    if not expected:
        told = ["the opening range is not 0.1 to 0.6 x daily ATR wide (filter_volatility)"]
        assert reasons(NAME, market(UP), params, days=daily(true_range))[1:] == told


def test_the_volatility_filter_needs_daily_bars():
    params = Parameters(filter_volatility=True)
    assert reasons(NAME, market(UP), params, days=daily(100, count=14)) == [
        "the daily ATR needs 15 sessions before this one"
    ]
    assert len(signals(NAME, market(UP), params, days=daily(100, count=15))) == 1
    assert Timeframe.D1 in warm_up(params)
    assert Timeframe.D1 not in warm_up(Parameters())


def test_an_opening_range_with_a_hole_is_told():
    day = minutes(UP, drop=("09:31", "09:34"))
    assert reasons(NAME, market(day), Parameters()) == [
        "more than 2 minutes of the opening range have no bar (max_missing_minutes)"
    ]
    assert len(signals(NAME, market(day), Parameters(max_missing_minutes=3))) == 1
    without = minutes(UP, drop=("09:30", "09:45"))
    assert signals(NAME, market(without), Parameters()) == []


def test_a_quiet_day_says_that_it_waits():
    assert reasons(NAME, market(OPENING), Parameters()) == [WAITING]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"range_min_atr": "0.7"}, "range_min_atr"),
        ({"range_minutes": "5", "max_missing_minutes": "5"}, "max_missing_minutes"),
        ({"entry_until": "09:45"}, "entry_until"),
        ({"time_zone": "Nowhere"}, "time_zone"),
    ],
)
def test_values_that_cannot_work_are_refused(values, name):
    with pytest.raises(ParameterError) as raised:
        parse(Parameters, values | {"entry_from": "09:00"})
    assert list(raised.value.errors) == [name]
