"""From the cache to rows and pages: which bars are taken, what is refused, what a worker and a person do."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from backtest.codes import Policy
from backtest.portfolio import Sharing
from market.bars import Bars, epoch
from market.calendar import generate
from strategies.parameters import ParameterError
from tests.backtest.live import MadeMarket
from tests.factories import AccountFactory, ContractFactory, StrategyFactory
from tradingbot.models import Account, Backtest, BarDay, Contract, Search
from tradingbot.operations import backtests, calendar
from tradingbot.operations.backtests import portfolios, records, wishes
from tradingbot.operations.bars.storing import record_in
from tradingbot.tasks.background import backtest

NOW = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)
FIRST, LAST = date(2026, 10, 1), date(2026, 11, 18)
SESSIONS = generate(FIRST, LAST)
WISH = backtests.Wish("overnight_range", "MNQ", {})

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def patient(db) -> None:
    """A test is one transaction, and a worker's simulation is none: PostgreSQL must not tire of waiting."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


@pytest.fixture(scope="module")
def market() -> MadeMarket:
    return MadeMarket(SESSIONS, seed=5)


FILLED: list[BarDay] = []


@pytest.fixture
def mnq(market) -> Contract:
    calendar.ensure_calendar(now=NOW)
    contract = ContractFactory(name="MNQZ6")
    if FILLED:  # packed once a test process: the days are the same for every test
        for day in FILLED:
            day.pk, day.contract = None, contract
        BarDay.objects.bulk_create(FILLED)
    else:
        fill(contract, market, SESSIONS)
        FILLED.extend(BarDay.objects.all())
    return contract


def fill(contract, market, sessions, *, volume: int = 100) -> None:
    for session in sessions:
        bars = market.of(session)
        made = Bars(*bars.columns[:5], np.full(len(bars), volume, np.int64))
        record_in(contract, session, made, source="test", covered_until=session.closes_at, now=NOW)


class TestHistory:
    def test_one_month_is_one_stretch_that_ends_with_the_range(self, mnq):
        needs = [(WISH.planner, WISH.params)]
        found = backtests.history(mnq, needs, first=date(2026, 11, 2), last=date(2026, 11, 13), now=NOW)
        (stretch,) = found.stretches
        assert (found.sessions[0], found.sessions[-1], len(found.sessions)) == (
            date(2026, 11, 2),
            date(2026, 11, 13),
            10,
        )
        assert stretch.sessions[0].trade_date < date(2026, 11, 2)  # bars to warm up on
        assert stretch.base.opened_at[-1] < epoch(NOW) - 4 * 86_400
        assert stretch.daily is not None
        assert len(stretch.daily) == 31  # October and November up to the session before the last

    def test_a_hole_ends_the_daily_series_and_what_is_seen(self, market):
        calendar.ensure_calendar(now=NOW)
        contract = ContractFactory(name="MNQZ6")
        hole = next(session for session in SESSIONS if session.trade_date == date(2026, 11, 4))
        fill(contract, market, [session for session in SESSIONS if session is not hole])
        known = hole.rth_opens_at - timedelta(hours=2)
        record_in(
            contract, hole, market.of(hole).between(hole.opens_at, known), source="test", covered_until=known, now=NOW
        )
        found = backtests.history(contract, [(WISH.planner, WISH.params)], first=None, last=None, now=NOW)
        before, after = found.stretches
        assert found.holes == (hole.trade_date,)
        assert (before.last, before.seen_until) == (hole.trade_date, epoch(known))
        assert after.daily is not None
        assert after.daily.opened_at[0] > epoch(hole.closes_at) - 86_400

    def test_each_session_takes_the_month_that_traded_more_in_the_one_before(self, market):
        calendar.ensure_calendar(now=NOW)
        old, new = ContractFactory(name="MNQU6", active=False), ContractFactory(name="MNQZ6")
        fill(old, market, SESSIONS[:20], volume=100)
        fill(new, market, SESSIONS[:10], volume=10)
        fill(new, market, SESSIONS[10:], volume=200)
        found = backtests.history(new, [(WISH.planner, WISH.params)], first=None, last=None, now=NOW)
        assert [(s.contract.id[-3:], s.first) for s in found.stretches] == [
            ("U26", SESSIONS[0].trade_date),
            ("Z26", SESSIONS[11].trade_date),
        ]

    def test_an_empty_range_says_what_there_is(self, mnq):
        with pytest.raises(backtests.NoBars, match="it holds 2026-10-01 to 2026-11-18"):
            backtests.history(mnq, [], first=date(2026, 7, 1), last=date(2026, 7, 31), now=NOW)

    def test_a_product_without_bars_says_what_to_do(self):
        with pytest.raises(backtests.NoBars, match="import_bars"):
            backtests.history(ContractFactory(), [], first=None, last=None, now=NOW)

    def test_a_range_that_ends_before_it_begins_is_refused(self, mnq):
        with pytest.raises(ValueError, match="before it begins"):
            backtests.history(mnq, [], first=LAST, last=FIRST, now=NOW)


