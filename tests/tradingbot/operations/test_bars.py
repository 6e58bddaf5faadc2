from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from brokers.base import NotSent, ReadFailed
from brokers.simulated.broker import SimulatedBroker
from market.bars import Bar, Bars, Timeframe, epoch, moment, resample
from market.sessions import regular_session
from tests.factories import ContractFactory
from tradingbot.models import BarDay, Contract, Notification, OvernightRange
from tradingbot.operations import bars, contracts, venues
from tradingbot.operations.bars.series import session_opens
from tradingbot.operations.calendar import ensure_calendar, recent, session_for

DAY = date(2026, 11, 18)
SESSION = regular_session(DAY)
MINUTE = timedelta(minutes=1)


def minute(number: int, price: int = 80_000) -> Bar:
    return Bar(epoch(SESSION.opens_at + number * MINUTE), price, price + 4, price - 4, price, 10)


def at(number: float) -> datetime:
    """Return the moment `number` minutes after the session's open."""
    return SESSION.opens_at + number * MINUTE


class Refusing:
    """A venue whose reads fail."""

    def bars(self, *_: object, **__: object) -> list[object]:
        raise ReadFailed("no answer")


@pytest.fixture
def calendar(db) -> None:
    ensure_calendar(now=SESSION.opens_at)


@pytest.fixture
def mnq(stage, calendar) -> Contract:
    contracts.refresh(stage.login, now=stage.time.at)
    return Contract.objects.get(symbol="MNQ", active=True)


