"""Pages of the rules: the rulebook, one account's progress, overrides with their question, personal limits, news."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from django.urls import reverse

from tests.factories import NOW
from tests.tradingbot.browsing import words
from tests.tradingbot.days import TODAY
from tradingbot.admin import account_rules
from tradingbot.models import Account, Balance, NewsEvent, Payout, PersonalRules, Rule, RuleOverride
from tradingbot.operations import rules


@pytest.fixture
def account(day) -> Account:
    Account.objects.filter(pk=day.account.pk).update(stage="combine", max_lots=5)
    day.account.refresh_from_db()
    return day.account


def ended(account, *balances) -> None:
    """Write balances with which the days before today ended, the first of them before any trade."""
    from datetime import timedelta

    for back, balance in enumerate(reversed(balances), start=1):
        day = TODAY - timedelta(days=back)
        Balance.objects.create(
            account=account, at=NOW, session_date=day, balance=balance, open_profit=0, end_of_day=True
        )
    Account.objects.filter(pk=account.pk).update(
        balance=balances[-1], session_start_balance=balances[-1], session_date=TODAY
    )


def test_the_rulebook_says_what_binds_with_source_and_date(panel, db):
    text = words(panel.get(reverse("rulebook")))
    assert "Every rule was checked at its source on 10 Oct 2026 or later" in text
    assert "profit target $3,000 $6,000 $9,000 net profit that passes" in text
    assert "consistency ratio 55 % 55 % 55 %" in text
    assert "2 lots up to $1,500, 3 lots up to $2,000, 5 lots above" in text
    assert "help.topstep.com" in text
    assert "CL 3 6 9" in text
    assert "CPI, 5 minutes before to 5 after" in text


def test_an_old_rulebook_is_marked_and_a_wrong_one_named(panel, db, monkeypatch):
    monkeypatch.setattr(account_rules, "STALE_AFTER", 30)
    assert "39 days ago: read the firm's pages again" in words(panel.get(reverse("rulebook")))
    Rule.objects.filter(topic="products").update(values={"symbols": ["XYZ"]})
    text = words(panel.get(reverse("rulebook")))
    assert "The rulebook cannot be used" in text
    assert "topstep products from 2024-08-25: symbols names XYZ: no such product" in text


def test_progress_of_a_combine_in_plain_sentences(panel, account):
    ended(account, 50_000, 51_800, 52_700, 53_000)
    text = words(panel.get(reverse("account-rules", args=[account.pk])))
    assert "To pass: $272.73 more net profit, no open position." in text
    assert "The best day, $1,800.00, is more than 55 % of the target: $3,272.73 are needed instead" in text
    assert "Today $272.73 more still help; a day above $1,800.00 raises what is needed." in text
    assert "Days traded 3" in text
    assert "Tue 17 Nov 2026 +$300.00" in text
    assert "maximum loss $2,000 rulebook: combine 50K from 2026-09-17" in text


def test_a_new_account_says_that_nothing_was_traded(panel, account):
    ended(account, 50_000)
    account.trades.all().delete()
    account.positions.all().delete()
    text = words(panel.get(reverse("account-rules", args=[account.pk])))
    assert "To pass: $3,000.00 more net profit, 2 more trading day(s)." in text
    assert "Nothing was traded yet." in text
    assert "No day has ended with a result yet" in text


def test_progress_of_an_express_account_names_both_paths_and_begins_anew_after_a_payout(panel, account):
    Account.objects.filter(pk=account.pk).update(stage="express", size=50, start_balance=0, highest_eod_balance=0)
    ended(account, 0, 500, 800, 1250)
    page = reverse("account-rules", args=[account.pk])
    text = words(panel.get(page))
    assert "Payout on the standard path: missing 2 more day(s) of at least $150 net; 3 so far." in text
    assert "Payout on the consistency path: up to $625.00 may be asked for, $562.50 of it reach you." in text
    Payout.objects.create(account=account, session_date=TODAY, amount=625, seen_at=NOW)
    text = words(panel.get(page))
    assert "missing 5 more day(s) of at least $150 net; 0 so far; a net profit since the last payout" in text


def test_an_account_without_rules_says_what_to_set(panel, account):
    Account.objects.filter(pk=account.pk).update(name="SOMETHING", stage="unknown")
    text = words(panel.get(reverse("account-rules", args=[account.pk])))
    assert "The account's stage is not known: set stage and size" in text
    assert "Nothing: the rulebook has no entry for this stage and size" in text


FORM = {"parameter": "maximum_loss", "value": "1500", "effective_from": "2026-11-18", "reason": "dashboard"}


def test_an_override_asks_first_and_is_shown_with_who_and_why(panel, account):
    page = reverse("override", args=[account.pk])
    assert "One rule that is another for this account" in words(panel.get(page))
    text = words(panel.post(page, FORM))
    assert "maximum loss of 50KTC-1001: $2,000 (rulebook: combine 50K from 2026-09-17) becomes $1,500" in text
    assert not RuleOverride.objects.exists()
    text = words(panel.post(page, FORM | {"sure": "yes"}, follow=True))
    assert "maximum loss $1,500 override by ada from 2026-11-18 dashboard" in text
    account.refresh_from_db()
    assert account.maximum_loss == 1500
    row = RuleOverride.objects.get()
    withdraw = f"/admin/tradingbot/ruleoverride/{row.pk}/withdraw/"
    assert "It was set by ada: dashboard" in words(panel.get(withdraw))
    assert "the rulebook holds again" in words(panel.post(withdraw, follow=True))
    account.refresh_from_db()
    assert account.maximum_loss == 2000


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"value": "-1"}, "maximum_loss is -1: it must be above 0"),
        ({"value": "x"}, "Enter a number"),
        ({"reason": ""}, "required"),
        ({"effective_from": "soon"}, "valid date"),
        ({"parameter": "consistency_ratio", "value": "55"}, "at most 1"),
    ],
)
def test_a_wrong_override_names_the_field(panel, account, changes, text):
    assert text in words(panel.post(reverse("override", args=[account.pk]), FORM | changes))
    assert not RuleOverride.objects.exists()


def test_who_may_only_look_changes_nothing_and_sees_no_account(onlooker, account):
    assert onlooker.post(reverse("override", args=[account.pk]), FORM | {"sure": "yes"}).status_code == 403
    assert onlooker.get(reverse("account-rules", args=[account.pk])).status_code == 403
    row = rules.override(account, "max_lots", D(3), effective_from=TODAY, reason="x", by="ada", now=NOW, on=TODAY)
    assert onlooker.post(f"/admin/tradingbot/ruleoverride/{row.pk}/withdraw/").status_code == 403


def test_personal_limits_are_reached_from_the_account_and_checked(panel, account):
    there = panel.get(reverse("personal", args=[account.pk]))
    assert there.status_code == 302
    form = {"account": account.pk, "daily_loss": "400", "trailing": "on", "loss_action": "flatten"}
    form |= {"daily_profit": "", "profit_action": "halt", "governor": "reduce", "governor_safety": "50"}
    assert panel.post(there.url, form).status_code == 302
    row = PersonalRules.objects.get()
    assert (row.daily_loss, row.trailing, row.daily_profit, row.governor) == (400, True, None, "reduce")
    again = panel.get(reverse("personal", args=[account.pk]))
    assert str(row.pk) in again.url
    assert "positive" in words(panel.post(again.url, form | {"daily_loss": "-1"}))


def test_a_news_event_is_typed_with_products_that_exist(panel, db):
    page = reverse("admin:tradingbot_newsevent_add")
    form = {
        "title": "CPI",
        "kind": "cpi",
        "at_0": "2026-12-10",
        "at_1": "08:30",
        "action": "block",
        "symbols": "nq, mnq",
    }
    form |= {"minutes_before": "5", "minutes_after": "5", "steps-TOTAL_FORMS": "0", "steps-INITIAL_FORMS": "0"}
    assert "XYZ: no such product" in words(panel.post(page, form | {"symbols": "XYZ"}))
    assert panel.post(page, form).status_code == 302
    event = NewsEvent.objects.get()
    assert (event.symbols, event.source, event.at.hour) == ("NQ MNQ", "ada", 13)  # typed in New York
