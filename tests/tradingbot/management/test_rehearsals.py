"""The demo's day, environment and clean start."""

from __future__ import annotations

import gzip
import io
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from market.sessions import regular_session
from tradingbot import clock, servers
from tradingbot.management.commands import demo
from tradingbot.management.rehearsals import MARK, Rehearsal, begin_anew, session_of
from tradingbot.supervisor.instance import StartError, single_instance

FRIDAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (FRIDAY, FRIDAY),
        (date(2026, 11, 22), FRIDAY),  # Sunday
        (date(2026, 12, 25), date(2026, 12, 24)),  # an early close leaves time to trade
        (date(2026, 4, 3), date(2026, 4, 2)),  # Good Friday ends before the range is known
        (date(2026, 12, 1), date(2026, 11, 30)),  # the price stays in the night's range all day
        (date(2026, 10, 2), date(2026, 10, 1)),  # it leaves in the first minute, when the entries may be on their way
    ],
)
def test_the_default_day_is_the_newest_that_shows_a_trade(today, expected):
    assert session_of(None, today=today, seed=7).trade_date == expected


def test_a_day_that_was_asked_for_is_taken_as_it_is():
    assert session_of(date(2026, 12, 1), today=FRIDAY, seed=7).trade_date == date(2026, 12, 1)


@pytest.mark.parametrize(
    ("day", "words"), [(date(2026, 11, 21), "is not a trading day"), (date(2026, 4, 3), "leaves no time")]
)
def test_a_day_that_cannot_be_traded_is_refused_by_its_name(day, words):
    with pytest.raises(ValueError, match=f"--day {day}: .*{words}"):
        session_of(day, today=FRIDAY, seed=7)


def bars(tmp_path: Path, until: datetime) -> Path:
    """Write minutes from Tuesday's session of 2026-11-17 up to `until`."""
    file = tmp_path / "bars.csv.gz"
    at = regular_session(date(2026, 11, 17)).opens_at
    with gzip.open(file, "wt") as text:
        text.write("timestamp,open,high,low,close,volume\n")
        while at < until:
            text.write(f"{at.isoformat()},21000,21000.25,20999.75,21000,5\n")
            at += timedelta(minutes=30)
    return file


def test_a_replay_without_a_day_takes_the_last_whole_one(tmp_path):
    noon = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
    assert session_of(None, today=FRIDAY, seed=7, bars=bars(tmp_path, noon)).trade_date == date(2026, 11, 17)
    close = datetime(2026, 11, 18, 22, 0, tzinfo=UTC)
    assert session_of(None, today=FRIDAY, seed=7, bars=bars(tmp_path, close)).trade_date == date(2026, 11, 18)


@pytest.mark.parametrize(
    ("day", "setting"),
    [(date(2026, 11, 18), "2026-11-18T09:20:00-05:00@30x"), (date(2026, 7, 1), "2026-07-01T09:20:00-04:00@30x")],
)
def test_the_clock_stands_ten_minutes_before_the_open_in_that_days_zone(day, setting):
    environment = Rehearsal(regular_session(day), 30.0, 7).environment({}, Path("/v"))
    assert environment["TRADINGBOT_CLOCK"] == setting
    assert clock.parse(setting) is not None


def test_nothing_of_the_users_is_touched():
    given = {
        "DATABASE_URL": "postgres://mine", "REDIS_URL": "redis://mine", "TRADING_VENUE": "projectx",
        "DISCORD_NOTIFICATIONS_ENABLED": "true", "VAR_DIR": "/mine", "OVERNIGHT_ENABLED": "false", "WEB_PORT": "9000",
        "VENUE_LEDGER": "/mine/paper.sqlite3", "VENUE_URL": "http://venue:8700", "VENUE_FORWARD": "MNQ",
        "VENUE_HOST": "10.0.0.7", "VENUE_REPLAY": "MES=/mine/bars.csv", "VENUE_PORT": "8701",
        "PROJECTX_API_KEY": "mine", "PROJECTX_BRACKET_TICKS": "positive",
    }  # fmt: skip
    environment = Rehearsal(regular_session(FRIDAY), 30.0, 7).environment(given, Path("/v"))
    assert {name: environment[name] for name in given} == {
        "DATABASE_URL": "", "REDIS_URL": "", "TRADING_VENUE": "paper", "DISCORD_NOTIFICATIONS_ENABLED": "false",
        "VAR_DIR": "/v", "OVERNIGHT_ENABLED": "true", "WEB_PORT": "9000",
        "VENUE_LEDGER": "", "VENUE_URL": "", "VENUE_FORWARD": "", "VENUE_HOST": "", "VENUE_REPLAY": "",
        "VENUE_PORT": "8701", "PROJECTX_API_KEY": "", "PROJECTX_BRACKET_TICKS": "",
    }  # fmt: skip


def test_a_speed_that_the_clock_does_not_take_is_refused():
    for speed in (0.0, 31.0):
        with pytest.raises(ValueError, match="speed must be above 0"):
            Rehearsal(regular_session(FRIDAY), speed, 7).environment({}, Path("/v"))


def test_arguments_are_refused_in_one_line(tmp_path):
    for parse, text, words in (
        (demo._day, "18.11.2026", "is not a date"),
        (demo._replay, str(tmp_path / "none.csv"), "is not a file"),
    ):
        with pytest.raises(Exception, match=words):
            parse(text)
    file = bars(tmp_path, datetime(2026, 11, 17, 0, 0, tzinfo=UTC))
    assert demo._replay(f"mnq={file}") == ("MNQ", file)
    assert demo._replay(str(file)) == ("MNQ", file)


def test_what_is_said_is_printed_as_it_is(monkeypatch, settings, db):
    monkeypatch.setenv(MARK, "2026-11-18")
    settings.ADMIN_PASSWORD, settings.FLOWER_BASIC_AUTH = "pa[ss]w:x:[/x]1", "ada:[b]"
    command, out = demo.Command(), io.StringIO()
    command._console = Console(file=out, soft_wrap=True)
    command._greet()
    command._say("Close it now? [y/N] ")
    said = out.getvalue()
    assert "admin / pa[ss]w:x:[/x]1\n" in said
    assert "ada / [b]\n" in said
    assert "Close it now? [y/N]" in said


def test_a_running_one_is_left_alone(tmp_path):
    with single_instance(tmp_path / "run"), pytest.raises(StartError, match="it runs already"):
        begin_anew(tmp_path)


def test_what_an_earlier_one_left_is_gone_and_the_servers_answer(tmp_path):
    try:
        begin_anew(tmp_path)
        url = servers.urls(tmp_path).database
        left = psycopg.connect(url)  # a process that was killed and whose transaction hangs
        left.execute("CREATE TABLE yesterday (id int)")
        (tmp_path / "venue.sqlite3").write_text("ledger")
        (tmp_path / "venue.sqlite3-wal").write_text("ledger")
        (tmp_path / "clock.json").write_text("{}")  # with it the next one would begin in the middle of the killed day
        begin_anew(tmp_path)
        left.close()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('yesterday')").fetchone() == (None,)
        assert [*tmp_path.glob("venue*"), *tmp_path.glob("clock.json")] == []
    finally:
        servers.stop(tmp_path)
        link = tmp_path / "postgres"
        if link.is_symlink():  # as root the data lies elsewhere
            shutil.rmtree(link.readlink().parent)
