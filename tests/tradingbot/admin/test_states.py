"""Arming, locks, limits and the permit on the pages of accounts and strategies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from tests.factories import NOW
from tests.tradingbot.browsing import words
from tradingbot import one_time_codes
from tradingbot.models import Account, Login, StateChange, Strategy


@pytest.fixture(autouse=True)
def market_time_stands(standing_clock) -> None:
    """Every page is of 09:20 New York."""


def action(name: str, account: Account) -> str:
    return reverse(f"admin:tradingbot_account_{name}", args=[account.pk])


def test_arming_wants_the_accounts_name_typed(panel, day):
    Login.objects.update(venue="projectx")
    page = action("arm", day.account)
    assert "Auto OCO Brackets" in words(panel.get(page))
    assert "is not the account&#x27;s name" in panel.post(page, {"typed": "50KTC"}, follow=True).content.decode()
    assert Account.objects.get().armed_at is None
    assert "is armed until" in words(panel.post(page, {"typed": "50KTC-1001"}, follow=True))
    assert "armed" in words(panel.get("/admin/"))
    panel.post(action("disarm", day.account), {"reason": "lunch"})
    account = Account.objects.get()
    assert (account.armed_at, account.bracket_mode) == (None, "auto_oco")
    assert StateChange.objects.filter(kind="arming", by="ada").count() == 2


def test_arming_asks_for_a_code_where_one_is_set_up(panel, day, settings):
    Login.objects.update(venue="projectx")
    page = action("arm", day.account)
    assert "authenticator" not in words(panel.get(page))
    key = settings.ARMING_TOTP_SECRET = b"12345678901234567890"
    assert "code of your authenticator app" in words(panel.get(page)).lower()
    assert "code: it is wrong" in words(panel.post(page, {"typed": "50KTC-1001", "code": "000000"}, follow=True))
    code = one_time_codes.code(key, one_time_codes.step_of(NOW))
    assert "is armed until" in words(panel.post(page, {"typed": "50KTC-1001", "code": code}, follow=True))


def test_a_daily_loss_lock_is_lifted_with_name_and_reason(panel, day):
    until = NOW + timedelta(hours=9)
    Account.objects.update(trading_state="halted", lock="daily_loss", lock_until=until, state_until=until)
    page = action("resume", day.account)
    panel.post(page, {"reason": "", "override": ""})
    assert Account.objects.get().trading_state == "halted"
    panel.post(page, {"reason": "wrong limit", "override": "50KTC-1001"})
    assert Account.objects.get().trading_state == "active"


def test_reduce_only_is_offered_for_one_account(panel, day):
    page = panel.get(reverse("admin:tradingbot_account_change", args=[day.account.pk])).content.decode()
    assert action("reduce", day.account) in page
    panel.post(action("reduce", day.account), {"reason": "thin"})
    assert Account.objects.get().trading_state == "reduce_only"


def test_the_accounts_page_shows_permit_margin_and_its_own_limits(panel, day):
    text = words(panel.get(reverse("admin:tradingbot_account_change", args=[day.account.pk])))
    for shown in ("reconciled", "bracket mode", "clock against the venue", "age of prices", "Limits of your own"):
        assert shown in text
    assert " $4,884.00 , 9.7 % of equity" in text  # two MNQ; no tag is shown as text
    assert "<span" not in text


def test_a_strategys_limits_are_fields_and_a_wrong_one_says_what_is_right(panel, day):
    page = reverse("admin:tradingbot_strategy_change", args=[day.strategy.pk])
    text = words(panel.get(page))
    assert "Limits of this strategy" in text
    form = {
        f"parameter_{name}": ("on" if value else "") if isinstance(value, bool) else str(value)
        for name, value in day.strategy.parameters.items()
    }
    form = {key: value for key, value in form.items() if value} | {"enabled": "on"}
    refused = panel.post(page, form | {"entry_windows": "nine to ten"})
    assert "write it like 09:30-11:00" in words(refused)
    saved = panel.post(page, form | {"entry_windows": "09:30-11:00", "max_entries_a_day": "2", "loss_streak": "3"})
    assert saved.status_code == 302, words(saved)
    strategy = Strategy.objects.get()
    assert (strategy.entry_windows, strategy.max_entries_a_day, strategy.loss_streak) == ("09:30-11:00", 2, 3)
    assert strategy.history.first().max_entries_a_day == 2


def test_a_strategy_that_its_drawdown_stopped_is_released_with_a_reason(panel, day):
    Strategy.objects.update(stopped_reason="$900.00 below its best total", stopped_at=NOW)
    page = reverse("admin:tradingbot_strategy_release", args=[day.strategy.pk])
    assert "$900.00 below its best total" in words(panel.get(page))
    panel.post(page, {"reason": "looked at it"})
    assert Strategy.objects.get().stopped_reason == ""
