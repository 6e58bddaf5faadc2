from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from market.bars import UNKNOWN
from market.plans import Kind
from strategies.parameters import ParameterError, parse
from strategies.pdh_pdl import Mode, Parameters, Target
from tests.strategies.drawn import PRICE, YESTERDAY, at, joined, market, minutes, reasons, signals

NAME = "pdh_pdl"
YESTERDAYS = {"11:00": PRICE + 100, "12:00": PRICE - 100, "13:00": PRICE}  # high 80,110, low 79,890, closed at 80,000
UP = {"10:00": PRICE + 114}  # four ticks beyond the high
SWEPT = {"10:00": PRICE + 150, "10:01": PRICE + 100}  # to 80,160, and back inside in the same five minutes
BREAKOUT_WAITS = "waiting for the price to close beyond yesterday's high or low"
FADE = Parameters(mode=Mode.FADE)


def test_a_close_beyond_yesterdays_high_is_bought():
    # true range 134 after 20: ATR (13 x 20 + 134) / 14 = 28.14; stop 42.2, target twice that
    (found,) = signals(NAME, market(UP, YESTERDAYS), Parameters())
    assert (found.closed_at, found.short) == (at("10:05"), None)
    assert (found.long.kind, found.long.stop_ticks, found.long.target_ticks) == (Kind.MARKET, 42, 84)
    assert found.reason == "the price closed beyond yesterday's high"
    assert (found.figures["pdh"], found.figures["pdl"]) == (80_110, 79_890)
    assert found.measures["delta_from_trades"] == 0


def test_one_tick_less_is_no_breakout():
    assert signals(NAME, market({"10:00": PRICE + 113}, YESTERDAYS), Parameters()) == []
    assert reasons(NAME, market({}, YESTERDAYS), Parameters()) == [BREAKOUT_WAITS]


def test_a_close_beyond_yesterdays_low_is_sold():
    (found,) = signals(NAME, market({"10:00": PRICE - 114}, YESTERDAYS), Parameters())
    assert (found.long, found.short.stop_ticks, found.short.target_ticks) == (None, 42, 84)


def test_only_the_regular_hours_of_yesterday_count():
    beyond = YESTERDAYS | {"08:00": PRICE + 300, "09:29": PRICE, "16:00": PRICE + 500, "16:30": PRICE}
    assert signals(NAME, market(UP, beyond), Parameters())[0].figures["pdh"] == 80_110


@pytest.mark.parametrize(
    ("jumps", "values", "expected"),
    [
        ({"04:00": PRICE + 114}, {"entry_from": "18:00"}, 0),  # rth_only
        ({"04:00": PRICE + 114}, {"entry_from": "18:00", "rth_only": "no"}, 1),
        (UP, {"entry_from": "10:06"}, 0),
        ({"12:30": PRICE + 114}, {}, 1),
        ({"12:30": PRICE + 114}, {"pause": "yes"}, 0),
        ({"13:25": PRICE + 114}, {"pause": "yes"}, 1),  # closes when the pause ends
        ({"14:55": PRICE + 114}, {}, 0),  # closes when the entries end
    ],
)
def test_entries_keep_to_their_hours(jumps, values, expected):
    assert len(signals(NAME, market(jumps, YESTERDAYS), parse(Parameters, values))) == expected


def test_a_sweep_that_comes_back_is_faded_with_a_stop_behind_its_extreme():
    # to 80,160, closed at 80,100: 60 to the extreme and 2 more; ATR (260 + 170) / 14 = 30.7 x 1.5 is nearer
    (found,) = signals(NAME, market(SWEPT, YESTERDAYS), FADE)
    assert (found.closed_at, found.long) == (at("10:05"), None)
    assert (found.short.kind, found.short.stop_ticks, found.short.target_ticks) == (Kind.MARKET, 62, 124)
    assert found.reason == "the price came back from beyond yesterday's high"


def test_a_sweep_of_the_low_is_bought():
    (found,) = signals(NAME, market({"10:00": PRICE - 150, "10:01": PRICE - 100}, YESTERDAYS), FADE)
    assert (found.short, found.long.stop_ticks) == (None, 62)


