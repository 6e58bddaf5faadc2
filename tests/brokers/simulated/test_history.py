"""Bars of every unit against the same aggregation done naively, minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from brokers.simulated import hours
from brokers.simulated.generator import GeneratedMarket
from brokers.simulated.history import History, Unit
from brokers.simulated.products import listed
from market.bars import Bar, epoch
from tests.brokers.simulated.stage import START, HandMarket

MARKET = GeneratedMarket(7)
HISTORY = History(MARKET)
MONTH = listed("CON.F.US.MNQ.Z26")
NOW = datetime(2026, 11, 18, 14, 32, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def merged(bars: list[Bar], opened_at: int) -> Bar:
    return Bar(
        opened_at,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )


def minutes(start: datetime, end: datetime) -> list[Bar]:
    found = [bar for session in hours.sessions(start, end) for bar in MARKET.minutes(MONTH, session)]
    return [bar for bar in found if epoch(start) <= bar.opened_at and bar.opened_at + 60 <= epoch(end)]


@pytest.mark.parametrize("length", [60, 120, 300, 900, 3600, 14400])
def test_intraday_bars_are_clock_aligned_and_closed(length):
    start = NOW - timedelta(days=6)
    groups: dict[int, list[Bar]] = {}
    for bar in minutes(datetime.fromtimestamp(epoch(start) // length * length, UTC), NOW):
        groups.setdefault(bar.opened_at // length * length, []).append(bar)
    expected = [merged(g, t) for t, g in groups.items() if t >= epoch(start) and t + length <= epoch(NOW)]
    unit, number = (Unit.HOUR, length // 3600) if length >= 3600 else (Unit.MINUTE, length // 60)
    assert list(HISTORY.bars(MONTH, unit, number, start, NOW, now=NOW)) == expected


def test_the_newest_bars_win_when_there_are_more_than_the_limit():
    for unit, number in ((Unit.SECOND, 15), (Unit.MINUTE, 1), (Unit.HOUR, 4), (Unit.DAY, 1)):
        everything = list(HISTORY.bars(MONTH, unit, number, NOW - timedelta(days=9), NOW, now=NOW))
        newest = list(HISTORY.bars(MONTH, unit, number, NOW - timedelta(days=9), NOW, now=NOW, limit=5))
        assert newest == everything[-5:]


def test_limits_hold_over_long_spans():
    for unit, number in ((Unit.SECOND, 1), (Unit.MINUTE, 1), (Unit.HOUR, 4)):
        assert len(HISTORY.bars(MONTH, unit, number, LONG_AGO, NOW, now=NOW, limit=500)) == 500


def test_nothing_of_the_future_is_shown():
    now = NOW + timedelta(seconds=25)
    later = NOW + timedelta(days=3)
    closed = HISTORY.bars(MONTH, Unit.MINUTE, 1, NOW - timedelta(hours=1), later, now=now)
    forming = HISTORY.bars(MONTH, Unit.MINUTE, 1, NOW - timedelta(hours=1), later, now=now, partial=True)
    assert int(closed.opened_at[-1]) == epoch(NOW) - 60
    assert len(forming) == len(closed) + 1
    seconds = HISTORY.bars(MONTH, Unit.SECOND, 1, NOW, later, now=now)
    assert merged(list(seconds), epoch(NOW)) == list(forming)[-1]
    whole = minutes(NOW, NOW + timedelta(minutes=1))[0]
    assert (forming.open[-1], forming.volume[-1]) == (whole.open, whole.volume * 25 // 60)


def test_seconds_make_up_their_minute():
    seconds = HISTORY.bars(MONTH, Unit.SECOND, 1, NOW - timedelta(minutes=1), NOW - timedelta(seconds=1), now=NOW)
    assert len(seconds) == 60
    assert merged(list(seconds), epoch(NOW) - 60) == minutes(NOW - timedelta(minutes=1), NOW)[0]


def test_a_minute_without_trades_has_no_bar_of_any_length():
    market = HandMarket()
    market.add(START, 20000, 20001, 19999, 20000)
    market.add(START + timedelta(minutes=2), 20000, 20002, 20000, 20002)
    now = START + timedelta(minutes=3)
    history = History(market)
    assert history.bars(MONTH, Unit.MINUTE, 1, START, now, now=now).opened_at.tolist() == [
        epoch(START), epoch(START) + 120,
    ]  # fmt: skip
    assert len(history.bars(MONTH, Unit.SECOND, 30, START, now, now=now)) == 4


def test_days_follow_sessions_and_open_the_evening_before():
    bars = HISTORY.bars(MONTH, Unit.DAY, 1, LONG_AGO, NOW, now=NOW)
    last = hours.session(date(2026, 11, 17))
    assert last is not None
    assert list(bars)[-1] == merged(list(MARKET.minutes(MONTH, last)), epoch(last.opens_at))
    assert len(bars) >= 200
    forming = HISTORY.bars(MONTH, Unit.DAY, 1, LONG_AGO, NOW, now=NOW, partial=True)
    assert list(forming)[-1] == merged(
        minutes(datetime(2026, 11, 17, 23, tzinfo=UTC), NOW), epoch(NOW) // 3600 * 3600 - 15 * 3600
    )


def test_weeks_begin_on_sunday_evening_and_months_with_their_first_session():
    week = list(HISTORY.bars(MONTH, Unit.WEEK, 1, LONG_AGO, NOW, now=NOW))[-1]
    assert week == merged(
        minutes(datetime(2026, 11, 8, 23, tzinfo=UTC), datetime(2026, 11, 13, 22, tzinfo=UTC)),
        epoch(datetime(2026, 11, 8, 23, tzinfo=UTC)),
    )
    month = list(HISTORY.bars(MONTH, Unit.MONTH, 1, LONG_AGO, NOW, now=NOW))[-1]
    assert month == merged(
        minutes(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 30, 21, tzinfo=UTC)),
        epoch(datetime(2026, 9, 30, 22, tzinfo=UTC)),
    )


def test_a_reversed_window_and_a_contract_before_its_time_have_no_bars():
    assert len(HISTORY.bars(MONTH, Unit.MINUTE, 1, NOW, NOW - timedelta(hours=1), now=NOW)) == 0
    assert len(HISTORY.bars(MONTH, Unit.DAY, 1, LONG_AGO, LONG_AGO + timedelta(days=30), now=NOW)) == 0
