from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars import Bar, Bars, Timeframe, epoch, join, merge, moment, pack, resample, trade_dates, unpack
from market.sessions import regular_session
from tests.market.generated import minute_bars

OPEN = epoch(regular_session(date(2026, 10, 5)).opens_at)


@st.composite
def some_bars(draw, first=0, last=60):
    minutes = draw(st.lists(st.integers(first, last), unique=True, max_size=30))
    prices = st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 4).map(sorted)
    deltas = draw(st.sampled_from((st.none(), st.none() | st.integers(1 - 2**31, 2**31 - 1))))
    rows = []
    for minute in minutes:
        low, one, other, high = draw(prices)
        volume = draw(st.integers(0, 2**32 - 1) | st.just(7))
        rows.append(Bar(OPEN + 60 * minute, one, high, low, other, volume, delta=draw(deltas)))
    return Bars.of(rows)


def rows(bars: Bars) -> list[Bar]:
    return list(bars)


def minute(number: int, close: int, *, volume: int = 1) -> Bar:
    return Bar(OPEN + 60 * number, close, close + 1, close - 1, close, volume)


@given(some_bars())
def test_packed_bars_come_back_as_they_were(bars):
    assert rows(unpack(pack(bars))) == rows(bars)
    width = 24 if all(bar.delta is None for bar in bars) else 28
    assert len(pack(bars)) == 16 + width * len(bars)


def test_packed_bars_are_little_endian_and_carry_a_version():
    packed = pack(Bars.of([Bar(OPEN, 5, 9, -1, 6, 7)]))
    assert packed[:8] == b"TB\x01\x00\x01\x00\x00\x00"
    assert packed[8:16] == OPEN.to_bytes(8, "little")
    assert packed[16:] == b"".join(number.to_bytes(4, "little", signed=True) for number in (0, 5, 9, -1, 6, 7))


def test_packed_bars_with_a_delta_are_of_the_second_version():
    packed = pack(Bars.of([Bar(OPEN, 5, 9, -1, 6, 7, delta=-3), Bar(OPEN + 60, 6, 6, 6, 6, 1)]))
    assert packed[:8] == b"TB\x02\x00\x02\x00\x00\x00"
    assert packed[-8:] == (-3).to_bytes(4, "little", signed=True) + (-(2**31)).to_bytes(4, "little", signed=True)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"TB",
        b"XX" + pack(Bars.empty())[2:],
        pack(Bars.empty()) + b"\0",
        pack(Bars.empty())[:2] + b"\3" + b"\0" * 13,
    ],
)
def test_other_bytes_are_not_taken_for_bars(stored):
    with pytest.raises(ValueError, match="not packed bars"):
        unpack(stored)


def test_numbers_that_do_not_fit_are_refused_instead_of_wrapped():
    with pytest.raises(ValueError, match="32 bits"):
        pack(Bars.of([Bar(OPEN, 2**31, 2**31, 2**31, 2**31)]))
    with pytest.raises(ValueError, match="32 bits"):
        pack(Bars.of([Bar(OPEN, 1, 1, 1, 1, 2**32)]))


@given(some_bars(), some_bars())
def test_merging_keeps_every_minute_once_and_the_new_bar_wins(old, new):
    expected = {bar.opened_at: bar for bar in old} | {bar.opened_at: bar for bar in new}
    for bar in old:
        mine = expected[bar.opened_at]
        if mine.delta is None and mine.volume == bar.volume:
            expected[bar.opened_at] = replace(mine, delta=bar.delta)
    assert rows(merge(old, new)) == [expected[at] for at in sorted(expected)]


@given(some_bars(), some_bars())
def test_merging_twice_changes_nothing(old, new):
    once = merge(old, new)
    assert rows(merge(once, new)) == rows(once)


def test_a_delta_outlives_a_bar_without_one_as_long_as_the_volume_is_the_same():
    old = Bars.of([replace(minute(number, 5, volume=10), delta=4) for number in range(3)])
    new = Bars.of([minute(0, 6, volume=10), minute(1, 5, volume=11), minute(3, 5, volume=10)])
    found = [(bar.close, bar.delta) for bar in merge(old, new)]
    assert found == [(6, 4), (5, None), (5, 4), (5, None)]


def test_joined_bars_keep_the_deltas_that_some_have():
    told, silent = Bars.of([replace(minute(0, 5), delta=0)]), Bars.of([minute(1, 5)])
    assert [bar.delta for bar in join([told, silent])] == [0, None]
    assert join([silent[:0], silent]).delta is None
    assert [bar.delta for bar in join([told, silent])[:1]] == [0]


def test_bars_are_sorted_and_unique():
    assert [bar.opened_at for bar in Bars.of([minute(1, 5), minute(0, 5)])] == [OPEN, OPEN + 60]
    with pytest.raises(ValueError, match="same time"):
        Bars.of([minute(0, 5), minute(0, 6)])


def test_a_bar_whose_close_lies_outside_of_its_range_is_refused():
    with pytest.raises(ValueError, match="not a bar"):
        Bar(0, 5, 6, 4, 7)


def test_between_takes_the_start_and_leaves_the_end():
    bars = Bars.of([minute(number, 5) for number in range(5)])
    assert rows(bars.between(moment(OPEN + 60), moment(OPEN + 180))) == [minute(1, 5), minute(2, 5)]


def test_times_need_a_zone():
    assert moment(epoch(datetime(2026, 10, 5, tzinfo=UTC))) == datetime(2026, 10, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="no time zone"):
        epoch(datetime(2026, 10, 5))


def test_days_weeks_and_months_have_no_fixed_length():
    assert Timeframe.H4.seconds == 14_400
    with pytest.raises(ValueError, match="follow sessions"):
        _ = Timeframe.D1.seconds


