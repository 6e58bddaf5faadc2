"""stats, rebuild_accounting: what a person and a script read."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import load_command_class

from tests.factories import calendar_days
from tests.tradingbot.management.conftest import NOW, make_account
from tests.tradingbot.operations.fillings import Filling
from tradingbot.management.commands.backtest import wish_of
from tradingbot.models import Strategy, Trade


@pytest.fixture
def traded(account, contract) -> Filling:
    calendar_days()
    anna = Strategy.objects.create(name="anna", kind="overnight_range", account=account, symbol="MNQ")
    filling = Filling(account, contract, at=NOW)
    filling.turn(anna, "100", "150")
    filling.turn(None, "100", "90")
    return filling


def test_stats_of_an_account_in_figures_and_tables(run, traded):
    told = run("stats")
    assert told.code == 0
    for words in ("+$77.56", "2 in 1 of 1 sessions", "1 (50.0%)", "by strategy", "by hand", "10:00", "2026-11-18"):
        assert words in told.out


def test_stats_of_a_strategy_by_month_as_json(run, traded):
    document = run("stats", "anna", "--by", "month", "--json").document
    assert (document["name"], document["figures"]["net"], document["figures"]["trades"]) == ("anna", "98.78", 1)
    assert document["months"][0]["session_date"] == "2026-11-01"
    assert "2026-11" in run("stats", "anna", "--by", "month").out


def test_stats_without_a_trade_say_so(run, contract):
    assert run("stats").out == "PRAC-V2-1 has not closed a trade yet\n"
    assert run("stats", "nobody").code == 1


def test_rebuild_accounting_says_that_it_is_the_same(run, traded):
    told = run("rebuild_accounting", "PRAC")
    assert told.out == (
        "PRAC-V2-1: 2 trade(s), 2 day(s) of strategies from 4 fill(s), net +$77.56: what is stored is the same\n"
    )


def test_rebuild_accounting_shows_a_difference_and_repairs_it_only_when_told(run, traded):
    Trade.objects.filter(strategy__name="anna").update(net=1_000)
    told = run("rebuild_accounting")
    assert (told.code, told.error) == (1, "1 figure(s) of PRAC-V2-1 differ; --write stores what the fills say")
    assert "98.78" in told.out
    assert run("rebuild_accounting", "--write").code == 2  # nobody can answer here
    assert run("rebuild_accounting", "--write", "--yes", "--json").document["written"] is True
    assert Trade.objects.get(strategy__name="anna").net == Decimal("98.78")
    assert run("rebuild_accounting", "--json").document["same"] is True


def test_whatif_shows_before_and_after(run, traded):
    told = run("whatif", "PRAC", "--size", "2")
    assert told.code == 0
    assert "+$77.56" in told.out
    assert "+$155.12" in told.out
    assert "no odds: start balance or maximum loss of the account are not set" in told.out
    document = run("whatif", "--stop-after-losses", "1", "--trades", "1", "--json").document
    assert (document["before"]["figures"]["trades"], document["after"]["figures"]["trades"]) == (2, 1)


def test_whatif_refuses_what_is_not_possible(run, account):
    assert run("whatif").error == "PRAC-V2-1 has closed no trade in this time"
    assert run("whatif", "--rules", "combine-7").code == 2
    assert run("whatif", "--size", "0").code == 2


def test_a_backtest_with_measured_costs_needs_real_executions(run, contract):
    typed = ("backtest", "overnight_range", "MNQ", "--costs", "measured")
    refused = run(*typed)
    assert (refused.code, refused.error) == (2, "--costs: no execution of MNQ has told its costs yet; use table")


def test_a_backtest_takes_the_costs_that_were_charged(traded):
    command = load_command_class("tradingbot", "backtest")
    typed = ("overnight_range", "MNQ", "--costs", "measured")
    wish = wish_of(vars(command.create_parser("manage.py", "backtest").parse_args(typed)), "MNQ")
    assert (wish.terms.costs, wish.terms.slippage, wish.plain()["costs"]) == (Decimal("0.61"), 1, "0.61")
    assert wish.plain()["slippage_from"] == "measured: 1 tick from the table, no order has told any"


def test_drift_shows_one_strategy_on_two_accounts_side_by_side(run, login, traded):
    assert run("drift", "overnight_range").code == 1
    other = make_account(login, "PRAC-V2-2", 1002)
    bert = Strategy.objects.create(name="bert", kind="overnight_range", account=other, symbol="MNQ")
    assert run("drift", "mean_reversion").error.startswith("KIND: 'mean_reversion' is not configured on two")
    filling = Filling(other, traded.contract, at=NOW)
    filling.turn(bert, "101", "150", 2)
    first, second = run("drift", "overnight_range", "--json").document
    assert (first["account"], first["net"], first["drift"]) == ("PRAC-V2-1", "98.78", None)
    assert (second["account"], second["entry"], second["net"]) == ("PRAC-V2-2", "101.00", "193.56")
    assert (second["a_contract"], second["drift"]) == ("96.78", "-2.00")
    filling.at += timedelta(days=1)
    filling.turn(bert, "101", "150")
    newest = run("drift", "overnight_range", "--json").document
    assert len(newest) == 2  # of tomorrow nothing is shown today