@pytest.mark.parametrize(
    ("jumps", "values", "expected"),
    [
        ({"10:00": PRICE + 107, "10:01": PRICE + 90}, {}, 0),  # to 80,117: 7 beyond, a sweep is 8
        ({"10:00": PRICE + 108, "10:01": PRICE + 90}, {}, 1),
        ({"10:00": PRICE + 101, "10:01": PRICE + 90}, {"sweep": "no"}, 1),  # a touch is enough
        ({"10:00": PRICE + 99, "10:01": PRICE + 90}, {"sweep": "no"}, 0),
        ({"10:00": PRICE + 150, "10:10": PRICE + 90}, {}, 1),  # the third bar closes back inside
        ({"10:00": PRICE + 150, "10:15": PRICE + 90}, {"sweep_bars": "1"}, 1),  # it opens beyond the level
        ({"10:00": PRICE + 150, "10:05": PRICE + 112, "10:20": PRICE + 90}, {"sweep_ticks": "40"}, 0),  # too late
    ],
)
def test_what_is_a_sweep(jumps, values, expected):
    found = signals(NAME, market(jumps, YESTERDAYS), parse(Parameters, {"mode": "fade", **values}))
    assert len(found) == expected


def test_a_sweep_that_went_too_far_is_left_alone():
    assert reasons(NAME, market(SWEPT, YESTERDAYS), replace(FADE, stop_max_atr=Decimal(2)))[1:] == [
        "the stop would be farther than 2 x ATR"
    ]


def test_both_extremes_at_once_decide_nothing():
    wild = {"10:00": PRICE + 150, "10:01": PRICE - 150, "10:02": PRICE}
    assert reasons(NAME, market(wild, YESTERDAYS), FADE)[1:] == ["both of yesterday's extremes were swept at once"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        # yesterday stood at 80,000 for 330 of 390 minutes, each spread over 79,990 to 80,010: its bins of four ticks
        # begin at 79,988; all but the first and the last are equally busy, the middle one is 79,996 to 79,999
        (Target.POC, 80_100 - 79_997),
        (Target.OPPOSITE, 80_100 - 79_890),
        (Target.REWARD, 124),
    ],
)
def test_a_fade_may_aim_at_yesterdays_prices(target, expected):
    (found,) = signals(NAME, market(SWEPT, YESTERDAYS), replace(FADE, target=target))
    assert found.short.target_ticks == pytest.approx(expected, abs=4 if target is Target.POC else 0)
    if target is Target.POC:
        assert found.short.target_ticks == 80_100 - found.figures["poc"]


def test_a_target_by_volume_lies_ahead_or_is_a_multiple_of_the_stop():
    (found,) = signals(NAME, market(SWEPT, YESTERDAYS), replace(FADE, target=Target.VALUE_AREA))
    assert found.short.target_ticks == 80_100 - found.figures["value_high"]  # its nearer edge
    # all of yesterday's volume above the price that comes back: nothing lies ahead of a short
    high_up = {"09:30": PRICE + 200, "09:31": PRICE + 90, "15:59": PRICE}
    above = minutes(high_up, YESTERDAY, volume=100)
    above = replace(above, volume=np.where(above.close == PRICE + 200, 10_000, 0))
    swept = {"10:00": PRICE + 250, "10:01": PRICE + 15}
    (found,) = signals(NAME, market(swept, above), replace(FADE, target=Target.POC, stop_max_atr=Decimal(50)))
    assert found.figures["poc"] > PRICE + 15
    assert found.short.target_ticks == 2 * found.short.stop_ticks


def test_the_stop_of_a_breakout_may_lie_behind_a_low_volume_node():
    # yesterday traded at 80,000 and, 100 higher, for an hour; nothing but two minutes between: the valley. Entry 80,114
    busy = {"11:00": PRICE + 50, "11:01": PRICE + 100, "12:01": PRICE + 50, "12:02": PRICE}
    (plain,) = signals(NAME, market(UP, busy), Parameters())
    (behind,) = signals(NAME, market(UP, busy), Parameters(stop_at_node=True))
    assert plain.long.stop_ticks == 42
    assert 42 < behind.long.stop_ticks <= 113  # 4 x 28.14
    assert 80_010 < 80_114 - behind.long.stop_ticks + 2 < 80_090