class TestWish:
    def test_an_unknown_parameter_is_met_with_the_nearest(self):
        with pytest.raises(ParameterError, match="did you mean stop_atr"):
            backtests.Wish("overnight_range", "MNQ", {"stop_art": "2"}).check()

    def test_an_unknown_strategy_and_account_type_name_what_there_is(self):
        with pytest.raises(ValueError, match="did you mean overnight_range"):
            wishes.configured("overnight_rang")
        with pytest.raises(ValueError, match="combine-50"):
            wishes.rules_of("combine-75", LAST)

    def test_rules_are_the_rulebooks(self):
        rules = wishes.rules_of("combine-50-dll", LAST)
        assert rules is not None
        assert (rules.start, rules.maximum_loss, rules.daily_loss, rules.target) == (50_000, 2000, 1000, 3000)


class TestRows:
    def test_a_worker_runs_what_was_asked_and_keeps_figures_and_page(self, mnq):
        row = records.ask(WISH, mnq, by="ada")
        backtest()
        row.refresh_from_db()
        assert (row.state, row.progress, row.asked_by, row.reason) == ("done", 100, "ada", "")
        assert row.trades == row.document["statistics"]["trades"] > 5
        assert float(row.net) == row.document["statistics"]["net"]
        page = gzip.decompress(bytes(row.page)).decode()
        assert "LightweightCharts" in page
        assert "https://unpkg" not in page
        assert "<!--DATA-->" not in page

    def test_one_that_was_cancelled_before_it_began_does_not_run(self, mnq):
        row = records.ask(WISH, mnq, by="ada")
        assert records.cancel(row)
        assert not records.run_next(now=NOW)
        row.refresh_from_db()
        assert row.state == "cancelled"

    def test_one_that_is_cancelled_while_it_runs_stops(self, mnq):
        row = records.ask(WISH, mnq, by="ada")
        Backtest.objects.filter(pk=row.pk).update(cancel_requested=True)
        records.run(row, now=NOW)
        row.refresh_from_db()
        assert (row.state, row.page) == ("cancelled", b"")

    def test_what_goes_wrong_ends_in_the_row(self, mnq):
        row = records.ask(
            backtests.Wish("overnight_range", "MNQ", {}, date(2020, 1, 1), date(2020, 2, 1)), mnq, by="ada"
        )
        records.run(row, now=NOW)
        row.refresh_from_db()
        assert row.state == "failed"
        assert "it holds 2026-10-01" in row.reason

    def test_two_workers_run_it_once(self, mnq):
        row = records.ask(WISH, mnq, by="ada")
        Backtest.objects.filter(pk=row.pk).update(state="running")
        assert not records.run(row, now=NOW)


