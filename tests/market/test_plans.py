from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from market.bars import Bars, Timeframe, epoch, moment, resample
from market.plans import Kind, Management, Partial, Plan, PlanSide, Silence, frames, last_signals, last_silences, signal
from market.products import product
from market.sessions import regular_session
from tests.market.generated import minute_bars

SESSIONS = [regular_session(date(2026, 10, day)) for day in (5, 6, 7)]
BARS = minute_bars(SESSIONS, seed=3)
LENGTH = 1380


def a_plan(length: int) -> Plan:
    never = np.zeros(length, np.bool_)
    return Plan(
        long=PlanSide.nothing(length),
        short=PlanSide.nothing(length),
        oco=never.copy(),
        exit_long=never.copy(),
        exit_short=never.copy(),
        trail_ticks=np.zeros(length, np.int64),
        figures={"range_high": np.full(length, np.nan), "atr": np.full(length, np.nan)},
        reasons=np.zeros(length, np.int64),
        reason_texts=("", "no bars"),
    )


def test_every_bar_knows_its_session():
    built = frames(BARS, SESSIONS, ())
    assert built.trade_date.astype("datetime64[D]").tolist()[::LENGTH] == [date(2026, 10, day) for day in (5, 6, 7)]
    for number, session in enumerate(SESSIONS):
        rows = slice(number * LENGTH, (number + 1) * LENGTH)
        assert set(built.session_open[rows].tolist()) == {epoch(session.opens_at)}
        assert set(built.rth_open[rows].tolist()) == {epoch(session.rth_opens_at)}
        assert set(built.flat_by[rows].tolist()) == {epoch(session.rth_opens_at + timedelta(hours=6, minutes=30))}
    assert built.tradeable.all()


def test_bars_of_a_day_without_a_calendar_row_are_not_tradeable():
    built = frames(BARS, [SESSIONS[0], SESSIONS[2]], ())
    assert built.tradeable.reshape(3, LENGTH).all(axis=1).tolist() == [True, False, True]
    assert not built.tradeable.reshape(3, LENGTH)[1].any()
    assert set(built.session_open[LENGTH : 2 * LENGTH].tolist()) == {epoch(SESSIONS[1].opens_at)}


def test_bars_after_an_early_close_are_not_tradeable():
    close = SESSIONS[1].rth_opens_at + timedelta(hours=3, minutes=30)
    built = frames(BARS, [SESSIONS[0], replace(SESSIONS[1], closes_at=close), SESSIONS[2]], ())
    second = slice(LENGTH, 2 * LENGTH)
    assert (built.tradeable[second] == (BARS.opened_at[second] < epoch(close))).all()


def test_bars_in_the_break_and_on_a_weekend_belong_to_the_next_session():
    friday, monday = regular_session(date(2026, 10, 9)), regular_session(date(2026, 10, 12))
    odd = [epoch(friday.closes_at) + 60, epoch(friday.closes_at) + 86_400, epoch(monday.opens_at)]
    base = Bars(np.array(odd), *(np.full(3, 100) for _ in range(5)))
    built = frames(base, [friday, monday], ())
    assert built.tradeable.tolist() == [False, False, True]
    assert set(built.session_open.tolist()) == {epoch(monday.opens_at)}


def test_daily_bars_come_from_the_cache_and_only_closed_ones():
    daily, _ = resample(BARS, Timeframe.D1, frames(BARS, SESSIONS, ()).session_open)
    base = BARS[LENGTH + 500 : LENGTH + 900]
    built = frames(base, SESSIONS, (Timeframe.M5, Timeframe.D1), daily)
    assert built.derived[Timeframe.D1].opened_at.tolist() == [epoch(SESSIONS[0].opens_at)]
    assert built.closes[Timeframe.D1].tolist() == [epoch(SESSIONS[0].closes_at)]
    assert built.closes[Timeframe.M5][-1] <= base.opened_at[-1] + 60


def test_without_a_cache_daily_bars_are_made_of_the_minutes():
    built = frames(BARS, SESSIONS, (Timeframe.D1,))
    assert built.derived[Timeframe.D1].close.tolist() == BARS.close[LENGTH - 1 :: LENGTH].tolist()


def test_seconds_are_not_made_of_minutes():
    with pytest.raises(ValueError, match="15s bars cannot be made of minutes"):
        frames(BARS, SESSIONS, (Timeframe.S15,))


def test_no_bars_make_empty_frames():
    assert len(frames(Bars.empty(), SESSIONS, (Timeframe.M5, Timeframe.D1)).base) == 0


def test_a_row_that_asks_for_nothing_is_no_signal():
    built = frames(BARS[:10], SESSIONS, ())
    assert signal(a_plan(10), built, 3) is None
    assert last_signals(a_plan(10), built, 0) == []


