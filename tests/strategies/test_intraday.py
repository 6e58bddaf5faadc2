"""What holds for every strategy that decides on closed bars: hours, holes, thin and missing data."""

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from market.bars import Bars, Timeframe, epoch
from market.plans import frames, last_signals, last_silences
from market.sessions import regular_session, session_until
from strategies import STRATEGIES
from strategies.intraday import closed, distance, whole
from strategies.structure import change_over
from tests.market.generated import minute_bars
from tests.strategies.drawn import DAY, MNQ, PRICE, SESSIONS, at, daily, joined, market, minutes, reasons, signals

EACH = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
ON_CLOSED_BARS = pytest.mark.parametrize(
    "strategy",
    [strategy for name, strategy in STRATEGIES.items() if name != "overnight_range"],
    ids=lambda strategy: strategy.name,
)
JUMPS = {"10:00": PRICE + 300, "12:00": PRICE - 300}  # every strategy has something to say to it
RANDOM = minute_bars(SESSIONS, seed=11, missing=0.3)


def planned(strategy, base, sessions=SESSIONS, params=None, days=None):
    params = params or strategy.parameters()
    seen = frames(base, sessions, strategy.timeframes(params), days)
    return strategy.plan(seen, params, MNQ), seen


@EACH
@pytest.mark.parametrize(
    "base",
    [
        Bars.empty(),
        market(JUMPS)[-1380:-1379],
        market(JUMPS)[-1:],
        RANDOM[::97],
        joined(market(JUMPS)[:700], market(JUMPS)[-300:]),
    ],
    ids=["nothing", "one bar", "the last bar", "mostly holes", "a week's hole"],
)
def test_too_little_to_look_at_is_silence_not_an_error(strategy, base):
    plan, seen = planned(strategy, base, days=daily(400))
    assert len(plan) == len(base)
    assert last_signals(plan, seen, 0) == []


@ON_CLOSED_BARS
def test_one_session_says_what_is_missing(strategy):
    plan, seen = planned(strategy, market(JUMPS, sessions=1))
    (told,) = last_silences(plan, seen, 0)
    assert told.reason.startswith("fewer than 4")  # 420 or 450 bars
    assert told.closed_at >= DAY.rth_opens_at


@ON_CLOSED_BARS
def test_a_day_without_a_calendar_row_is_not_traded(strategy):
    assert signals(strategy.name, market(JUMPS), strategy.parameters())
    assert signals(strategy.name, market(JUMPS), strategy.parameters(), calendar=False) == []
    told = reasons(strategy.name, market(JUMPS), strategy.parameters(), calendar=False)
    assert told == ["the calendar has no session that may be traded at this time"]


@EACH
def test_a_plan_of_holes_and_gaps_has_stops_on_the_right_side(strategy):
    plan, seen = planned(strategy, RANDOM, days=daily(400))
    found = last_signals(plan, seen, 0)
    for one in found:
        for side in (one.long, one.short):
            assert side is None or (side.stop_ticks >= 4 and side.expires_at > one.closed_at)
            assert side is None or side.target_ticks == 0 or side.target_ticks >= 4
        assert one.figures


@EACH
def test_volume_that_is_not_known_changes_nothing_unless_it_is_asked_for(strategy):
    silent = replace(RANDOM, volume=np.zeros_like(RANDOM.volume))
    (with_volume, seen), (without, unseen) = (planned(strategy, base, days=daily(400)) for base in (RANDOM, silent))
    entries = [
        [(one.closed_at, one.long, one.short) for one in last_signals(plan, built, 0)]
        for plan, built in ((with_volume, seen), (without, unseen))
    ]
    assert entries[0] == entries[1]


@ON_CLOSED_BARS
@pytest.mark.parametrize("day", [date(2026, 3, 6), date(2026, 3, 9), date(2026, 10, 30), date(2026, 11, 2)])
def test_the_hours_are_new_yorks_in_summer_and_winter(strategy, day):
    days = [day - timedelta(days=back) for back in range(12, -1, -1)]
    sessions = [regular_session(one) for one in days if one.weekday() < 5]
    base = joined(*(minutes({}, session) for session in sessions))
    (told,) = last_silences(*planned(strategy, base, sessions), epoch(sessions[-1].opens_at) - 1)
    opened = time(9, 45) if strategy.name == "orb_rubber_band" else time(9, 30)
    assert told.closed_at == at(opened.isoformat("minutes"), sessions[-1])


@ON_CLOSED_BARS
def test_nothing_is_entered_from_the_flat_time_of_a_short_day_on(strategy):
    until = at("13:00")
    short = session_until(DAY.trade_date, until)  # flat 25 minutes before: 12:35
    base = market({"12:20": PRICE + 300, "12:40": PRICE - 300})
    params = strategy.parameters(max_entries=100)
    plan, seen = planned(strategy, base[base_rows(base, until)], [*SESSIONS[:-1], short], params)
    found = last_signals(plan, seen, epoch(DAY.opens_at) - 1)
    assert [one.closed_at for one in found if one.long or one.short] == [at("12:25")]
    assert all(side.expires_at <= at("12:35") for one in found for side in (one.long, one.short) if side)


