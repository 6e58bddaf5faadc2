from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from market.calendar import Holidays, from_library, generate, holidays, minutes
from market.sessions import CHICAGO, capture_at, firm_limit, flat_by, trade_date_of, tradeable

# the firm's holiday table, checked 2026-10: be flat by, Chicago
FIRMS_TABLE_2026 = {
    date(2026, 1, 19): time(11, 45),
    date(2026, 2, 16): time(11, 45),
    date(2026, 4, 3): time(8, 0),
    date(2026, 5, 25): time(11, 45),
    date(2026, 6, 19): time(11, 45),
    date(2026, 7, 3): time(11, 45),
    date(2026, 9, 7): time(11, 45),
    date(2026, 11, 26): time(11, 45),
    date(2026, 11, 27): time(12, 0),
    date(2026, 12, 24): time(12, 0),
}
CLOSED_2026 = {date(2026, 1, 1), date(2026, 12, 25), date(2027, 1, 1)}


@pytest.fixture(scope="module")
def two_years():
    return {session.trade_date: session for session in generate(date(2026, 1, 1), date(2027, 12, 31))}


def chicago(at: datetime) -> time:
    return at.astimezone(ZoneInfo(CHICAGO)).time()


@pytest.mark.parametrize("day", FIRMS_TABLE_2026)
def test_early_closes_agree_with_the_firms_table(two_years, day):
    session = two_years[day]
    assert session.early_close
    assert chicago(firm_limit(session)) == FIRMS_TABLE_2026[day]
    assert firm_limit(session) - flat_by(session) == timedelta(minutes=10)


def test_no_other_day_of_2026_closes_early_and_only_holidays_are_closed(two_years):
    early = {day for day, session in two_years.items() if session.early_close and day.year == 2026}
    assert early == set(FIRMS_TABLE_2026)
    weekdays = {date(2026, 1, 1) + timedelta(days=number) for number in range(366)}
    assert {day for day in weekdays if day.weekday() < 5} - two_years.keys() == CLOSED_2026


def test_after_christmas_and_new_year_trading_resumes_on_sunday_evening(two_years):
    # closed on Fri 25 Dec 2026, reopens Sun 27 Dec 17:00 Chicago; closed Fri 1 Jan 2027, reopens Sun 3 Jan 17:00
    assert two_years[date(2026, 12, 28)].opens_at == datetime(2026, 12, 27, 23, tzinfo=UTC)
    assert two_years[date(2027, 1, 4)].opens_at == datetime(2027, 1, 3, 23, tzinfo=UTC)


def test_only_good_friday_has_no_time_to_trade(two_years):
    # 2027-03-26 is a Good Friday too, but without a session: the employment report comes out a week later
    assert [day for day, session in two_years.items() if not tradeable(session)] == [date(2026, 4, 3)]


def test_two_years_of_sessions_follow_each_other_without_overlap(two_years):
    sessions = list(two_years.values())
    for before, after in pairwise(sessions):
        assert before.closes_at < after.opens_at
        assert before.trade_date < after.trade_date
    for session in sessions:
        assert trade_date_of(session.opens_at) == session.trade_date == trade_date_of(capture_at(session))
        assert chicago(session.opens_at) == time(17)


@pytest.mark.parametrize("day", [date(2026, 3, 9), date(2026, 11, 2), date(2027, 3, 15), date(2027, 11, 8)])
def test_the_first_session_after_the_clocks_change_is_as_long_as_any_other(two_years, day):
    assert minutes(two_years[day]) == 1380


def test_minutes_of_a_session_end_with_an_early_close(two_years):
    assert minutes(two_years[date(2026, 11, 25)]) == 1380
    assert minutes(two_years[date(2026, 11, 26)]) == 19 * 60  # 17:00 to 12:00 Chicago
    assert minutes(two_years[date(2026, 11, 27)]) == 19 * 60 + 15


def test_what_the_library_gets_wrong_is_corrected():
    (mourning,) = generate(date(2025, 1, 9), date(2025, 1, 9))
    assert (chicago(mourning.closes_at), mourning.early_close, tradeable(mourning)) == (time(8, 30), True, False)


WITH_REPORT = [date(2021, 4, 2), date(2023, 4, 7), date(2026, 4, 3), date(2034, 4, 7), date(2037, 4, 3)]
WITHOUT_REPORT = [
    *(date(2022, 4, 15), date(2024, 3, 29), date(2025, 4, 18), date(2027, 3, 26), date(2028, 4, 14), date(2029, 3, 30)),
    *(date(2030, 4, 19), date(2031, 4, 11), date(2032, 3, 26), date(2033, 4, 15), date(2035, 3, 23), date(2036, 4, 11)),
]


@pytest.mark.parametrize("good_friday", WITH_REPORT)
def test_good_friday_with_an_employment_report_is_a_short_session(good_friday):
    (session,) = generate(good_friday, good_friday)
    assert (chicago(session.closes_at), tradeable(session)) == (time(8, 15), False)


@pytest.mark.parametrize("good_friday", WITHOUT_REPORT)
def test_good_friday_without_an_employment_report_has_no_session(good_friday):
    assert generate(good_friday, good_friday) == []


def test_reversed_dates_are_refused():
    with pytest.raises(ValueError, match="cannot end on 2026-01-01"):
        generate(date(2026, 1, 2), date(2026, 1, 1))


def test_the_shipped_years_are_what_the_library_knows():
    shipped = holidays()
    assert set(shipped) >= set(range(2015, 2036))
    assert shipped == from_library(min(shipped), max(shipped))


def test_a_year_without_holidays_has_every_weekday():
    assert len(list(Holidays(frozenset(), {}).sessions(2026))) == 261