class TestRecord:
    def test_merges_by_minute_and_counts_what_is_new(self, contract, calendar):
        first, second = Bars.of([minute(0), minute(1)]), Bars.of([minute(1, 80_100), minute(2)])
        news = [
            bars.record(contract, DAY, part, source="venue", covered_until=at(until), now=at(10))
            for part, until in ((first, 2), (second, 3))
        ]
        assert news == [2, 1]
        assert bars.base(contract, since=DAY, now=at(10)).close.tolist() == [80_000, 80_100, 80_000]

    def test_the_same_again_changes_nothing(self, contract, calendar):
        part = Bars.of([minute(0)])
        for number in range(2):
            bars.record(contract, DAY, part, source="venue", covered_until=at(1), now=at(1 + number))
        assert (BarDay.objects.get().count, BarDay.objects.get().updated_at) == (1, at(1))

    def test_a_hole_stops_what_is_covered_until_it_is_filled(self, contract, calendar):
        def covered(number: int, since: int) -> datetime:
            bars.record(
                contract,
                DAY,
                Bars.of([minute(number)]),
                source="stream",
                covered_from=at(since),
                covered_until=at(number + 1),
                now=at(30),
            )
            return BarDay.objects.get().covered_until

        assert covered(0, 0) == at(1)
        assert covered(5, 5) == at(1)  # minutes 1 to 4 were never fetched
        assert covered(4, 1) == at(5)
        assert covered(5, 5) == at(6)

    def test_a_covered_minute_without_a_bar_had_no_trade(self, contract, calendar):
        bars.record(contract, DAY, Bars.empty(), source="venue", covered_until=at(7), now=at(8))
        day = BarDay.objects.get()
        assert (day.count, day.covered_until, day.complete) == (0, at(7), False)

    def test_the_day_is_complete_when_its_close_is_covered(self, contract, calendar):
        late = SESSION.closes_at + timedelta(hours=3)
        bars.record(contract, DAY, Bars.of([minute(0)]), source="venue", covered_until=late, now=late)
        day = BarDay.objects.get()
        assert (day.covered_until, day.complete) == (SESSION.closes_at, True)

    @pytest.mark.parametrize("number", [-1, 23 * 60, 9])
    def test_refuses_a_bar_of_another_session_or_one_that_is_not_closed(self, contract, calendar, number):
        with pytest.raises(ValueError, match="not closed bars of the session"):
            bars.record(contract, DAY, Bars.of([minute(number)]), source="x", covered_until=at(9), now=at(9.5))
        assert not BarDay.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_processes_that_write_together_lose_no_minute(self, contract):
        ensure_calendar(now=SESSION.opens_at)

        def write(offset: int) -> None:
            for number in range(offset, 40, 4):
                bars.record(contract, DAY, Bars.of([minute(number)]), source="x", covered_until=at(0), now=at(60))
            connection.close()

        threads = [Thread(target=write, args=[offset]) for offset in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert BarDay.objects.get().count == 40

    def test_memory_never_serves_yesterdays_version(self, contract, calendar):
        for price in (80_000, 80_400):  # under a clock that stands still
            bars.record(contract, DAY, Bars.of([minute(0, price)]), source="venue", covered_until=at(1), now=at(5))
            assert bars.last_price(contract) == (D(price) / 4, at(1))
            assert bars.base(contract, since=DAY, now=at(5)).close.tolist() == [price]


class TestFetch:
    def test_fills_from_the_open_up_to_the_last_closed_minute(self, mnq, stage):
        stage.time.at = at(60.5)
        bars.fetch(mnq, now=stage.time.at)
        today = BarDay.objects.get(trade_date=DAY)
        assert (today.count, today.covered_until, today.complete) == (60, at(60), False)
        assert bars.fetch(mnq, now=stage.time.at) == 0

    def test_asks_for_nothing_before_a_minute_is_closed_for_two_seconds(self, mnq, stage):
        stage.time.at = at(60)
        bars.fetch(mnq, now=stage.time.at)
        assert bars.coverage(mnq, SESSION) == at(59)
        assert not bars.is_behind(mnq, now=at(60) + timedelta(seconds=1.9))
        assert bars.is_behind(mnq, now=at(60) + timedelta(seconds=2))

    def test_a_minute_that_the_venue_does_not_show_counts_as_missing_for_twenty_seconds(self, mnq, stage):
        stage.market.leave_out(at(59))
        stage.time.at = at(60) + timedelta(seconds=3)
        bars.fetch(mnq, now=stage.time.at)
        assert bars.coverage(mnq, SESSION) == at(59)
        stage.time.at = at(60) + timedelta(seconds=21)
        bars.fetch(mnq, now=stage.time.at)
        assert bars.coverage(mnq, SESSION) == at(60)

    def test_a_failed_read_moves_nothing(self, mnq, stage):
        stage.time.at = at(30)
        bars.fetch(mnq, now=stage.time.at)
        before = bars.coverage(mnq, SESSION)
        venues.use(stage.login, Refusing())
        with pytest.raises(ReadFailed):
            bars.fetch(mnq, now=at(45))
        assert bars.coverage(mnq, SESSION) == before

    def test_fetches_the_end_of_the_last_session_in_the_break(self, mnq, stage):
        stage.time.at = SESSION.closes_at + timedelta(minutes=10)
        bars.fetch(mnq, now=stage.time.at)
        today = BarDay.objects.get(trade_date=DAY)
        assert (today.count, today.complete) == (1380, True)

    def test_without_a_login_nothing_can_be_asked(self, calendar):
        with pytest.raises(NotSent, match="no login"):
            bars.fetch(ContractFactory(venue="projectx"), now=at(5))


class TestBackfill:
    def test_reads_many_sessions_in_few_calls_and_tells_how_far_it_is(self, mnq, stage):
        calls: list[tuple[datetime, datetime]] = []
        told: list[tuple[int, int]] = []

        class Counting(SimulatedBroker):
            def bars(self, contract_id, timeframe, start, end, *, limit=20_000):
                calls.append((start, end))
                found = super().bars(contract_id, timeframe, start, end, limit=limit)
                assert len(found) < limit
                return found

        venues.use(stage.login, Counting(stage.venue, stage.time.now))
        bars.backfill(mnq, sessions=30, now=stage.time.at, progress=lambda done, of: told.append((done, of)))
        assert len(calls) == 6  # 30 sessions, 5 a call
        assert told == [(done, 30) for done in (5, 10, 15, 20, 25, 30)]
        assert BarDay.objects.filter(complete=True).count() == 29  # and the open one
        assert bars.backfill(mnq, sessions=30, now=stage.time.at) == 0
        assert len(calls) == 6

    def test_a_session_that_is_there_is_not_read_again(self, mnq, stage, caplog):
        bars.fetch(mnq, now=stage.time.at - timedelta(days=3))
        there = {day.trade_date: day.updated_at for day in BarDay.objects.filter(complete=True)}
        bars.backfill(mnq, sessions=10, now=stage.time.at)
        days = {day.trade_date: day.updated_at for day in BarDay.objects.filter(complete=True)}
        assert len(there) == 2
        assert len(days) == 9
        assert there.items() <= days.items()
        assert caplog.messages == []

    def test_daily_bars_keep_no_minutes_in_memory(self, mnq, stage, broker_queues):
        bars.backfill(mnq, sessions=20, now=stage.time.at)
        assert len(bars.daily(mnq, sessions=19, now=stage.time.at)) == 19
        before = bars.counts()
        bars.base(mnq, since=date.min, now=stage.time.at)
        read = {source: number - before[source] for source, number in bars.counts().items()}
        assert (read["memory"], read["database"]) == (0, 20)

    def test_continues_in_the_month_before_where_this_one_was_not_traded_yet(self, mnq, stage):
        roll = date(2026, 11, 2)
        stage.market.volume = lambda listing, session: (
            100 if (session.trade_date >= roll) == (listing.contract.id == mnq.broker_contract_id) else 0
        )
        stage.market.offset = lambda listing: 0 if listing.contract.id == mnq.broker_contract_id else -200
        bars.backfill(mnq, sessions=40, now=stage.time.at)
        series = bars.stitched(mnq, sessions=39, now=stage.time.at)
        assert len(series.bars) == 39
        assert [(r.trade_date, r.old.name[:4], r.offset) for r in series.rolls] == [(roll, "MNQU", 0)]

    def test_a_month_that_the_venue_does_not_know_gives_fewer_sessions(self, mnq, stage):
        stage.market.volume = lambda listing, session: 100 if session.trade_date >= date(2026, 11, 2) else 0
        bars.backfill(mnq, sessions=40, now=stage.time.at)
        assert len(bars.daily(mnq, sessions=40, now=stage.time.at)) == 12  # 2 to 17 November


class TestDaily:
    def test_equals_the_sessions_of_the_minutes(self, mnq, stage):
        bars.backfill(mnq, sessions=5, now=stage.time.at)
        daily = bars.daily(mnq, sessions=4, now=stage.time.at)
        minutes = bars.base(mnq, since=recent(stage.time.at, 5)[0].trade_date, now=stage.time.at)
        whole, _ = resample(minutes, Timeframe.D1, session_opens(minutes, recent(stage.time.at, 5)))
        assert [column.tolist() for column in daily.columns] == [column.tolist() for column in whole.columns]

    def test_is_moved_by_the_difference_of_the_closes_on_the_roll(self, mnq, stage):
        # Both months trade all the time; the new one becomes the busy one on 9 November, 50 points above the old one.
        busy_since = date(2026, 11, 9)
        new = mnq.broker_contract_id
        stage.market.volume = lambda listing, session: (
            100 if (session.trade_date >= busy_since) == (listing.contract.id == new) else 30
        )
        stage.market.offset = lambda listing: 0 if listing.contract.id == new else -200
        bars.backfill(mnq, sessions=15, now=stage.time.at)
        bars.backfill(contracts.previous(mnq, now=stage.time.at), sessions=15, now=stage.time.at)
        series = bars.stitched(mnq, sessions=14, now=stage.time.at)
        assert [(roll.trade_date, roll.offset) for roll in series.rolls] == [(busy_since, 200)]
        assert len(series.bars) == 14
        wave = [stage.market.close(session.closes_at) for session in recent(stage.time.at, 15)[:-1]]
        assert series.bars.close.tolist() == wave  # as if there had been no roll

    def test_a_day_that_is_not_known_ends_the_series(self, mnq, stage):
        bars.backfill(mnq, sessions=6, now=stage.time.at)
        BarDay.objects.filter(trade_date=date(2026, 11, 13)).delete()
        assert len(bars.daily(mnq, sessions=5, now=stage.time.at)) == 2  # 16 and 17 November

    def test_a_session_in_which_nothing_traded_ends_nothing(self, mnq, stage):
        closure = date(2026, 11, 13)  # of an exchange that the calendar did not expect
        stage.market.volume = lambda listing, session: 0 if session.trade_date == closure else 100
        bars.backfill(mnq, sessions=6, now=stage.time.at)
        assert BarDay.objects.get(contract=mnq, trade_date=closure).complete
        daily = bars.daily(mnq, sessions=5, now=stage.time.at)
        others = [session for session in recent(stage.time.at, 6)[:-1] if session.trade_date != closure]
        assert daily.opened_at.tolist() == [epoch(session.opens_at) for session in others]

    def test_a_session_without_trades_that_is_not_known_of_the_month_before_ends_the_series(self, mnq, stage):
        roll = date(2026, 11, 9)
        stage.market.volume = lambda listing, session: (
            100 if (session.trade_date >= roll) == (listing.contract.id == mnq.broker_contract_id) else 0
        )
        bars.backfill(mnq, sessions=15, now=stage.time.at)
        assert len(bars.daily(mnq, sessions=14, now=stage.time.at)) == 14
        BarDay.objects.exclude(contract=mnq).filter(trade_date=date(2026, 11, 6)).delete()
        series = bars.stitched(mnq, sessions=14, now=stage.time.at)
        assert (len(series.bars), series.rolls) == (7, ())  # 9 to 17 November


class TestSeries:
    @pytest.mark.parametrize(("timeframe", "count"), [("1s", 100), ("15s", 90), ("1m", 200), ("5m", 50), ("1h", 30)])
    def test_equals_what_the_venue_has(self, mnq, stage, timeframe, count):
        frame, now = Timeframe(timeframe), stage.time.wait(seconds=5)
        served = bars.series(mnq, frame, count=count, now=now)
        known = stage.broker.bars(mnq.broker_contract_id, frame, now - timedelta(days=3), now)
        last = now - timedelta(seconds=2)
        closed = [bar for bar in known if bar.opened_at + timedelta(seconds=frame.seconds) <= last][-count:]
        assert served.opened_at.tolist() == [epoch(bar.opened_at) for bar in closed]
        assert served.close.tolist() == [int(bar.close * 4) for bar in closed]
        assert len(served) == count

    @pytest.mark.parametrize(
        ("timeframe", "opens"),
        [
            ("4h", ["17 02:00", "17 06:00", "17 10:00", "17 14:00", "17 18:00", "17 22:00", "18 02:00"]),
            ("1d", ["08 18:00", "09 18:00", "10 18:00", "11 18:00", "12 18:00", "15 18:00", "16 18:00"]),
            ("1w", ["27 18:00", "04 18:00", "11 18:00", "18 18:00", "25 18:00", "01 18:00", "08 18:00"]),
        ],
    )
    def test_longer_bars_follow_the_sessions(self, mnq, stage, timeframe, opens):
        served = bars.series(mnq, Timeframe(timeframe), count=7, now=stage.time.at)
        assert [f"{moment(at).astimezone(ZoneInfo('America/New_York')):%d %H:%M}" for at in served.opened_at] == opens

    def test_asks_the_venue_only_for_what_is_missing(self, mnq, stage):
        first = bars.series(mnq, Timeframe.M5, count=50, now=stage.time.at)
        venues.use(stage.login, Refusing())
        again = bars.series(mnq, Timeframe.M5, count=50, now=stage.time.at)
        assert again.close.tolist() == first.close.tolist()
        with pytest.raises(ReadFailed):
            bars.series(mnq, Timeframe.M5, count=50, now=stage.time.at + timedelta(minutes=5))

    def test_seconds_are_kept_an_hour_a_row_for_thirty_days(self, mnq, stage):
        first = bars.series(mnq, Timeframe.S15, count=100, now=stage.time.at)
        venues.use(stage.login, Refusing())
        assert bars.series(mnq, Timeframe.S15, count=100, now=stage.time.at).close.tolist() == first.close.tolist()
        assert bars.forget(now=stage.time.at + timedelta(days=29)) == 0
        assert bars.forget(now=stage.time.at + timedelta(days=31)) > 0

    def test_refuses_a_count_below_one(self, mnq, stage):
        with pytest.raises(ValueError, match="0 bars"):
            bars.series(mnq, Timeframe.M1, count=0, now=stage.time.at)


class TestRange:
    def fill(self, contract: Contract, until: float, *prices: tuple[int, int]) -> None:
        rows = [minute(number) for number in range(int(until))]
        for number, price in prices:
            rows[number] = minute(number, price)
        bars.record(contract, DAY, Bars.of(rows), source="venue", covered_until=at(until), now=at(until))

    def test_is_the_high_and_low_before_half_past_nine(self, contract, calendar):
        self.fill(contract, 940, (100, 80_100), (200, 79_900), (930, 90_000))  # minute 930 opens at 09:30
        row = bars.capture_range(contract, SESSION, now=at(940))
        assert (row.high, row.low) == (D("20026.00"), D("19974.00"))  # 80,104 and 79,896 ticks
        assert (row.bars, row.expected_bars, row.complete) == (930, 930, True)

    def test_waits_for_the_last_minute(self, contract, calendar):
        self.fill(contract, 929)
        with pytest.raises(bars.NotCovered, match="known until 14:29 UTC"):
            bars.capture_range(contract, SESSION, now=at(930))
        assert not OvernightRange.objects.exists()

    def test_again_is_the_same_row_and_no_message(self, contract, calendar):
        self.fill(contract, 930)
        rows = [bars.capture_range(contract, SESSION, now=at(number)) for number in (930, 931)]
        assert rows[0] == rows[1]
        assert not Notification.objects.exists()

    def test_bars_that_change_afterwards_alert_and_leave_the_record(self, contract, calendar):
        self.fill(contract, 930)
        before = bars.capture_range(contract, SESSION, now=at(930))
        self.fill(contract, 930, (5, 80_200))
        after = bars.capture_range(contract, SESSION, now=at(931))
        assert after.high == before.high
        assert [row.level for row in Notification.objects.all()] == ["alert"]


def test_reads_are_counted_and_survive_without_redis(contract, calendar, broker_queues):
    from tradingbot.operations.bars import counting

    bars.record(contract, DAY, Bars.of([minute(0)]), source="venue", covered_until=at(1), now=at(1))
    before = bars.counts()
    for _ in range(3):
        bars.base(contract, since=DAY, now=at(5))
    counted = {source: number - before[source] for source, number in bars.counts().items()}
    assert counted == {counting.Source.MEMORY: 2, counting.Source.DATABASE: 1, counting.Source.VENUE: 0}


def test_a_session_with_an_early_close_is_complete_at_its_close(contract, calendar):
    day = date(2026, 11, 27)  # the day after Thanksgiving
    session = session_for(day)
    assert session.early_close
    bars.record(
        contract,
        day,
        Bars.empty(),
        source="venue",
        covered_until=session.closes_at,
        now=datetime(2026, 11, 28, tzinfo=UTC),
    )
    assert BarDay.objects.get().complete
