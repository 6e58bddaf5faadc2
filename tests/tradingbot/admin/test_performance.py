"""The performance page: figures, a curve for the charts, what to do while there is nothing."""

from __future__ import annotations

import json
import re

import pytest

from tests.tradingbot.browsing import words
from tests.tradingbot.operations.fillings import Filling
from tradingbot.models import Account, DayResult, Strategy, Trade


def test_an_empty_system_says_what_to_do(panel):
    assert "No account yet" in words(panel.get("/admin/performance/"))


def test_an_account_without_a_trade_says_when_there_will_be_something(panel, account):
    assert f"{account} has not closed a trade yet" in words(panel.get("/admin/performance/"))


@pytest.fixture
def traded(account, contract) -> Filling:
    anna = Strategy.objects.create(name="anna", kind="overnight_range", account=account, symbol="MNQ")
    filling = Filling(account, contract)
    filling.turn(anna, "100", "150")
    filling.turn(None, "100", "90")
    return filling


def test_the_page_of_an_account_has_figures_periods_causes_and_the_curve(panel, traded):
    page = panel.get("/admin/performance/")
    text = words(page)
    assert "Net +$77.56 Trades 2 in 1 of 1 sessions Expectancy a trade +$38.78" in text
    assert "Gross +$80.00 Won 1 (50.0 %) Average win +$98.78" in text
    assert "by hand 1 0.0 % $1.22 -$21.22" in text
    curve = re.search(r'<script id="curve" type="application/json">(.*?)</script>', page.content.decode())
    assert json.loads(curve[1]) == [{"time": "2026-11-18", "total": 77.56, "fall": 0.0}]
    assert "performance.js" in page.content.decode()


def test_the_page_of_a_strategy_leaves_out_what_others_did(panel, traded):
    anna = Strategy.objects.get()
    text = words(panel.get(f"/admin/performance/strategy/{anna.pk}/"))
    assert "Net +$98.78" in text
    assert "-$21.22" not in text
    assert panel.get("/admin/performance/strategy/999/").status_code == 404


def test_the_page_takes_as_many_queries_for_many_days_as_for_one(panel, traded, django_assert_max_num_queries):
    panel.get("/admin/performance/")
    with django_assert_max_num_queries(40) as few:
        panel.get("/admin/performance/")
    row = DayResult.objects.first()
    for day in range(1, 15):
        row.pk, row.session_date = None, row.session_date.replace(day=day)
        row.save()
    traded.turn(None, "100", "101")
    assert Trade.objects.count() == 3
    with django_assert_max_num_queries(len(few)):
        panel.get("/admin/performance/")
    assert Account.objects.count() == 1


def test_the_largest_drawdown_reads_as_a_loss(panel, traded):
    traded.turn(None, "100", "60")
    assert "Largest drawdown -$102.44" in words(panel.get("/admin/performance/"))