@pytest.mark.parametrize(("closed", "expected"), [(PRICE + 60, 1), (PRICE - 60, 0)])
def test_the_profile_filter_wants_yesterdays_close_on_the_breakouts_side(closed, expected):
    # the busiest price is 80,000
    day = YESTERDAYS | {"15:50": closed, "16:00": PRICE}
    params = Parameters(filter_profile=True)
    assert len(signals(NAME, market(UP, day), params)) == expected
    if not expected:
        assert reasons(NAME, market(UP, day), params)[1:] == [
            "yesterday closed on the other side of its busiest price (filter_profile)"
        ]


def test_the_profile_filter_fades_only_a_thin_extreme():
    params = replace(FADE, filter_profile=True)
    thin = {"11:00": PRICE + 100, "11:05": PRICE}
    assert len(signals(NAME, market(SWEPT, thin), params)) == 1
    thick = {"11:00": PRICE + 100}  # for five hours
    assert reasons(NAME, market(SWEPT, thick), params)[1:] == [
        "yesterday's extreme is not thin: much traded there (filter_profile)"
    ]


def test_the_delta_filter_follows_the_trades_where_they_are_known():
    base = market(UP, YESTERDAYS)
    bought, sold = np.full(len(base), 5), np.full(len(base), -5)
    params = Parameters(filter_delta=True)
    (found,) = signals(NAME, base, params, delta=bought)
    assert found.measures["delta_from_trades"] == 1
    assert found.measures["delta"] == 5 * 965  # minutes from 18:00 to 10:05
    assert found.reason.endswith("(delta of the trades)")
    assert signals(NAME, base, params, delta=sold) == []
    assert reasons(NAME, base, params, delta=sold)[1:] == [
        "the cumulative delta does not confirm it (delta of the trades)"
    ]


def test_one_minute_without_its_trades_makes_the_delta_of_the_day_an_approximation():
    base = market(UP, YESTERDAYS)
    bought = np.full(len(base), 5)
    bought[-1380 + 300] = UNKNOWN  # 23:00
    (found,) = signals(NAME, base, Parameters(filter_delta=True), delta=bought)
    assert found.measures["delta_from_trades"] == 0
    assert found.measures["delta"] == pytest.approx(100 * 114 / 134, abs=1e-6)
    assert found.reason.endswith("(delta approximated from the bars)")
    bought[-1380 + 300], bought[: -1380 + 1] = 5, UNKNOWN  # what lies before 18:00, and from 18:01 on
    assert signals(NAME, base, Parameters(filter_delta=True), delta=bought)[0].measures["delta_from_trades"] == 0
    bought[-1380] = 5
    assert signals(NAME, base, Parameters(filter_delta=True), delta=bought)[0].measures["delta_from_trades"] == 1


def test_a_fade_looks_at_the_change_of_the_delta_alone():
    base, params = market(SWEPT, YESTERDAYS), replace(FADE, filter_delta=True)
    sold = np.full(len(base), -5)
    sold[-1380 : -1380 + 900] = UNKNOWN  # from 18:00 to 09:00
    (found,) = signals(NAME, base, params, delta=sold)
    assert found.reason.endswith("(delta of the trades)")
    assert (found.measures["delta_change"], found.measures["delta_from_trades"]) == (-5 * 5 * 6, 1)
    assert "delta" not in found.measures  # nobody saw all of the session's
    sold[-1380 + 950] = UNKNOWN  # 09:50, within the 30 minutes
    assert reasons(NAME, base, params, delta=sold)[1:] == [
        "the cumulative delta does not confirm it (delta approximated from the bars)"
    ]


