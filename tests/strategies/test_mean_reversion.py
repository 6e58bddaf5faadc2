from decimal import Decimal

import pytest

from market.bars import Timeframe
from market.plans import Kind
from strategies.indicators import Average
from strategies.mean_reversion import Parameters, management, warm_up
from strategies.parameters import ParameterError, parse
from tests.strategies.drawn import MNQ, PRICE, at, market, reasons, signals

NAME = "mean_reversion"
WAITING = "waiting for an RSI below 30 or above 70 with the close at least 1.5 x ATR away from the average"


def test_a_close_far_below_the_average_is_bought_with_the_average_as_the_target():
    # true range 20 for days, then a bar from 80,010 down to 79,950: ATR (13 x 20 + 60) / 14 = 22.857. Average of 19
    # bars at 80,000 and one at 79,960: 79,998, 38 away, and 1.5 x ATR is 34.3. Nothing ever rose: RSI 0
    (found,) = signals(NAME, market({"10:00": PRICE - 40}), Parameters())
    assert found.closed_at == at("10:05")
    assert found.short is None
    assert (found.long.kind, found.long.stop_ticks, found.long.target_ticks) == (Kind.MARKET, 34, 38)
    assert found.long.expires_at == at("10:07")
    assert found.trail_ticks == 0
    assert found.figures == {"close": 79_960, "average": 79_998, "atr": pytest.approx(320 / 14)}
    assert found.measures == {"rsi": 0}
    assert found.reason == "RSI below its bound and the close stretched away from the average"


def test_a_close_far_above_the_average_is_sold():
    (found,) = signals(NAME, market({"10:00": PRICE + 40}), Parameters(trail_atr=Decimal(2)))
    assert (found.closed_at, found.long, found.measures) == (at("10:05"), None, {"rsi": 100})
    assert (found.short.stop_ticks, found.short.target_ticks, found.trail_ticks) == (34, 38, 46)


def test_the_exponential_average_follows_faster():
    # EMA of 20: 80,000 - 40 x 2/21 = 79,996.19, 36.19 away
    (found,) = signals(NAME, market({"10:00": PRICE - 40}), Parameters(average=Average.EMA))
    assert found.long.target_ticks == 36


@pytest.mark.parametrize(("fall", "expected"), [(36, 0), (37, 1)])
def test_the_least_distance_is_reached_to_the_tick(fall, expected):
    # fall f: true range 20 + f, ATR 20 + f/14, average f/20 below: 0.95 f >= 30 + 1.5 f/14 from f = 35.6 on
    # with f = 36 and 1.52 x ATR: 34.2 < 34.31; with 37: 35.15 >= 34.42
    params = Parameters(distance_atr=Decimal("1.52"))
    assert len(signals(NAME, market({"10:00": PRICE - fall}), params)) == expected


@pytest.mark.parametrize(("low", "expected"), [(12, 0), (13, 1)])
def test_the_rsi_must_be_beyond_its_bound(low, expected):
    # up 10 at 09:40, which Wilder's mean has forgotten to (13/14) ** 4 of it, down 50 at 10:00:
    # RSI 100 x 7.43 / (7.43 + 50) = 12.94
    jumps = {"09:40": PRICE + 10, "10:00": PRICE - 40}
    found = signals(NAME, market(jumps), Parameters(rsi_low=low))
    assert [round(one.measures["rsi"], 2) for one in found] == [12.94] * expected


def test_it_is_one_entry_until_the_price_was_back():
    jumps = {"10:00": PRICE - 40, "10:05": PRICE - 45, "10:15": PRICE, "13:00": PRICE - 60}
    assert [one.closed_at for one in signals(NAME, market(jumps), Parameters())] == [at("10:05"), at("13:05")]


def test_a_session_has_no_more_than_max_entries():
    jumps = {"10:00": PRICE - 40, "13:00": PRICE, "14:30": PRICE - 60}
    assert len(signals(NAME, market(jumps), Parameters())) == 3  # the way back up is stretched as well
    assert len(signals(NAME, market(jumps), Parameters(max_entries=2))) == 2
    assert reasons(NAME, market(jumps), Parameters(max_entries=2)) == [
        WAITING,
        "the session had its 2 entries (max_entries)",
    ]


def test_a_market_that_stands_still_is_never_stretched():
    base = market({})
    flat = type(base)(base.opened_at, base.open, base.open, base.open, base.open, base.volume)  # ATR 0, distance 0
    assert signals(NAME, flat, Parameters()) == []
    assert reasons(NAME, flat, Parameters()) == [WAITING]


def test_the_condition_filter_lets_it_trade_in_a_range_only():
    jumps = {"09:40": PRICE - 60, "09:50": PRICE + 60, "10:50": PRICE - 60}
    entries = [one.closed_at for one in signals(NAME, market(jumps), Parameters())]
    assert entries == [at("09:45"), at("10:55")]
    # bars of 15 minutes that close at 09:45 and 10:00 break out of a quiet week; each counts for three bars, to 10:45
    filtered = Parameters(filter_condition=True)
    assert [one.closed_at for one in signals(NAME, market(jumps), filtered)] == [at("10:55")]
    assert reasons(NAME, market(jumps), filtered) == [
        WAITING,
        "the market is breakout, entries want it ranging (filter_condition)",
    ]


def test_too_few_bars_before_the_session_are_told():
    base = market({"10:00": PRICE - 40}, sessions=2)
    assert signals(NAME, base, Parameters()) == []
    assert reasons(NAME, base, Parameters()) == ["fewer than 420 closed 5m bars are known before this session"]
    assert warm_up(Parameters()) == {Timeframe.M1: (420 + 276 + 1) * 5 + 2, Timeframe.M5: 420 + 276}


def test_management_is_declared():
    plain = management(Parameters(), MNQ)
    assert (plain.breakeven_r, plain.partials, plain.hold, plain.max_adds) == (0, (), None, 0)
    set_up = {"breakeven_r": "1", "partial_r": "1.5", "partial_percent": "40", "hold_minutes": "90", "flatten": "no"}
    managed = management(parse(Parameters, set_up), MNQ)
    assert (managed.breakeven_at(34), managed.partial_at(34), managed.partial_quantities(5)) == (34, (51,), (2,))
    assert (managed.hold.total_seconds(), managed.flat_at) == (5400, None)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"rsi_low": "60"}, "rsi_low"),
        ({"rsi_high": "49"}, "rsi_high"),
        ({"entry_from": "15:00"}, "entry_from"),
        ({"pause_from": "14:00"}, "pause_from"),
        ({"entry_until": "17:30"}, "entry_until"),
        ({"flat_at": "17:30"}, "flat_at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"timeframe": "1m"}, "timeframe"),
    ],
)
def test_values_that_cannot_work_are_refused(values, name):
    with pytest.raises(ParameterError) as raised:
        parse(Parameters, values)
    assert list(raised.value.errors) == [name]
