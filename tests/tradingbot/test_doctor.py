from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
import redis
from django.core.management import call_command

from brokers.simulated.tokens import Credentials
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import Stage
from tests.factories import LoginFactory
from tradingbot import doctor, servers
from tradingbot.clock import now
from tradingbot.doctor import installation, running, trading
from tradingbot.management.commands.doctor import Command
from tradingbot.models import CalendarDay, Login
from tradingbot.operations import venues
from tradingbot.supervisor.instance import single_instance

pytestmark = pytest.mark.django_db


@pytest.fixture
def own_redis(tmp_path: Path, settings) -> Iterator[redis.Redis]:
    settings.REDIS_URL = servers.start(tmp_path, database=False).redis
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client
    servers.stop(tmp_path)


def calendar_until(days: int) -> None:
    at = now() + timedelta(days=days)
    CalendarDay.objects.create(
        trade_date=at.date(), opens_at=at, closes_at=at + timedelta(hours=23), rth_opens_at=at, source="test"
    )


def test_a_sound_installation_has_nothing_broken(settings, tmp_path, own_redis, monkeypatch):
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(running, "occupied", lambda port: False)
    calendar_until(30)
    findings = {finding.name: finding.verdict for finding in doctor.examine()}
    assert "bad" not in findings.values()
    assert findings["database"] == findings["broker"] == findings["calendar"] == "ok"


def test_a_broker_that_drops_what_is_queued_is_broken(own_redis):
    own_redis.config_set("maxmemory-policy", "allkeys-lru")
    finding = installation.broker()
    assert (finding.verdict, "noeviction" in finding.sentence) == ("bad", True)


def test_a_broker_without_appendonly_is_worth_knowing(own_redis):
    own_redis.config_set("appendonly", "no")
    assert installation.broker().verdict == "warn"


def test_a_broker_that_does_not_answer_is_named_without_its_password(settings):
    settings.REDIS_URL = "redis://:hidden@127.0.0.1:1/0"
    finding = installation.broker()
    assert (finding.verdict, "127.0.0.1:1/0" in finding.sentence) == ("bad", True)
    assert "hidden" not in finding.sentence


def test_orders_of_a_live_login_must_not_leave_from_a_hosted_machine(settings):
    settings.TRADING_VENUE = "projectx"
    assert trading.policy().verdict == "ok"
    settings.HOSTED = True
    assert trading.policy().verdict == "bad"
    settings.ORDERS_ON_HOSTED_MACHINE = True
    assert trading.policy().verdict == "warn"


def test_the_venue_is_asked_whether_it_answers_and_takes_our_key(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    stage = Stage()
    with served(stage, credentials=Credentials("trader", "right")) as url:
        login = LoginFactory(base_url=url, user_name="trader", api_key="right")
        assert trading.answers().sentence == "not looked at, nothing runs"  # paper: nothing of ours runs
        with single_instance(tmp_path / "run"):
            good = trading.answers()
            assert good.verdict == "ok"
            assert re.fullmatch(r"paper answers in \d+ ms and lists 1 account\(s\)", good.sentence)
            Login.objects.filter(pk=login.pk).update(api_key="wrong", token="")
            bad = trading.answers()
            assert (bad.verdict, "code 3 INVALID_CREDENTIALS" in bad.sentence, "wrong" in bad.sentence) == (
                "bad",
                True,
                False,
            )
    venues.forget()


def test_a_venue_that_is_not_there_is_broken(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    LoginFactory(base_url="http://127.0.0.1:1")
    with single_instance(tmp_path / "run"):
        finding = trading.answers()
    assert (finding.verdict, "ConnectError" in finding.sentence) == ("bad", True)
    venues.forget()


def test_a_calendar_that_ends_within_two_weeks_is_broken():
    assert trading.calendar().verdict == "bad"
    calendar_until(10)
    assert trading.calendar().verdict == "bad"
    calendar_until(20)
    assert trading.calendar().verdict == "ok"


def test_a_key_that_others_may_read_is_broken(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("ENCRYPTION_KEY")
    settings.VAR_DIR = tmp_path
    key = tmp_path / "encryption_key"
    key.touch(mode=0o600)
    assert installation.secrets().verdict == "ok"
    key.chmod(0o640)
    assert installation.secrets().verdict == "bad"


def test_a_silent_process_is_broken_while_the_system_runs(settings, tmp_path):
    from tradingbot.models import Heartbeat

    settings.VAR_DIR = tmp_path
    Heartbeat.objects.create(name="worker-high", at=now() - timedelta(seconds=200), host="here")
    assert running.signs_of_life().verdict == "ok"
    with single_instance(tmp_path / "run"):
        finding = running.signs_of_life()
    assert (finding.verdict, "worker-high" in finding.sentence) == ("bad", True)


def test_the_command_prints_json_and_fails_when_something_is_broken(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    out = StringIO()
    with pytest.raises(SystemExit) as error:
        call_command("doctor", json=True, stdout=out)
    assert error.value.code == 1
    found = {finding["name"]: finding["verdict"] for finding in json.loads(out.getvalue())}
    assert (found["python"], found["broker"]) == ("ok", "bad")


def test_a_sentence_is_printed_as_it_is():
    out = StringIO()
    Command(stdout=out)._print_table([doctor.Finding("var", "bad", "/home/me/[bots]/var: [Errno 13], not [/mine]")])
    assert out.getvalue().rstrip() == "var  bad  /home/me/[bots]/var: [Errno 13], not [/mine]"