def test_without_trades_the_delta_is_approximated_and_says_so():
    # only the minute of the jump closes off its middle: (2 x 114 - 124 + 10) / 134 = 0.85 of its 100 contracts
    (found,) = signals(NAME, market(UP, YESTERDAYS), Parameters(filter_delta=True))
    assert found.reason.endswith("(delta approximated from the bars)")
    assert found.measures["delta"] == pytest.approx(100 * 114 / 134, abs=1e-6)
    # a sweep that came back at once has bought and sold: 150/170 up, then 50/70 down
    (faded,) = signals(NAME, market(SWEPT, YESTERDAYS), replace(FADE, filter_delta=True)) or (None,)
    assert faded is None
    told = reasons(NAME, market(SWEPT, YESTERDAYS), replace(FADE, filter_delta=True))[1:]
    assert told == ["the cumulative delta does not confirm it (delta approximated from the bars)"]


@pytest.mark.parametrize("mode", Mode)
def test_the_adx_filter_parts_breakouts_from_fades(mode):
    jumps = UP if mode is Mode.BREAKOUT else SWEPT
    lenient = Parameters(mode=mode, filter_adx=True, adx_level=1 if mode is Mode.BREAKOUT else 99)
    (found,) = signals(NAME, market(jumps, YESTERDAYS), lenient)
    value = found.measures["adx"]
    assert 1 < value < 98
    below, above = (replace(lenient, adx_level=int(value) + more) for more in (0, 1))
    takes, refuses = (below, above) if mode is Mode.BREAKOUT else (above, below)
    assert len(signals(NAME, market(jumps, YESTERDAYS), takes)) == 1
    word = "below" if mode is Mode.BREAKOUT else "not below"
    told = [f"the ADX is {word} {refuses.adx_level} (filter_adx)"]
    assert reasons(NAME, market(jumps, YESTERDAYS), refuses)[1:] == told


def test_a_level_that_was_swept_is_no_breakout():
    jumps = SWEPT | {"11:00": PRICE, "12:00": PRICE + 160}
    assert len(signals(NAME, market(jumps, YESTERDAYS), Parameters())) == 1
    params = Parameters(avoid_swept=True)
    assert reasons(NAME, market(jumps, YESTERDAYS), params)[1:] == ["the level was swept before today (avoid_swept)"]
    assert len(signals(NAME, market({"12:00": PRICE - 160}, YESTERDAYS), params)) == 1


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (Parameters(filter_profile=True), "no volume of yesterday is known, which its profile is made of"),
        (Parameters(stop_at_node=True), "no volume of yesterday is known, which its profile is made of"),
        (replace(FADE, target=Target.POC), "no volume of yesterday is known, which its profile is made of"),
    ],
)
def test_without_volume_there_is_no_profile(params, reason):
    assert reasons(NAME, market(UP, YESTERDAYS, volume=0), params) == [reason]
    assert len(signals(NAME, market(UP, YESTERDAYS, volume=0), Parameters())) == 1  # nobody asks for it


def test_without_volume_there_is_no_delta():
    assert reasons(NAME, market(UP, YESTERDAYS, volume=0), Parameters(filter_delta=True))[1:] == [
        "no volume of this session is known, which the delta is made of (filter_delta)"
    ]


def test_a_yesterday_that_is_not_known_is_told():
    told = ["yesterday's regular hours have fewer than 180 minutes"]
    short = minutes(YESTERDAYS, YESTERDAY, drop=("09:30", "13:01"))
    assert reasons(NAME, market(UP, short), Parameters()) == told
    assert len(signals(NAME, market(UP, short), Parameters(min_rth_minutes=179))) == 1
    week_old = joined(*(market(UP, sessions=9)[: 2 * 1380], market(UP, sessions=1)))  # 9, 12 and 21 October
    assert reasons(NAME, week_old, replace(Parameters(), atr_period=5)) == told


@pytest.mark.parametrize(
    ("values", "name"),
    [({"stop_atr": "5"}, "stop_atr"), ({"target": "poc"}, "target"), ({"min_rth_minutes": "391"}, "min_rth_minutes")],
)
def test_values_that_cannot_work_are_refused(values, name):
    with pytest.raises(ParameterError) as raised:
        parse(Parameters, values)
    assert list(raised.value.errors) == [name]
