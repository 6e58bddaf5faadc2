from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.factories import NOW
from tradingbot.models import BarDay
from tradingbot.operations import bars

HEADER = "timestamp,open,high,low,close,volume"
FIRST = datetime(2026, 11, 16, 23, 0, tzinfo=UTC)  # open of the session of 17 November


def line(minute: int, price: float = 20_000, stamp: str | None = None) -> str:
    stamp = stamp or f"{FIRST + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
    return f"{stamp},{price},{price + 1},{price - 1},{price},7"


@pytest.fixture
def read(tmp_path, contract):
    def import_lines(*lines: str, zone: str = "UTC", header: str = HEADER, name: str = "bars.csv") -> bars.Report:
        path: Path = tmp_path / name
        text = "\n".join([header, *lines]) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        return bars.import_file(path, contract, zone=zone, now=NOW)

    return import_lines


def test_a_whole_session_is_complete_in_the_cache(read, contract):
    report = read(*(line(minute) for minute in range(1380)))
    assert (report.rows, report.sessions, report.new, report.missing, report.problems) == (1380, 1, 1380, 0, ())
    day = BarDay.objects.get()
    assert (day.trade_date, day.count, day.complete, day.source) == (date(2026, 11, 17), 1380, True, "bars.csv")
    assert len(bars.base(contract, since=day.trade_date, now=NOW)) == 1380


def test_a_packed_file_is_read_too(read):
    assert read(line(0), name="bars.csv.gz").new == 1


def test_columns_may_come_in_any_order_and_the_volume_may_lack(read, contract):
    read(
        "20000,2026-11-16T23:00:00Z,19999,20001,19999.25",
        header="Close,Timestamp,Low,High,Open",
    )
    (bar,) = bars.base(contract, since=date(2026, 11, 17), now=NOW)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (79_997, 80_004, 79_996, 80_000, 0)


def test_times_without_an_offset_are_in_the_zone(read, contract):
    read(line(0, stamp="2026-11-16 17:00"), zone="America/Chicago")
    assert bars.last_price(contract)[1] == FIRST + timedelta(minutes=1)


def test_gaps_are_told_and_a_long_one_is_not_taken_for_a_quiet_market(read):
    minutes = [minute for minute in range(1380) if minute not in range(100, 107) and minute not in range(300, 400)]
    report = read(*(line(minute) for minute in minutes))
    assert report.missing == 107
    assert [(gap.minutes, gap.start) for gap in report.gaps] == [
        (7, FIRST + timedelta(minutes=100)),
        (100, FIRST + timedelta(minutes=300)),
    ]
    day = BarDay.objects.get()
    assert (day.covered_until, day.complete) == (FIRST + timedelta(minutes=300), False)


def test_bars_of_other_products_after_an_early_close_are_left_out_and_told(read):
    stamps = ["2026-09-07T16:59:00Z", "2026-09-07T17:00:00Z", "2026-09-07T18:29:00Z", "2026-09-07T22:00:00Z"]
    report = read(*(line(0, stamp=stamp) for stamp in stamps))  # Labor Day: 12:00 Chicago for equities
    assert (report.problems, report.rows, report.sessions, report.left_out) == ((), 2, 2, 2)
    assert report.early_closes == (datetime(2026, 9, 7, 17, tzinfo=UTC),)
    assert [(day.trade_date, day.count) for day in BarDay.objects.order_by("trade_date")] == [
        (date(2026, 9, 7), 1),
        (date(2026, 9, 8), 1),
    ]
    (problem,) = read(line(0, stamp=stamps[1])).problems
    assert problem.text == "the file has no bars of a session"
    assert "no session" in read(line(0, stamp="2026-09-07T21:30:00Z")).problems[0].text  # the break of every day


def test_a_file_that_begins_inside_a_session_covers_nothing_of_it(read):
    read(*(line(minute) for minute in range(600, 1380)))
    assert (BarDay.objects.get().covered_until, BarDay.objects.get().complete) == (FIRST, False)


def test_again_it_is_nothing_new(read):
    lines = [line(minute) for minute in range(10)]
    assert [read(*lines).new for _ in range(2)] == [10, 0]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("2026-11-16T23:05:00Z,20000.1,20001,19999,20000,7", "20000.1 is not on the tick grid of 0.25"),
        ("2026-11-16T23:05:00Z,20000,19999,19998,20000,7", "not a bar"),
        ("2026-11-16T23:05:00Z,twenty,20001,19999,20000,7", "open: 'twenty' is not a number"),
        ("2026-11-16T23:05:00Z,20000,20001,19999,20000,-7", "volume: -7 is not a whole number"),
        ("2026-11-16T23:05:00Z,20000,20001,19999,NaN,7", "close: 'NaN' is not a number"),
        ("2026-11-16T23:05:30Z,20000,20001,19999,20000,7", "is not the start of a minute"),
        ("soon,20000,20001,19999,20000,7", "timestamp: 'soon' is not a time"),
        ("2026-11-16T23:05:00Z,20000,20001,19999,20000", "5 values, the header has 6"),
        ("2026-11-16T22:30:00Z,20000,20001,19999,20000,7", "22:30 UTC lies in no session"),
        ("2026-11-14T15:00:00Z,20000,20001,19999,20000,7", "15:00 UTC lies in no session"),
        ("2026-11-16T23:01:00Z,20000,20001,19999,20000,7", "23:01 UTC stands in line 3 too"),
        ("2026-11-18T14:20:00Z,20000,20001,19999,20000,7", "is not closed yet"),
    ],
)
def test_one_wrong_line_is_named_and_nothing_is_written(read, bad, said):
    report = read(line(0), line(1), bad, line(2))
    assert [(problem.line, said in problem.text) for problem in report.problems] == [(4, True)]
    assert report.new == 0
    assert not BarDay.objects.exists()


