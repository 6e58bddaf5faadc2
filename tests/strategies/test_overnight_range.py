from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from market.bars import Bars, Timeframe, epoch, merge
from market.contracts import Contract
from market.plans import Frames, Kind, Signal, Silence, frames, last_signals, last_silences
from market.products import product
from market.sessions import NEW_YORK, Session, regular_session, session_until
from strategies import overnight_range
from strategies.overnight_range import Edge, LateStart, Parameters, ZoneAnchor, management, plan, timeframes
from strategies.parameters import ParameterError, parse
from tests.market.generated import minute_bars

MNQ = product("MNQ").contract(2026, 12)
D = Decimal
DAY = regular_session(date(2026, 10, 21))
PRICE = 80_000


def sessions_before(day: date, count: int = 15) -> list[Session]:
    days = (day - timedelta(days=back) for back in range(2 * count, 0, -1))
    return [regular_session(one) for one in days if one.weekday() < 5][-count:]


BEFORE = sessions_before(DAY.trade_date)


def still(session: Session = DAY, *, drop: range = range(0), price: int = PRICE, closes: int = PRICE) -> Bars:
    """Return minutes that all open and close at `price` and reach ten ticks up and down: every true range is 20.

    `drop` are minutes since the open without a bar (09:30 is 930); the last close before 09:30 is `closes`.
    """
    minutes = np.array([minute for minute in range(1380) if minute not in drop])
    close = np.full(len(minutes), price)
    before = int(np.searchsorted(minutes, 930)) - 1
    if before >= 0:
        close[before] = closes
    at = epoch(session.opens_at) + 60 * minutes
    return Bars(
        at, np.full_like(close, price), np.full_like(close, price + 10), close.clip(max=price) - 10, close, close * 0
    )


