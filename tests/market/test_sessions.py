from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.sessions import (
    CHICAGO,
    NEW_YORK,
    at_local,
    capture_at,
    firm_limit,
    flat_by,
    regular_session,
    session_until,
    trade_date_of,
    tradeable,
)


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(NEW_YORK))


def chicago(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, ZoneInfo(CHICAGO))


WEEKDAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31)).filter(lambda day: day.weekday() < 5)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-10-05T09:30:00", date(2026, 10, 5)),
        ("2026-10-05T16:59:59", date(2026, 10, 5)),
        ("2026-10-05T17:00:00", date(2026, 10, 6)),  # the break belongs to what comes next
        ("2026-10-05T18:00:00", date(2026, 10, 6)),
        ("2026-10-09T16:59:59", date(2026, 10, 9)),
        ("2026-10-09T17:00:00", date(2026, 10, 12)),  # Friday evening
        ("2026-10-10T12:00:00", date(2026, 10, 12)),
        ("2026-10-11T18:00:00", date(2026, 10, 12)),  # Sunday evening
    ],
)
def test_a_time_belongs_to_the_session_that_ends_next(at, expected):
    assert trade_date_of(new_york(at)) == expected


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        trade_date_of(datetime(2026, 10, 5, 9, 30))


@given(WEEKDAYS)
def test_every_moment_of_a_session_has_its_date(day):
    session = regular_session(day)
    for at in (session.opens_at, session.rth_opens_at, session.closes_at - timedelta(seconds=1)):
        assert trade_date_of(at) == day
    assert trade_date_of(session.closes_at) > day


@given(WEEKDAYS)
def test_a_session_keeps_new_york_and_chicago_clocks_through_summer_and_winter(day):
    session = regular_session(day)
    assert session.closes_at - session.opens_at == timedelta(hours=23)
    assert session.opens_at.astimezone(ZoneInfo(NEW_YORK)).time() == time(18)
    assert capture_at(session).astimezone(ZoneInfo(NEW_YORK)).time() == time(9, 30)
    assert flat_by(session).astimezone(ZoneInfo(NEW_YORK)).time() == time(16)
    assert {session.opens_at.tzinfo, session.closes_at.tzinfo, session.rth_opens_at.tzinfo} == {UTC}


def test_the_limit_moves_by_an_hour_of_utc_with_daylight_saving():
    # the firm's own example: Fri 30 Oct 2026 20:10 UTC, Mon 2 Nov 2026 21:10 UTC
    assert firm_limit(regular_session(date(2026, 10, 30))) == datetime(2026, 10, 30, 20, 10, tzinfo=UTC)
    assert firm_limit(regular_session(date(2026, 11, 2))) == datetime(2026, 11, 2, 21, 10, tzinfo=UTC)


def test_no_session_ends_on_a_weekend():
    with pytest.raises(ValueError, match="Saturday"):
        regular_session(date(2026, 10, 10))


def test_a_session_cannot_close_before_it_opens():
    with pytest.raises(ValueError, match="opens at"):
        session_until(date(2026, 10, 5), datetime(2026, 10, 4, 12, tzinfo=UTC))


def test_an_early_close_moves_the_flat_time_to_ten_minutes_before_the_firms_limit():
    day = date(2026, 11, 26)
    session = session_until(day, chicago(day, time(12)))
    assert firm_limit(session) == chicago(day, time(11, 45))
    assert flat_by(session) == chicago(day, time(11, 35))
    assert tradeable(session)


def test_a_close_before_the_capture_allows_no_trade():
    day = date(2026, 4, 3)  # Good Friday, until 08:15 Chicago
    session = session_until(day, chicago(day, time(8, 15)))
    assert flat_by(session) == chicago(day, time(7, 50))
    assert not tradeable(session)


@pytest.mark.parametrize(
    ("clock", "zone", "expected"),
    [
        (time(16), NEW_YORK, "2026-10-05T20:00:00+00:00"),
        (time(15), CHICAGO, "2026-10-05T20:00:00+00:00"),
        (time(18), NEW_YORK, "2026-10-04T22:00:00+00:00"),  # the open itself, on the evening before
        (time(17, 59), NEW_YORK, "2026-10-05T21:59:00+00:00"),  # after the close
        (time(2), NEW_YORK, "2026-10-05T06:00:00+00:00"),
        (time(22, 30), "UTC", "2026-10-04T22:30:00+00:00"),
        (time(8), "Asia/Tokyo", "2026-10-04T23:00:00+00:00"),
    ],
)
def test_a_local_time_is_found_inside_the_session(clock, zone, expected):
    assert at_local(regular_session(date(2026, 10, 5)), clock, zone).isoformat() == expected


@given(
    WEEKDAYS, st.times().map(lambda clock: clock.replace(microsecond=0)), st.sampled_from([NEW_YORK, CHICAGO, "UTC"])
)
def test_a_local_time_is_the_first_one_since_the_open(day, clock, zone):
    session = regular_session(day)
    at = at_local(session, clock, zone)
    assert session.opens_at <= at < session.opens_at + timedelta(hours=24)
    assert at.astimezone(ZoneInfo(zone)).time() == clock
