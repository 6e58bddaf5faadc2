"""Who may trade, for programs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.factories import NOW
from tradingbot.models import Account, OverallState, StateChange

ALL = "/api/v1/trading-state/"


def test_all_accounts_are_bound_and_released(api, day):
    assert api.get(ALL).json() == {"trading_state": "active", "reason": "", "by": "", "at": None}
    assert api.post(ALL, {"trading_state": "halted"}).json() == {"reason": ["Say why no entry may leave."]}
    halted = api.post(ALL, {"trading_state": "reduce_only", "reason": "thin market"}).json()
    assert (halted["trading_state"], halted["by"]) == ("reduce_only", "ada (api)")
    assert api.get("/status").json()["trading_state"] == "reduce_only"
    assert api.post(ALL, {"trading_state": "active"}).json()["trading_state"] == "active"
    assert StateChange.objects.filter(account=None).count() == 2


def test_one_account_is_stopped_and_its_lock_wants_words(api, day):
    address = f"/api/v1/accounts/{day.account.pk}/trading-state/"
    row = api.post(address, {"trading_state": "halted", "reason": "news"}).json()
    assert (row["trading_state"], row["state_reason"], row["lock"]) == ("halted", "news", "")
    Account.objects.update(lock="daily_loss", lock_until=NOW + timedelta(hours=9))
    refused = api.post(address, {"trading_state": "active"})
    assert (refused.status_code, "type its name" in refused.json()["detail"]) == (409, True)
    words = {"reason": "the limit was wrong", "override": day.account.name}
    assert api.post(address, {"trading_state": "active", **words}).json()["trading_state"] == "active"
    assert api.post("/api/v1/accounts/999999/trading-state/", {"trading_state": "active"}).status_code == 404


def test_the_permit_is_shown_rule_by_rule(api, day):
    rules = api.get(f"/api/v1/accounts/{day.account.pk}/permit/").json()
    assert {"rule", "value", "limit", "ok", "note"} == set(rules[0])
    assert "age of prices" in {rule["rule"] for rule in rules}
    browser = APIClient()
    browser.force_login(User.objects.get(username="ada"))
    (account,) = browser.get("/status").json()["accounts"]
    assert [rule["rule"] for rule in account["permit"]["rules"]] == [rule["rule"] for rule in rules]


@pytest.mark.parametrize("path", ["trading-state/", "accounts/1/trading-state/", "accounts/1/permit/"])
def test_only_staff_may(day, path):
    stranger = APIClient()
    stranger.force_authenticate(User.objects.create_user("eve"))
    assert stranger.post(f"/api/v1/{path}", {"trading_state": "halted", "reason": "x"}).status_code == 403
    assert OverallState.objects.get().trading_state == "active"