def daily(true_range: int, sessions: list[Session] = BEFORE) -> Bars:
    """Return daily bars whose true range is always `true_range`; they close at 80,000."""
    opened_at = np.array([epoch(session.opens_at) for session in sessions])
    price = np.full(len(sessions), PRICE)
    return Bars(opened_at, price, price + true_range // 2, price - true_range // 2, price, price * 0)


def seen(
    base: Bars, days: Bars, params: Parameters, session: Session | None = DAY
) -> tuple[list[Signal], list[Silence]]:
    built: Frames = frames(base, [session] if session else [], timeframes(params), days)
    made = plan(built, params, MNQ)
    return last_signals(made, built, 0), last_silences(made, built, 0)


def signal_of(base: Bars, days: Bars, params: Parameters | None = None, session: Session = DAY) -> Signal:
    (found,), silences = seen(base, days, params or Parameters(), session)
    assert silences == []
    return found


def reason_of(base: Bars, days: Bars, params: Parameters | None = None, session: Session | None = DAY) -> str:
    signals, (silence,) = seen(base, days, params or Parameters(), session)
    assert signals == []
    return silence.reason


def new_york(session: Session, clock: time) -> datetime:
    return datetime.combine(session.trade_date, clock, ZoneInfo(NEW_YORK)).astimezone(UTC)


def test_both_entries_are_placed_when_the_range_is_complete():
    # range 79,990 to 80,010; ATR 20: stop 2.0 x 20 = 40. Daily ATR 400: zone 0.5 x 200 = 100 to 0.68 x 200 = 136
    found = signal_of(still(), daily(400))
    assert found.closed_at == DAY.rth_opens_at
    assert (found.oco, found.exit_long, found.exit_short, found.trail_ticks) == (True, False, False, 0)
    assert found.long is not None
    assert found.short is not None
    assert (found.long.kind, found.long.price, found.long.stop_ticks) == (Kind.STOP, 80_011, 40)
    assert (found.short.kind, found.short.price, found.short.stop_ticks) == (Kind.STOP, 79_989, 40)
    assert (found.long.target_ticks, found.short.target_ticks) == (136 - 11, 136 - 11)
    assert found.long.expires_at == found.short.expires_at == new_york(DAY, time(15))
    assert found.figures == {
        "range_high": 80_010,
        "range_low": 79_990,
        "atr": 20,
        "daily_atr": 400,
        "anchor": 80_000,
        "zone_above_near": 80_100,
        "zone_above_far": 80_136,
        "zone_below_near": 79_900,
        "zone_below_far": 79_864,
        "gap": 0,
    }


@pytest.mark.parametrize(
    ("true_range", "edge", "expected"),
    [
        (400, Edge.FAR, 136 - 11),
        (400, Edge.NEAR, 100 - 11),
        (40, Edge.FAR, 50),  # zone 10 to 14 above the anchor, entry at 11: it begins before the entry, so 2.5 x ATR
        (20, Edge.FAR, 50),  # zone 5 to 7, inside the range
        (44, Edge.FAR, 50),  # zone 11 to 15 begins at the entry: not beyond it
        (48, Edge.FAR, 16 - 11),  # zone 12 to 16 begins one tick beyond it
        (48, Edge.NEAR, 4),  # one tick is less than the venue takes
    ],
)
def test_the_target_is_the_zone_only_if_all_of_it_lies_beyond_the_entry(true_range, edge, expected):
    found = signal_of(still(), daily(true_range), Parameters(target_edge=edge))
    assert (found.long.target_ticks, found.short.target_ticks) == (expected, expected)


def test_each_side_has_its_own_target():
    # anchored at the last price before 09:30, 79,930, which also is the low side of the range: 79,920 to 80,010
    found = signal_of(still(closes=PRICE - 70), daily(400), Parameters(zone_anchor=ZoneAnchor.RTH_OPEN))
    assert found.figures["anchor"] == 79_930
    assert found.long.target_ticks == 80_066 - 80_011  # zone 80,030 to 80,066
    assert found.short.target_ticks == 79_919 - 79_794  # zone 79,830 to 79,794
    assert signal_of(still(closes=PRICE - 70), daily(400)).figures["anchor"] == PRICE


def test_entries_lie_outside_of_the_range_by_the_offset():
    found = signal_of(still(), daily(400), Parameters(entry_offset_ticks=5))
    assert (found.long.price, found.short.price) == (80_015, 79_985)


def test_a_stop_is_never_nearer_than_the_venue_takes():
    assert signal_of(still(), daily(400), Parameters(stop_atr=D("0.1"))).long.stop_ticks == 4  # 0.1 x 20 = 2


def test_distances_are_rounded_half_up():
    found = signal_of(still(), daily(20), Parameters(stop_atr=D("2.025"), target_atr=D("2.524")))
    assert (found.long.stop_ticks, found.long.target_ticks) == (41, 50)  # 40.5 and 50.48


def test_without_cancel_opposite_the_entries_are_no_pair():
    assert signal_of(still(), daily(400), Parameters(cancel_opposite=False)).oco is False


def test_a_missing_last_minute_moves_the_placing_to_the_next_bar_but_not_the_range():
    base = still(drop=range(929, 930))
    base.high[929] = PRICE + 10  # of 09:30
    found = signal_of(base, daily(400))
    assert found.closed_at == DAY.rth_opens_at + timedelta(minutes=1)
    assert (found.long.price, found.short.price) == (80_011, 79_989)


def test_a_bar_of_the_regular_hours_never_belongs_to_the_range():
    base = still()
    base.high[930:], base.low[930:] = PRICE + 500, PRICE - 500
    assert (signal_of(base, daily(400)).long.price, signal_of(base, daily(400)).short.price) == (80_011, 79_989)


def test_a_late_first_bar_is_skipped_or_traded_as_the_policy_says():
    base = still(drop=range(929, 944))  # the first bar after 09:30 closes at 09:45
    reason = "the first bar after 09:30 closed 15 minutes late, late_grace_minutes is 5"
    assert reason_of(base, daily(400)) == reason
    assert signal_of(base, daily(400), Parameters(late_grace_minutes=15)).closed_at == new_york(DAY, time(9, 45))
    assert signal_of(base, daily(400), Parameters(late_start=LateStart.TRADE)).long.price == 80_011


@pytest.mark.parametrize(("column", "price"), [("high", PRICE + 11), ("low", PRICE - 11)])
def test_a_range_that_is_broken_before_it_can_be_traded_is_left_alone(column, price):
    base = still(drop=range(929, 931))  # the bar that closes at 09:32
    getattr(base, column)[929] = price
    assert reason_of(base, daily(400)) == "the range was already broken when the first bar after 09:30 closed"


def test_nothing_is_placed_after_the_cutoff():
    base = still(drop=range(929, 1265))  # until 15:05
    params = Parameters(late_start=LateStart.TRADE)
    assert reason_of(base, daily(400), params) == (
        "the entries end at 15:00 New York, the first bar after 09:30 closed no earlier"
    )


def test_a_range_with_too_many_missing_minutes_is_not_traded():
    assert signal_of(still(drop=range(100, 115)), daily(400)).long.price == 80_011
    assert reason_of(still(drop=range(100, 116)), daily(400)) == (
        "16 minutes of the overnight range have no bar, max_missing_minutes is 15"
    )


def test_a_system_that_was_started_after_0930_without_the_night_does_not_trade():
    base = still(drop=range(935))
    assert reason_of(base, daily(400), Parameters(late_grace_minutes=330)) == (
        "930 minutes of the overnight range have no bar, max_missing_minutes is 15"
    )


def test_a_night_without_bars_is_told_also_after_a_day_with_them():
    next_day = regular_session(date(2026, 10, 22))
    base = merge(still(), still(next_day, drop=range(932)))
    built = frames(base, [DAY, next_day], timeframes(Parameters()), daily(400))
    made = plan(built, Parameters(), MNQ)
    assert [one.closed_at for one in last_signals(made, built, 0)] == [DAY.rth_opens_at]
    assert [one.reason for one in last_silences(made, built, 0)] == [
        "930 minutes of the overnight range have no bar, max_missing_minutes is 15"
    ]


def test_too_few_bars_for_an_average_are_told():
    assert reason_of(still(), daily(400, BEFORE[1:])) == "the ATR needs 15 closed 1d bars, there are 14"
    params = Parameters(atr_timeframe=Timeframe.H1, atr_period=20)
    assert reason_of(still(), daily(400), params) == "the ATR needs 21 closed 1h bars, there are 15"


def test_todays_daily_bar_does_not_count():
    assert reason_of(still(), daily(400, [*BEFORE[1:], DAY])) == "the ATR needs 15 closed 1d bars, there are 14"


def test_a_day_without_a_calendar_row_is_not_traded():
    assert reason_of(still(), daily(400), session=None) == "the calendar has no session that may be traded at this time"


def test_good_friday_ends_before_there_is_anything_to_decide():
    good_friday = session_until(date(2026, 4, 3), datetime(2026, 4, 3, 13, 15, tzinfo=UTC))
    base = still(good_friday)[:915]  # to 09:15
    assert seen(base, daily(400, sessions_before(good_friday.trade_date)), Parameters(), good_friday) == ([], [])


def test_an_early_close_ends_the_entries_when_the_position_would_have_to_be_closed():
    early = session_until(DAY.trade_date, new_york(DAY, time(13)))
    assert signal_of(still()[:1140], daily(400), session=early).long.expires_at == new_york(DAY, time(12, 35))


def test_the_cutoff_is_told_in_the_zone_of_the_parameters():
    params = Parameters(entry_cutoff=time(11), flat_at=time(15), time_zone="America/Chicago")
    assert signal_of(still(), daily(400), params).long.expires_at == new_york(DAY, time(12))


def test_entries_end_when_the_strategy_is_flat():
    assert signal_of(still(), daily(400), Parameters(flat_at=time(14))).long.expires_at == new_york(DAY, time(14))
    params = Parameters(flat_at=time(14), flatten=False)
    assert signal_of(still(), daily(400), params).long.expires_at == new_york(DAY, time(15))


@pytest.mark.parametrize(
    ("values", "expected"),
    [  # the range is 5.75 points, the daily ATR 100, the gap -0.75; all filters are off by default
        ({"range_min_points": "400", "gap_max_points": "0", "daily_atr_min_points": "400"}, None),
        ({"filter_range_size": "yes"}, "the range is 5.75 points, not 40 to 500"),
        (
            {"filter_range_size": "yes", "range_min_points": "1", "range_max_points": "5.5"},
            "the range is 5.75 points, not 1 to 5.5",
        ),
        ({"filter_range_size": "yes", "range_min_points": "5.75"}, None),
        ({"filter_gap": "yes", "gap_max_points": "0.5"}, "the gap is 0.75 points, above 0.5"),
        ({"filter_gap": "yes", "gap_max_points": "0.75"}, None),
        ({"filter_volatility": "yes", "daily_atr_min_points": "101"}, "the daily ATR is 100.00 points, not 101 to 800"),
        ({"filter_volatility": "yes", "daily_atr_max_points": "100"}, None),
    ],
)
def test_filters(values, expected):
    base, params = still(closes=PRICE - 3), parse(Parameters, values)
    if expected is None:
        assert signal_of(base, daily(400), params).long.price == 80_011
    else:
        assert reason_of(base, daily(400), params) == expected


def test_a_filtered_day_still_shows_its_figures():
    _, (silence,) = seen(still(), daily(400), Parameters(filter_range_size=True))
    assert (silence.closed_at, silence.figures["range_high"]) == (DAY.rth_opens_at, 80_010)


@pytest.mark.parametrize(
    ("day", "utc"),
    [(date(2026, 3, 6), time(14, 30)), (date(2026, 3, 9), time(13, 30)), (date(2026, 11, 2), time(14, 30))],
)
def test_the_capture_is_at_0930_new_york_in_summer_and_winter(day, utc):
    session = regular_session(day)
    found = signal_of(still(session), daily(400, sessions_before(day)), session=session)
    assert found.closed_at == datetime.combine(day, utc, UTC)


def test_management_is_declared():
    declared = management(Parameters(), MNQ)
    assert (declared.breakeven_ticks, declared.breakeven_offset_ticks) == (60, 0)  # 15 points to the entry
    assert (declared.cancel_opposite, declared.flat_at, declared.zone) == (True, time(16), NEW_YORK)
    assert declared.late_grace == timedelta(minutes=5)
    off = management(Parameters(breakeven=False, flatten=False, late_start=LateStart.TRADE), MNQ)
    assert (off.breakeven_ticks, off.flat_at, off.late_grace) == (0, None, None)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"range_min_points": "300", "range_max_points": "200"}, "range_min_points"),
        ({"daily_atr_min_points": "900"}, "daily_atr_min_points"),
        ({"zone_near": "0.7"}, "zone_near"),
        ({"entry_cutoff": "09:30"}, "entry_cutoff"),
        ({"entry_cutoff": "18:00"}, "entry_cutoff"),
        ({"flat_at": "17:30"}, "flat_at"),
        ({"entry_cutoff": "15:00", "flat_at": "16:30", "time_zone": "America/Chicago"}, "flat_at"),
        ({"symbol": "mnq"}, "symbol"),
        ({"size": "0"}, "size"),
    ],
)
def test_values_that_cannot_work_are_refused(values, name):
    with pytest.raises(ParameterError) as raised:
        parse(Parameters, values)
    assert list(raised.value.errors) == [name]