class TestPanel:
    @pytest.fixture
    def panel(self, client):
        client.force_login(User.objects.create_superuser("ada"))
        return client

    def test_a_simulation_is_asked_for_watched_and_opened(self, panel, mnq):
        add = reverse("admin:tradingbot_backtest_add")
        assert panel.get(add).status_code == 200
        form = {
            "strategy": "overnight_range", "contract": mnq.pk, "parameters": "stop_atr=2.5\nbreakeven=no", "first": "",
            "last": "", "slippage": "2", "policy": int(Policy.PESSIMISTIC), "firm": "combine-50",
        }  # fmt: skip
        assert panel.post(add, form).status_code == 302
        row = Backtest.objects.get()
        assert (row.parameters["stop_atr"], row.slippage, row.state, row.asked_by) == ("2.5", 2, "queued", "ada")
        watched = panel.get(reverse("admin:tradingbot_backtest_changelist"))
        assert watched.headers["Refresh"] == "3"
        records.run_next(now=NOW)
        listed = panel.get(reverse("admin:tradingbot_backtest_changelist"))
        assert "Refresh" not in listed.headers
        assert "open report" in listed.content.decode()
        shown = panel.get(reverse("admin:tradingbot_backtest_change", args=[row.pk])).content.decode()
        assert "expectancy a trade" in shown
        report = panel.get(reverse("admin:tradingbot_backtest_report", args=[row.pk]))
        assert b"LightweightCharts" in report.content
        assert "default-src 'none'" in report.headers["Content-Security-Policy"]

    @pytest.mark.parametrize(
        ("field", "value", "told"),
        [
            ("parameters", "stop_art=2", "did you mean stop_atr"),
            ("parameters", "stop_atr", "is not NAME=VALUE"),
            ("last", "2020-01-01", "is before"),
        ],
    )
    def test_a_wrong_wish_is_said_at_its_field(self, panel, mnq, field, value, told):
        form = {
            "strategy": "overnight_range", "contract": mnq.pk, "parameters": "", "first": "2026-10-01", "last": "",
            "slippage": "1", "policy": "0", "firm": "", field: value,
        }  # fmt: skip
        answer = panel.post(reverse("admin:tradingbot_backtest_add"), form)
        assert told in answer.content.decode()
        assert not Backtest.objects.exists()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["ema_cross"], "say on what, for example ema_cross:MNQ"),
        (["ema_crss:MNQ"], "did you mean ema_cross?"),
        (["ema_cross:MNQ", "ema_cross:mnq"], "named twice"),
    ],
)
def test_a_wrong_portfolio_is_refused_before_any_bar_is_read(typed, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        portfolios.together(portfolios.named(typed), Sharing())


class TestCommand:
    @pytest.fixture
    def run(self, mnq, monkeypatch):
        from io import StringIO

        from django.core.management import CommandError, call_command

        AccountFactory()
        monkeypatch.setattr("tradingbot.management.commands.backtest.now", lambda: NOW)
        monkeypatch.setattr("tradingbot.management.commands.optimise.now", lambda: NOW)
        monkeypatch.setattr("tradingbot.management.commands.portfolio.now", lambda: NOW)

        def command(*typed: str) -> tuple[int, str]:
            out = StringIO()
            try:
                call_command(*typed, stdout=out, stderr=StringIO())
            except CommandError as error:
                return error.returncode, str(error)
            return 0, out.getvalue()

        return command

    def test_figures_report_and_row(self, run, tmp_path):
        page = tmp_path / "report.html"
        code, out = run("backtest", "overnight_range", "MNQ", "--report", str(page), "--save", "--odds")
        assert code == 0
        assert "combine-50" in out
        assert "by weekday" in out
        assert "LightweightCharts" in page.read_text()
        assert Backtest.objects.get().state == "done"

    @pytest.mark.parametrize(
        ("typed", "code", "told"),
        [
            (["nonsense", "MNQ"], 2, "there is no strategy 'nonsense'"),
            (["overnight_range", "MNQ", "--set", "stop_art=2"], 2, "did you mean stop_atr"),
            (["overnight_range", "MNQ", "--set", "stop_atr=99"], 2, "above the most allowed"),
            (["overnight_range", "MNQ", "--set", "stop_atr"], 2, "is not NAME=VALUE"),
            (["overnight_range", "MNQ", "--firm", "combine-75"], 2, "unknown account type"),
            (["overnight_range", "MNQ", "--from", "2020-01-01", "--to", "2020-02-01"], 1, "the cache holds|it holds"),
            (["overnight_range", "MNQ", "--from", "2026-11-01", "--to", "2026-10-01"], 2, "before it begins"),
        ],
    )
    def test_bad_input_is_one_clear_line(self, run, typed, code, told):
        got, out = run("backtest", *typed)
        assert got == code
        assert any(part in out for part in told.split("|"))
        assert "\n" not in out

    def test_strategies_together_are_one_account(self, run, tmp_path):
        page = tmp_path / "report.html"
        typed = ("overnight_range:MNQ", "ema_cross:MNQ", "--report", str(page), "--save", "--from", "2026-11-10")
        code, out = run("portfolio", *typed)
        assert code == 0
        assert "by strategy" in out
        assert "ema_cross MNQ" in page.read_text()
        row = Backtest.objects.get()
        first, second = row.document["parts"]
        assert row.strategy == "portfolio"
        assert row.trades == first["trades"] + second["trades"]
        assert second["contract_taken"] > 0  # the overnight range is at work in MNQ through most of the morning
        assert float(row.net) == pytest.approx(first["net"] + second["net"])

    def test_without_names_the_accounts_own_strategies_are_taken(self, run):
        account = Account.objects.get()
        assert run("portfolio")[1].startswith("no strategy of")
        StrategyFactory(name="mine", account=account, kind="ema_cross", enabled=True)
        StrategyFactory(name="off", account=account, kind="ema_cross", enabled=False)
        code, out = run("portfolio", "--from", "2026-11-16", "--json")
        assert code == 0
        assert [part["name"] for part in json.loads(out)["parts"]] == ["mine MNQ"]

    def test_a_search_holds_the_newest_sessions_out(self, run, settings, tmp_path):
        settings.VAR_DIR = tmp_path
        typed = [
            "optimise",
            "overnight_range",
            "MNQ",
            "--search",
            "stop_atr=1,2",
            "--least-trades",
            "1",
            "--processes",
            "1",
        ]
        code, out = run(*typed, "--walk", "12:5", "--name", "one", "--save")
        assert code == 0
        assert "held out" in out
        assert "looked at now" not in out
        assert (tmp_path / "searches" / "one.jsonl").exists()
        assert "looked at now" in run(*typed, "--unlock", "--save")[1]
        unlocked, walked = Search.objects.all()
        assert walked.axes == {"stop_atr": ["1", "2"]}
        assert (walked.evaluated, walked.best["stop_atr"] in "12", walked.held_out_net) == (2, True, None)
        assert walked.walked_net is not None
        assert (unlocked.walked_net, unlocked.held_out_net is not None) == (None, True)
        panel = Client()
        panel.force_login(User.objects.create_superuser("trader"))
        listed = panel.get(reverse("admin:tradingbot_search_changelist")).content.decode()
        assert f"{walked.held_out} locked" in listed
        told = panel.get(reverse("admin:tradingbot_search_change", args=[walked.pk])).content.decode()
        assert f"{walked.document['walk_forward']['windows'][0]['tested'][0]}" in told

    @pytest.mark.parametrize(
        ("typed", "told"),
        [
            (["--search", "stop_art=1,2"], "no parameter of overnight_range"),
            (["--search", "stop_atr=90,95"], "no value of stop_atr is possible"),
            ([], "nothing to search"),
            (["--search", "stop_atr=1,2", "--walk", "400:20"], "too few for one window"),
        ],
    )
    def test_a_wrong_search_is_one_clear_line(self, run, typed, told):
        code, out = run("optimise", "overnight_range", "MNQ", "--processes", "1", "--least-trades", "1", *typed)
        assert (code, told in out) == (2, True), out