def test_a_signal_carries_what_its_row_says():
    built, plan = frames(BARS[:10], SESSIONS, ()), a_plan(10)
    expiry = SESSIONS[0].rth_opens_at
    for column, value in ((plan.long.kind, Kind.STOP), (plan.long.price, 80_123), (plan.long.stop_ticks, 40)):
        column[3] = value
    plan.long.expires_at[3] = epoch(expiry)
    plan.oco[3] = True
    plan.figures["range_high"][3] = 80_122
    (found,) = last_signals(plan, built, 0)
    assert found.closed_at == moment(BARS.opened_at[4])  # the bar's close is the next one's open
    assert found.long is not None
    assert (found.long.kind, found.long.price, found.long.stop_ticks, found.long.target_ticks) == (2 + 1, 80_123, 40, 0)
    assert (found.long.expires_at, found.short, found.oco) == (expiry, None, True)
    assert found.figures == {"range_high": 80_122.0}  # what is not known is not there


def test_signals_are_those_of_bars_after_the_last_one_evaluated():
    built, plan = frames(BARS[:10], SESSIONS, ()), a_plan(10)
    plan.exit_long[[2, 5, 7]] = True
    seen = last_signals(plan, built, after=int(BARS.opened_at[2]))
    assert [one.closed_at for one in seen] == [moment(BARS.opened_at[row + 1]) for row in (5, 7)]
    assert [(one.exit_long, one.exit_short) for one in seen] == [(True, False)] * 2


def test_silences_say_why():
    built, plan = frames(BARS[:10], SESSIONS, ()), a_plan(10)
    plan.reasons[[1, 4]] = 1
    plan.figures["atr"][4] = 12.5
    assert last_silences(plan, built, after=int(BARS.opened_at[1])) == [
        Silence(moment(BARS.opened_at[5]), "no bars", {"atr": 12.5})
    ]
    assert last_silences(replace(plan, reasons=None), built, after=0) == []


def test_a_row_that_asks_may_say_why_and_is_no_silence():
    built, plan = frames(BARS[:10], SESSIONS, ()), a_plan(10)
    plan.exit_long[3], plan.reasons[3], plan.reasons[4] = True, 1, 1
    plan = replace(plan, measures={"rsi": np.array([np.nan] * 3 + [25.0, 70.0] + [np.nan] * 5)})
    (found,) = last_signals(plan, built, after=0)
    assert (found.reason, found.measures, found.figures, found.adds) == ("no bars", {"rsi": 25.0}, {}, False)
    (told,) = last_silences(plan, built, after=0)
    assert (told.closed_at, told.measures) == (moment(BARS.opened_at[5]), {"rsi": 70.0})


def test_rows_that_add_are_marked():
    built, plan = frames(BARS[:10], SESSIONS, ()), a_plan(10)
    plan.short.kind[[2, 6]] = Kind.MARKET
    adds = np.zeros(10, np.bool_)
    adds[6] = True
    assert [one.adds for one in last_signals(replace(plan, adds=adds), built, after=0)] == [False, True]


def test_management_is_off_unless_it_is_declared():
    plain = Management()
    assert (plain.breakeven_at(40), plain.partial_at(40), plain.hold, plain.max_adds) == (0, (), None, 0)


@pytest.mark.parametrize(
    ("managed", "expected"),
    [
        (Management(breakeven_ticks=60), 60),
        (Management(breakeven_r=Decimal("1.5")), 62),  # 61.5, half up
        (Management(breakeven_ticks=60, breakeven_r=Decimal(2)), 60),
    ],
)
def test_breakeven_is_a_distance_or_a_multiple_of_the_stop(managed, expected):
    assert managed.breakeven_at(41) == expected


@pytest.mark.parametrize(
    ("filled", "expected"),
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (4, (2, 1)), (10, (5, 2))],
)
def test_partial_targets_close_whole_contracts_and_leave_one(filled, expected):
    managed = Management(partials=(Partial(Decimal(1), Decimal("0.5")), Partial(Decimal(2), Decimal("0.25"))))
    assert managed.partial_quantities(filled) == expected
    assert managed.partial_at(41) == (41, 82)


@pytest.mark.parametrize(
    ("risk", "stop_ticks", "expected"),
    [
        ("0", 40, 5),  # fixed
        ("100", 40, 5),  # 40 ticks of $0.50 are $20 a contract
        ("99.99", 40, 4),
        ("19.99", 40, 0),  # not even one fits, and it never rounds up
        ("10000", 40, 5),  # never more than the size
    ],
)
def test_an_entry_risks_no_more_dollars_than_it_is_told(risk, stop_ticks, expected):
    mnq = product("MNQ").contract(2026, 12)
    assert Management(risk=Decimal(risk)).quantity(5, stop_ticks, mnq) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"breakeven_ticks": -1},
        {"breakeven_r": Decimal(-1)},
        {"max_adds": -1},
        {"risk": Decimal(-1)},
        {"hold": timedelta(0)},
        {"partials": (Partial(Decimal(2), Decimal("0.1")), Partial(Decimal(1), Decimal("0.1")))},
        {"partials": (Partial(Decimal(1), Decimal("0.5")), Partial(Decimal(2), Decimal("0.5")))},
    ],
)
def test_management_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match=r"."):
        Management(**wrong)


@pytest.mark.parametrize(("r", "share"), [("0", "0.5"), ("1", "0"), ("1", "1")])
def test_a_partial_target_closes_a_part_at_a_profit(r, share):
    with pytest.raises(ValueError, match="partial target"):
        Partial(Decimal(r), Decimal(share))