def wilder(bars: pd.DataFrame, period: int = 14) -> float:
    before = bars.close.shift()
    true_range = pd.concat([bars.high - bars.low, (bars.high - before).abs(), (bars.low - before).abs()], axis=1)
    ranges = true_range.max(axis=1).iloc[1:].tolist()
    average = sum(ranges[:period]) / period
    for one in ranges[period:]:
        average = (average * (period - 1) + one) / period
    return average


@pytest.mark.parametrize("seed", range(5))
def test_the_plan_equals_an_independent_calculation_in_points(seed):
    """pandas on prices in points and local times, over all bars there are, against the plan's columns in ticks."""
    sessions = [
        regular_session(date(2026, 10, 5) + timedelta(days=7 * week + day)) for week in range(5) for day in range(5)
    ]
    base = minute_bars(sessions, seed, missing=0.002)
    params = Parameters()
    built = frames(base, sessions, timeframes(params))
    signals = last_signals(plan(built, params, MNQ), built, 0)
    assert [one.closed_at for one in signals] == [session.rth_opens_at for session in sessions[15:]]

    table = pd.DataFrame({name: getattr(base, name) * 0.25 for name in ("open", "high", "low", "close")})
    table.index = pd.to_datetime(base.opened_at, unit="s", utc=True).tz_convert(NEW_YORK)
    shifted = table.index.tz_localize(None) + pd.Timedelta(hours=6)
    days = shifted.normalize() + pd.to_timedelta(np.where(shifted.day_of_week == 6, 1, 0), unit="D")
    for found in signals:
        at = pd.Timestamp(found.closed_at).tz_convert(NEW_YORK)
        past, today = table[table.index < at], table[(days == at.tz_localize(None).normalize()) & (table.index < at)]
        ohlc = {"open": "first", "high": "max", "low": "min", "close": "last"}
        atr = wilder(past.resample("5min").agg(ohlc).dropna())
        daily_atr = wilder(past.groupby(days[: len(past)]).agg(ohlc).iloc[:-1])
        for side, ours in ((1, found.long), (-1, found.short)):
            entry = (today.high.max() if side == 1 else today.low.min()) + side * 0.25
            near, far = (
                today.open.iloc[0] + side * np.floor(daily_atr / 2 * multiple / 0.25 + 0.5) * 0.25
                for multiple in (0.5, 0.68)
            )
            target = (far - entry) * side if (near - entry) * side > 0 else atr * 2.5
            assert ours.price * 0.25 == entry
            assert ours.stop_ticks == np.floor(atr * 2 / 0.25 + 0.5)
            assert ours.target_ticks == np.floor(target / 0.25 + 0.5)


