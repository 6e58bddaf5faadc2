from decimal import Decimal

import pytest

from market.plans import Kind
from strategies.indicators import Average
from strategies.parameters import ParameterError, parse
from strategies.trend_following import Parameters, management
from tests.strategies.drawn import MNQ, PRICE, at, market, reasons, signals

NAME = "trend_following"
UP_AND_DOWN = {"10:00": PRICE + 40, "11:00": PRICE - 40}


def test_a_cross_is_followed_with_a_stop_and_a_trailing_stop():
    # quiet: both averages stand at 80,000; then one bar up 40. ATR (13 x 20 + 60) / 14 = 22.857
    found = signals(NAME, market({"10:00": PRICE + 40}), Parameters())
    assert [(one.closed_at, one.short, one.adds) for one in found] == [(at("10:05"), None, False)]
    long = found[0].long
    assert (long.kind, long.stop_ticks, long.target_ticks, found[0].trail_ticks) == (Kind.MARKET, 46, 0, 69)
    assert found[0].figures["fast"] == pytest.approx(80_000 + 40 * 2 / 11)
    assert found[0].figures["slow"] == pytest.approx(80_000 + 40 * 2 / 31)
    assert found[0].reason == "the fast average crossed above the slow one"


def test_where_the_averages_cross_back_it_turns_around():
    # 12 bars at + 40: fast 80,000 + 40 (1 - (9/11) ** 12) = 80,036.4, slow 80,022.0; the second bar at - 40 crosses
    up, down = signals(NAME, market(UP_AND_DOWN), Parameters())
    assert (up.closed_at, up.exit_long, up.exit_short) == (at("10:05"), False, False)
    assert (down.closed_at, down.exit_long, down.exit_short) == (at("11:10"), True, False)
    assert (down.long, down.short.kind) == (None, Kind.MARKET)
    assert down.reason == "the fast average crossed below the slow one"
    without = signals(NAME, market(UP_AND_DOWN), Parameters(exit_on_cross=False))
    assert [(one.exit_long, one.short is not None) for one in without] == [(False, False), (False, True)]


def test_outside_of_its_hours_it_only_exits():
    only_exits = signals(NAME, market(UP_AND_DOWN), parse(Parameters, {"entry_until": "11:00"}))
    assert [(one.closed_at, one.exit_long, one.short) for one in only_exits][1:] == [(at("11:10"), True, None)]
    assert only_exits[1].reason == "the averages crossed back"
    assert signals(NAME, market({"03:00": PRICE + 40, "04:00": PRICE - 40}), Parameters()) == []
    # no exit once the position is flat anyway
    late = {"14:30": PRICE + 40, "15:58": PRICE - 400}
    assert [one.closed_at for one in signals(NAME, market(late), Parameters())] == [at("14:35")]


def test_simple_averages_cross_when_their_sums_do():
    # 10 of 40 in the fast mean against 12 of 40 in the slow one of 30: down below it when 5 bars at - 40 make
    # (5 x 40 - 5 x 40) / 10 = 0 against (12 x 40 - 5 x 40) / 30 = 9.3; after 4: 8 against 10.7; after 3: 16 against 12
    _, down = signals(NAME, market(UP_AND_DOWN), Parameters(average=Average.SMA))
    assert down.closed_at == at("11:20")


def test_it_adds_each_time_the_trend_went_its_spacing():
    # entry at 80,040, spacing 22.857: additions from 80,062.9, 80,085.7 and 80,108.6 on; one a bar
    jumps = {"10:00": PRICE + 40, "10:10": PRICE + 62, "10:15": PRICE + 63, "10:25": PRICE + 120}
    params = Parameters(max_adds=2)
    entry, *adds = signals(NAME, market(jumps), params)
    assert (entry.closed_at, entry.adds) == (at("10:05"), False)
    assert [(one.closed_at, one.adds) for one in adds] == [(at("10:20"), True), (at("10:30"), True)]
    assert all(one.long is not None and one.long.stop_ticks > 0 for one in adds)
    assert len(signals(NAME, market(jumps), Parameters(max_adds=5))) == 4  # 80,108.6 at 10:35; 80,131.4 never
    assert management(params, MNQ).max_adds == 2


def test_it_adds_no_more_after_the_averages_crossed_back():
    jumps = UP_AND_DOWN | {"11:30": PRICE + 70}
    found = signals(NAME, market(jumps), Parameters(max_adds=3, max_entries=2))
    assert [(one.adds, one.long is not None, one.exit_long, one.exit_short) for one in found] == [
        (False, True, False, False),
        (False, False, True, False),
        (False, False, False, True),  # the third cross is one entry too many, but ends the short
    ]


def test_it_says_what_it_waits_for_and_what_refused_it():
    assert reasons(NAME, market({}), Parameters()) == ["waiting for the averages of 10 and 30 bars to cross"]
    assert reasons(NAME, market(UP_AND_DOWN), Parameters(max_entries=1, exit_on_cross=False))[1:] == [
        "the session had its 1 entries (max_entries)"
    ]
    told = reasons(NAME, market({"10:00": PRICE + 22}), Parameters(filter_condition=True))
    assert told[1:] == ["the market is ranging, entries want it trending or breakout (filter_condition)"]
    assert reasons(NAME, market({}, sessions=2), Parameters()) == [
        "fewer than 450 closed 5m bars are known before this session"
    ]


def test_the_trailing_stop_can_be_switched_off():
    (found,) = signals(NAME, market({"10:00": PRICE + 40}), Parameters(trail_atr=Decimal(0)))
    assert found.trail_ticks == 0


@pytest.mark.parametrize(("values", "name"), [({"fast_period": "30"}, "fast_period"), ({"max_adds": "6"}, "max_adds")])
def test_values_that_cannot_work_are_refused(values, name):
    with pytest.raises(ParameterError) as raised:
        parse(Parameters, values)
    assert list(raised.value.errors) == [name]
