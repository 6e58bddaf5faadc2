"""Backtests and searches in the panel: what their figures say, and in which order a page tells them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from tests.factories import NOW, StrategyFactory
from tests.tradingbot.browsing import words
from tests.tradingbot.days import TODAY
from tradingbot.models import Backtest, Search

BACKTESTS = reverse("admin:tradingbot_backtest_changelist")


@pytest.fixture
def backtest(contract) -> Backtest:
    return Backtest.objects.create(
        strategy="ema_cross", contract=contract, first=TODAY, last=TODAY, asked_by="ada", asked_at=NOW, state="done",
        trades=5, net=-5, max_drawdown=Decimal("10867.74"), win_rate=0.4, page=b"x",
        parameters={"filter_trend": True, "slow_period": "21", "fast_period": "9"},
        document={"told": [["strategy", "ema_cross on MNQZ6"], ["net", "-$5.00"], ["won", "2 (40.0%)"]]},
    )  # fmt: skip


def test_a_drawdown_reads_as_a_loss(panel, backtest):
    assert '<span class="tb-num tb-down">-$10,867.74</span>' in panel.get(BACKTESTS).content.decode()


def test_a_list_has_two_facts_in_a_column_and_the_report_in_sight(panel, backtest):
    text = words(panel.get(BACKTESTS))
    assert "ema_cross on MNQZ6 18 Nov 2026 to 18 Nov 2026 -$5.00" in text
    assert "breached" not in text
    assert "open report" in text


def test_the_page_tells_the_report_the_result_and_then_the_parameters_in_their_order(panel, backtest):
    text = words(panel.get(reverse("admin:tradingbot_backtest_change", args=[backtest.pk])))
    told = [
        "done",
        "Open the report",
        "strategy ema_cross on MNQZ6 net -$5.00 won 2 (40.0%)",
        "fast_period 9 slow_period 21",
        "filter_trend yes",
    ]
    assert sorted(told, key=text.index) == told


def test_the_page_of_a_running_simulation_asks_for_itself_again(panel, backtest):
    Backtest.objects.update(state="running", progress=37)
    page = panel.get(reverse("admin:tradingbot_backtest_change", args=[backtest.pk]))
    assert "37 %" in words(page)
    assert page.headers["Refresh"] == "3"


def test_a_new_simulation_is_run_not_saved_and_its_contract_is_chosen_beforehand(panel, contract, account):
    StrategyFactory(name="anna", account=account, symbol=contract.symbol, enabled=True)
    page = panel.get(reverse("admin:tradingbot_backtest_add"))
    assert f'<option value="{contract.pk}" selected>' in page.content.decode()
    assert '<option value="anna" selected>' in page.content.decode()
    text = words(page)
    assert " Run " in text
    assert "Save" not in text


@pytest.fixture
def search(contract) -> Search:
    chosen = {"name": "stop_atr", "values": ["2", "1", "2", "2"], "common": 0.75, "spread": 0.4330}
    window = {
        "tested": ["2026-07-28", "2026-08-24"],
        "values": {"stop_atr": "2"},
        "score": 1.5,
        "tested_score": -1.2305,
    }
    walk = {"windows": [window], "net": -10.5, "trades": 3, "efficiency": None, "stability": [chosen]}
    best = [{"values": {"stop_atr": "2"}, "score": -1.2305, "net": -2669.16, "trades": 1101}]
    return Search.objects.create(
        strategy="ema_cross", contract=contract, axes={"stop_atr": ["1", "2"]}, method="grid", objective="sharpe",
        first=TODAY, last=TODAY, asked_by="ada", asked_at=NOW, evaluated=2, held_out=3, score=-1.2305, walked_net=-10.5,
        passes=0.25, breaches=0.75, document={"best": best, "walk_forward": walk},
    )  # fmt: skip


def test_a_search_tells_money_as_money_and_its_steadiness_in_words(panel, search):
    page = panel.get(reverse("admin:tradingbot_search_change", args=[search.pk]))
    text = words(page)
    assert "2 -1.23 -$2,669.16 1,101" in text
    assert '<span class="tb-num tb-down">-$2,669.16</span>' in page.content.decode()
    assert "2026-07-28 2026-08-24 2 1.50 -1.23" in text
    assert "– (what was chosen had no positive result to compare with)" in text
    assert "stop_atr 2 in 3 of 4 windows, the others all over its axis: no value can be relied on" in text
    assert "25.0 %" in text


def test_the_list_of_searches_tells_score_and_odds(panel, search):
    text = words(panel.get(reverse("admin:tradingbot_search_changelist")))
    assert "ema_cross on MNQZ6" in text
    assert "sharpe -1.23" in text
    assert "25% / 75%" in text