def base_rows(base: Bars, until) -> slice:
    return slice(0, int(np.searchsorted(base.opened_at, epoch(until))))


def test_a_bar_whose_last_minute_is_missing_is_decided_at_the_next_one():
    late = market(minutes({"10:00": PRICE - 40}, drop=("10:04", "10:07")))
    (found,) = signals("mean_reversion", late, STRATEGIES["mean_reversion"].parameters())
    assert found.closed_at == at("10:08")  # the bar of 10:05 is not closed yet


def test_a_bar_that_is_older_than_the_next_one_is_passed_over():
    hole = market(minutes({"10:00": PRICE - 40, "10:03": PRICE - 45}, drop=("10:04", "10:09")))
    made = closed(frames(hole, SESSIONS, (Timeframe.M5,)), Timeframe.M5)
    unusable = np.flatnonzero(~made.usable)
    assert [int(made.bars.opened_at[row]) for row in unusable] == [
        epoch(at("10:00"))
    ]  # the bar of 10:05 ends there too
    assert signals("mean_reversion", hole, STRATEGIES["mean_reversion"].parameters()) == []


def test_nothing_is_carried_into_the_next_session():
    made = closed(frames(market({}), SESSIONS, (Timeframe.M5,)), Timeframe.M5)
    column = np.arange(len(made), dtype=np.float64)
    assert np.isnan(made.before(column)[made.begins]).all()
    assert made.total(np.ones(len(made), np.bool_))[made.begins].tolist() == [1] * len(SESSIONS)
    begun = np.zeros(len(made), np.bool_)
    begun[made.begins[-1] - 1] = True
    assert not made.pending(begun, ~begun)[made.begins[-1] :].any()


def test_pending_lasts_from_the_bar_after_to_the_bar_that_ends_it():
    made = closed(frames(market({}), SESSIONS, (Timeframe.M5,)), Timeframe.M5)
    first = made.begins[-1]
    begun, ended = (np.zeros(len(made), np.bool_) for _ in range(2))
    begun[[first, first + 5]], ended[[first + 3, first + 5]] = True, True
    assert made.pending(begun, ended)[first : first + 8].tolist() == [
        *(False, True, True, True),  # ended by the fourth, which still sees it
        *(False, False, True, True),  # begun again by the bar that ended another one
    ]


@pytest.mark.parametrize(("ticks", "expected"), [(20.5, 21), (20.4999999999, 21), (20.49, 20), (np.nan, 0)])
def test_distances_are_rounded_half_up_to_ticks(ticks, expected):
    assert whole(np.array([ticks])).tolist() == [expected]
    assert distance(Decimal("1.0"), np.array([ticks])).tolist() == [expected]


@ON_CLOSED_BARS
def test_its_management_is_what_the_parameters_say(strategy):
    off = strategy.parameters(breakeven_r=Decimal(0), flatten=False)
    plain = strategy.management(off, MNQ)
    assert (plain.breakeven_at(40), plain.partials, plain.hold, plain.flat_at) == (0, (), None, None)
    told = strategy.parameters(
        breakeven_r=Decimal(1), partial_r=Decimal("1.5"), partial_percent=40, hold_minutes=90, late_grace_minutes=3
    )
    managed = strategy.management(told, MNQ)
    assert (managed.breakeven_at(41), managed.partial_at(41), managed.partial_quantities(5)) == (41, (62,), (2,))
    assert (managed.hold, managed.late_grace) == (timedelta(minutes=90), timedelta(minutes=3))
    assert (managed.flat_at, managed.zone, managed.cancel_opposite) == (time(16), "America/New_York", True)


@EACH
def test_its_entries_are_sized_by_risk_where_that_is_asked_for(strategy):
    managed = strategy.management(strategy.parameters(risk_per_trade=Decimal(100)), MNQ)
    assert managed.quantity(9, 40, MNQ) == 5  # $20 a contract
    assert strategy.management(strategy.parameters(), MNQ).quantity(9, 40, MNQ) == 9


@EACH
def test_the_condition_filter_adds_its_frame_and_its_bars(strategy):
    params = strategy.parameters(filter_condition=True, condition_timeframe=Timeframe.M30)
    assert Timeframe.M30 in strategy.timeframes(params)
    assert strategy.warm_up(params)[Timeframe.M30] >= 560
    assert strategy.warm_up(params)[Timeframe.M1] >= 560 * 30
    assert Timeframe.M30 not in strategy.warm_up(strategy.parameters())


def test_a_change_over_more_bars_than_there_are_counts_from_the_session_s_begin():
    base = market({})
    made = closed(frames(base[-15:], SESSIONS, (Timeframe.M5,)), Timeframe.M5)
    column = np.array([2.0, 5.0, 4.0])
    assert len(made) == 3
    assert change_over(made, column, 8).tolist() == [2.0, 5.0, 4.0]
