"""One strategy to many accounts: each by its own rules and by its own room."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from django.db.models import F

from tests.factories import NOW, ContractFactory
from tradingbot.models import Account, Strategy
from tradingbot.operations import copies, strategies

KNOWN = {
    "balance": 50_000,
    "start_balance": 50_000,
    "highest_eod_balance": 50_000,
    "maximum_loss": 2_000,
    "max_lots": 5,
}


@pytest.fixture
def original(account) -> Strategy:
    ContractFactory()
    Account.objects.filter(pk=account.pk).update(**KNOWN, stage="combine", size=50)
    strategies.sync(now=NOW)
    Strategy.objects.filter(name="overnight_range").update(
        parameters=Strategy.objects.get(name="overnight_range").parameters | {"size": 4, "risk_per_trade": "300"},
        max_entries_a_day=2,
        enabled=True,
    )
    return Strategy.objects.select_related("account__login").get(name="overnight_range")


def other(original: Strategy, number: int, **changes: object) -> Account:
    facts = {"broker_account_id": number, "name": f"50KTC-V2-{number}", "stage": "combine", "size": 50, **KNOWN}
    return Account.objects.create(login=original.account.login, **facts | changes)


def test_size_and_risk_follow_the_room_to_the_floor(original):
    accounts = [
        other(original, 1),
        other(original, 2, balance=49_200),  # $1,200 of $2,000
        other(original, 3, balance=48_100),  # $100: not even one at full scale, and never none
        other(original, 4, name="150KTC-V2-4", size=150, maximum_loss=4_500, start_balance=150_000, balance=150_000,
              highest_eod_balance=150_000),
    ]  # fmt: skip
    planned = copies.compare(original, accounts, now=NOW)
    assert [(one.size, one.share, one.why) for one in planned] == [
        (4, D("1.000"), ""), (2, D("0.600"), ""), (1, D("0.050"), ""), (9, D("2.250"), ""),
    ]  # fmt: skip
    made = copies.make(original, planned, by="ada", now=NOW)
    assert [row.name for row in made][:2] == ["overnight_range-50ktc-v2-1", "overnight_range-50ktc-v2-2"]
    row = Strategy.objects.get(name="overnight_range-50ktc-v2-2")
    params = row.typed_parameters()
    assert (row.enabled, row.account.name, row.symbol, row.max_entries_a_day) == (False, "50KTC-V2-2", "MNQ", 2)
    assert (params.size, params.risk_per_trade) == (2, D("180.00"))
    assert params.atr_period == original.typed_parameters().atr_period
    assert row.history.get().history_change_reason == "copied from overnight_range by ada"


def test_accounts_that_may_not_have_it_say_why(original):
    accounts = [
        original.account,
        other(original, 5, stage="live"),
        other(original, 6, balance=None),
        other(original, 7, balance=48_000),
        other(original, 8, max_lots=None),
        other(original, 9, size=None, name="TC-9"),
    ]
    planned = copies.compare(original, accounts, now=NOW)
    assert [one.why for one in planned] == [
        "it is the original's",
        "its stage is live: it is not traded by a program",
        "its room to the floor is not known",
        "it has no room left to its floor",
        "its size limit is not known",
        "the rulebook has no rules for its stage and size",
    ]
    assert copies.make(original, planned, by="ada", now=NOW) == []
    twice = other(original, 10)
    copies.make(original, copies.compare(original, [twice], now=NOW), by="ada", now=NOW)
    assert "already" in copies.compare(original, [twice], now=NOW)[0].why


def test_never_more_than_the_rules_of_the_account_allow(original):
    small = other(original, 11, max_lots=D("0.2"))
    Account.objects.filter(pk=original.account_id).update(balance=F("balance") - 1_000)
    original = Strategy.objects.select_related("account__login").get(pk=original.pk)
    (planned,) = copies.compare(original, [small], now=NOW)
    assert (planned.share, planned.size) == (D("2.000"), 2)


def test_without_a_known_room_of_the_original_there_is_nothing_to_size_by(original):
    Account.objects.filter(pk=original.account_id).update(highest_eod_balance=None)
    original = Strategy.objects.select_related("account__login").get(pk=original.pk)
    with pytest.raises(ValueError, match="room to the floor is not known"):
        copies.compare(original, [other(original, 12)], now=NOW)