def test_the_contract_only_sets_the_value_of_a_tick():
    gold = Contract("CON.F.US.MGC.Z26", "MGC", D("0.1"), D(1))
    built = frames(still(), [DAY], timeframes(Parameters()), daily(400))
    assert last_signals(plan(built, Parameters(), gold), built, 0) == last_signals(
        plan(built, Parameters(), MNQ), built, 0
    )
    assert management(Parameters(), gold).breakeven_ticks == 150
    assert overnight_range.warm_up(Parameters())[Timeframe.M1] == 1412


def test_the_condition_filter_keeps_it_out_of_volatile_markets():
    sessions = [*BEFORE[-8:], DAY]
    params = parse(Parameters, {"filter_condition": "yes"})

    def reasons(base: Bars) -> list[str]:
        built = frames(base, sessions, timeframes(params), daily(400))
        made = plan(built, params, MNQ)
        after = epoch(DAY.opens_at) - 1
        return [one.reason for one in last_silences(made, built, after)] or last_signals(made, built, after)

    quiet = Bars(*(np.concatenate(column) for column in zip(*(still(one).columns for one in sessions), strict=True)))
    (found,) = reasons(quiet)
    assert found.long is not None
    wide = np.where((quiet.opened_at >= epoch(DAY.opens_at) + 14 * 3600) & (quiet.opened_at % 900 == 0), 60, 0)
    wild = Bars(quiet.opened_at, quiet.open, quiet.high + wide, quiet.low - wide, quiet.close, quiet.volume)
    assert reasons(wild) == [
        "the market is volatile, entries want it ranging or trending or breakout (filter_condition)"
    ]
    assert overnight_range.warm_up(params)[Timeframe.M15] == 560 + 92