def test_every_wrong_line_is_named(read):
    report = read("x", line(0), line(0), "y")
    assert [problem.line for problem in report.problems] == [2, 4, 5]


def test_an_hour_that_comes_twice_needs_an_offset(read):
    report = read(line(0, stamp="2026-11-01 01:30"), zone="America/New_York")
    assert "is not one moment in America/New_York" in report.problems[0].text


@pytest.mark.parametrize("header", ["time,open,high,low,close", "timestamp,open,high,low", HEADER + ",open", ""])
def test_a_wrong_header_is_named(read, header):
    report = read(line(0), header=header)
    assert [problem.line for problem in report.problems] == [1]
    assert "write timestamp,open,high,low,close,volume" in report.problems[0].text


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"\xff\xfe\x00"])
def test_what_is_not_a_csv_file_is_told(tmp_path, contract, content):
    for name in ("bars.csv", "bars.csv.gz"):
        path = tmp_path / name
        path.write_bytes(content)
        assert bars.import_file(path, contract, zone="UTC", now=NOW).problems


def test_a_file_without_bars_is_told(read):
    assert read().problems[0].text == "the file has no bars"


class TestParquet:
    @pytest.fixture
    def table(self, tmp_path, contract):
        """Write columns as Parquet and import them."""

        def import_columns(zone: str = "UTC", **columns: pa.Array) -> bars.Report:
            path = tmp_path / "bars.parquet"
            pq.write_table(pa.table(columns), path)
            return bars.import_file(path, contract, zone=zone, now=NOW)

        return import_columns

    @staticmethod
    def columns(*minutes: int, zone: str | None = "UTC") -> dict[str, pa.Array]:
        moments = [(FIRST + timedelta(minutes=minute)).replace(tzinfo=UTC if zone else None) for minute in minutes]
        far = {"open": 0.25, "high": 1.25, "low": -0.75, "close": 0.25}
        prices = {name: pa.array([20_000 + away] * len(minutes)) for name, away in far.items()}
        volume = pa.array([7] * len(minutes))
        return {"timestamp": pa.array(moments, pa.timestamp("ns", tz=zone)), **prices, "volume": volume}

    def test_is_read_as_csv_is(self, table, contract):
        report = table(**self.columns(*range(1380)))
        assert (report.rows, report.new, report.missing, report.problems) == (1380, 1380, 0, ())
        bar = next(iter(bars.base(contract, since=date(2026, 11, 17), now=NOW)))
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (80_001, 80_005, 79_997, 80_001, 7)

    def test_moments_without_a_zone_are_in_the_one_that_is_given(self, table, contract):
        table("America/Chicago", **self.columns(-360, zone=None))  # 17:00 by that clock
        assert bars.last_price(contract)[1] == FIRST + timedelta(minutes=1)

    @pytest.mark.parametrize(
        ("changed", "line", "told"),
        [
            ({"close": pa.array([20_000.1])}, 2, "tick"),
            ({"close": pa.array([None], pa.float64())}, 2, "close: '' is not a number"),
            ({"close": pa.array(["much"])}, 2, "close: 'much' is not a number"),
            ({"volume": pa.array([1.5])}, 2, "not a whole number"),
            ({"timestamp": pa.array([1])}, 2, "is not a time"),
            ({"timestamp": pa.array([1], pa.timestamp("ns"))}, 1, "would lose data"),
            ({"extra": pa.array([1])}, 1, "write timestamp,open,high,low,close,volume"),
        ],
    )
    def test_a_mistake_is_told_with_its_row_and_nothing_is_written(self, table, changed, line, told):
        (problem,) = table(**{**self.columns(0), **changed}).problems
        assert (problem.line, told in problem.text) == (line, True), problem
        assert not BarDay.objects.exists()

    def test_what_is_no_parquet_is_said(self, tmp_path, contract):
        path = tmp_path / "bars.parquet"
        path.write_text("nonsense")
        (problem,) = bars.import_file(path, contract, zone="UTC", now=NOW).problems
        assert problem.text.startswith("not a Parquet file of bars")
