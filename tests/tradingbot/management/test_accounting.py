"""stats, rebuild_accounting: what a person and a script read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.factories import calendar_days
from tests.tradingbot.management.conftest import NOW
from tests.tradingbot.operations.fillings import Filling
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