def opens(bars: Bars) -> np.ndarray:
    return np.full(len(bars), OPEN)


def test_five_minutes_are_made_of_their_minutes():
    bars = Bars.of([minute(number, 100 + number) for number in range(11)])
    longer, closes = resample(bars, Timeframe.M5, opens(bars))
    assert rows(longer) == [Bar(OPEN, 100, 105, 99, 104, 5), Bar(OPEN + 300, 105, 110, 104, 109, 5)]
    assert closes.tolist() == [OPEN + 300, OPEN + 600]  # the eleventh minute's bar is still open


def test_a_bar_is_closed_when_its_last_minute_is():
    bars = Bars.of([minute(number, 100) for number in range(5)])
    assert len(resample(bars, Timeframe.M5, opens(bars))[0]) == 1
    assert len(resample(bars[:4], Timeframe.M5, opens(bars[:4]))[0]) == 0


def test_minutes_without_a_bar_leave_the_clock_alone():
    bars = Bars.of([minute(number, 100) for number in (0, 3, 7, 12)])
    longer, closes = resample(bars, Timeframe.M5, opens(bars))
    assert longer.opened_at.tolist() == [OPEN, OPEN + 300]
    assert closes.tolist() == [OPEN + 300, OPEN + 600]


def test_a_first_bar_that_may_have_begun_earlier_is_left_out():
    bars = Bars.of([minute(number, 100) for number in range(2, 10)])
    assert resample(bars, Timeframe.M5, opens(bars))[0].opened_at.tolist() == [OPEN + 300]


def test_four_hours_are_counted_from_the_open_and_end_with_the_session():
    sessions = [regular_session(date(2026, 10, day)) for day in (5, 6)]
    bars = minute_bars(sessions, seed=1)
    session_open = np.repeat([epoch(session.opens_at) for session in sessions], 1380)
    longer, _ = resample(bars, Timeframe.H4, session_open)
    starts = [(at - OPEN) / 3600 for at in longer.opened_at.tolist()]
    assert starts == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40]  # the last, of three hours, would end in the break
    assert longer.volume.sum() == bars.volume[: 1380 + 1200].sum()


def test_days_are_sessions():
    sessions = [regular_session(date(2026, 10, day)) for day in (2, 5, 6)]
    bars = minute_bars(sessions, seed=2)
    session_open = np.repeat([epoch(session.opens_at) for session in sessions], 1380)
    daily, closes = resample(bars[:-1], Timeframe.D1, session_open[:-1])
    assert daily.opened_at.tolist() == [epoch(session.opens_at) for session in sessions[:2]]  # the third is not over
    assert closes.tolist() == [epoch(session.closes_at) for session in sessions[:2]]
    assert daily.high.tolist() == [bars.high[:1380].max(), bars.high[1380:2760].max()]
    assert daily.close.tolist() == [bars.close[1379], bars.close[2759]]


def test_weeks_and_months_are_made_of_days():
    days = [date(2026, 9, 30), *(date(2026, 10, day) for day in range(1, 31)), *(date(2026, 11, day) for day in (2, 3))]
    sessions = [regular_session(day) for day in days if day.weekday() < 5]
    daily = Bars.of([Bar(epoch(s.opens_at), n, n + 2, n - 2, n + 1, 10) for n, s in enumerate(sessions)])
    weeks, closes = resample(daily, Timeframe.W1, daily.opened_at, source=Timeframe.D1)
    assert [moment(at).date() for at in weeks.opened_at.tolist()] == [date(2026, 10, day) for day in (4, 11, 18, 25)]
    assert [moment(at).date() for at in closes.tolist()] == [date(2026, 10, day) for day in (9, 16, 23, 30)]
    assert weeks.volume.tolist() == [50] * 4
    months, closes = resample(daily, Timeframe.MN1, daily.opened_at, source=Timeframe.D1)
    assert [(moment(at).date(), moment(end).date()) for at, end in zip(months.opened_at, closes, strict=True)] == [
        (date(2026, 9, 30), date(2026, 10, 30))  # 1 October opens on the evening of 30 September
    ]
    assert rows(months) == [Bar(epoch(sessions[1].opens_at), 1, 24, -1, 23, 220)]


@pytest.mark.parametrize("day", [date(2026, 3, 9), date(2026, 7, 1), date(2026, 11, 2), date(2026, 12, 31)])
def test_trade_dates_hold_in_summer_and_winter(day):
    session_open = np.array([epoch(regular_session(day).opens_at)])
    assert trade_dates(session_open).astype("datetime64[D]").tolist() == [day]


@given(st.integers(0, 2**32), st.sampled_from([Timeframe.M2, Timeframe.M5, Timeframe.M30, Timeframe.H1, Timeframe.H4]))
def test_longer_bars_do_not_depend_on_where_the_minutes_begin_or_end(seed, timeframe):
    sessions = [regular_session(date(2026, 10, day)) for day in (5, 6)]
    bars = minute_bars(sessions, seed, missing=0.2)
    session_open = np.where(bars.opened_at < epoch(sessions[1].opens_at), OPEN, epoch(sessions[1].opens_at))
    every, closes = resample(bars, timeframe, session_open)
    known = dict(zip(closes.tolist(), every, strict=True))
    first, last = sorted(np.random.default_rng(seed).integers(0, len(bars), 2).tolist())
    part, part_closes = resample(bars[first:last], timeframe, session_open[first:last])
    assert all(known[at] == bar for at, bar in zip(part_closes.tolist(), part, strict=True))


def test_no_bars_make_no_bars():
    longer, closes = resample(Bars.empty(), Timeframe.M5, np.empty(0, np.int64))
    assert (len(longer), len(closes)) == (0, 0)
