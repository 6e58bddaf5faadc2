"""What a row was before is looked at, and never put back past the operations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import models

from tests.factories import NOW
from tests.tradingbot.browsing import words
from tradingbot.models import Account, Notification, Order, PersonalRules, StateChange, Strategy
from tradingbot.operations import strategies, trading


def version(row: models.Model) -> str:
    """Return the address of the oldest version of a row."""
    oldest = row.history.earliest("history_id").pk
    return f"/admin/tradingbot/{row._meta.model_name}/{row.pk}/history/{oldest}/"


@pytest.fixture(params=["account", "strategy", "personal"])
def row(day, request) -> models.Model:
    personal = PersonalRules.objects.create(account=day.account, daily_loss=300)
    return {"account": day.account, "strategy": day.strategy, "personal": personal}[request.param]


def test_a_halt_with_its_lock_is_not_undone_by_an_older_version(panel, day):
    page = version(day.account)
    trading.halt(day.account, reason="the daily loss limit", by="guard", now=NOW)
    Account.objects.update(lock="daily_loss", lock_until=NOW + timedelta(hours=9), flatten_requested_at=NOW)
    before = Account.objects.values().get(), StateChange.objects.count()
    form = {"stage": "practice", "size": "50", "enabled": "on", "bracket_mode": "auto_oco", "sharing": "deny"}
    assert panel.post(page, form).status_code == 403
    assert (Account.objects.values().get(), StateChange.objects.count()) == before


def test_a_strategy_that_was_stopped_is_not_started_by_an_older_version(panel, day):
    page = version(day.strategy)
    strategies.stop(day.strategy, by="ada", now=NOW)
    Strategy.objects.update(stopped_reason="drawdown of $1,000.00")
    before = Strategy.objects.values().get(), Notification.objects.count(), list(Order.objects.values())
    typed = {f"parameter_{name}": str(value) for name, value in day.strategy.parameters.items()}
    assert panel.post(page, typed | {"enabled": "on"}).status_code == 403
    assert (Strategy.objects.values().get(), Notification.objects.count(), list(Order.objects.values())) == before


def test_an_older_version_is_put_back_by_nobody(panel, looking, row):
    before = type(row).objects.values().get()
    for browser in (panel, looking):
        assert browser.post(version(row), {}).status_code == 403
    assert type(row).objects.values().get() == before


def test_every_version_is_readable_also_by_who_may_only_look(panel, looking, row):
    for browser in (panel, looking):
        assert words(browser.get(version(row).rsplit("/", 2)[0] + "/"))
        text = words(browser.get(version(row)))
        assert "50KTC-1001" in text
        assert "Revert" not in text


def test_who_may_only_look_sees_the_parameters_of_a_strategy_and_of_its_versions(looking, day):
    page = version(day.strategy)
    Strategy.objects.update(parameters=day.strategy.parameters | {"stop_atr": "1.75"})
    assert "Stop ATR 1.75 x ATR" in words(looking.get(f"/admin/tradingbot/strategy/{day.strategy.pk}/change/"))
    assert "Stop ATR 2.0 x ATR" in words(looking.get(page))
