"""Backtests and searches in the panel: what their figures say, and in which order a page tells them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from tests.factories import NOW
from tests.tradingbot.days import TODAY
from tradingbot.models import Backtest

BACKTESTS = reverse("admin:tradingbot_backtest_changelist")


@pytest.fixture
def backtest(contract) -> Backtest:
    return Backtest.objects.create(
        strategy="ema_cross", contract=contract, first=TODAY, last=TODAY, asked_by="ada", asked_at=NOW, state="done",
        trades=5, net=-5, max_drawdown=Decimal("10867.74"), win_rate=0.4, page=b"x",
    )  # fmt: skip


def test_a_drawdown_reads_as_a_loss(panel, backtest):
    assert '<span class="tb-num tb-down">-$10,867.74</span>' in panel.get(BACKTESTS).content.decode()
