"""The rulebook in rows: loaded once, versioned, overridden with a reason; bad data stops entries and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal as D

import pytest

from market.orders import OrderStatus, Role
from risk import rulebook
from risk.gate import Code
from risk.rulebook import RulebookInvalid
from tests.tradingbot.operations.ledgers import open_desk
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import flatten_until_done
from tradingbot.doctor import trading as doctor
from tradingbot.models import Account, Notification, Position, Rule, RulebookLoad, RuleOverride, TradingState
from tradingbot.operations import accounts, limits_watch, reconciliation, risk_states, rulebooks, rules, venues

TEXT = rulebook.FILE.read_text()
TODAY = date(2026, 11, 18)
WRONG = TEXT.replace("maximum_loss = 2_000", "maximum_loss = -2_000", 1)


@pytest.fixture
def desk(db) -> Iterator[Desk]:
    desk = open_desk("50KTC-V2-DLL-1")
    desk.minute(0, 0, 0, 0)
    desk.look()
    yield desk
    venues.forget()


def test_the_rows_say_what_the_file_says_and_loading_it_again_changes_nothing(db, desk):
    shipped, stored = rulebook.shipped(), rulebooks.current()
    assert [entry.subject for entry in stored.entries] == [entry.subject for entry in shipped.entries]
    for stage, size in shipped.accounts():
        for day in (date(2025, 1, 2), TODAY):
            assert stored.parameters(stage, size, day) == shipped.parameters(stage, size, day)
    assert (stored.permitted(TODAY), stored.caps(50, TODAY)) == (shipped.permitted(TODAY), shipped.caps(50, TODAY))
    assert (stored.news("cpi", TODAY), stored.conduct(TODAY)) == (shipped.news("cpi", TODAY), shipped.conduct(TODAY))
    before = list(Rule.objects.values()), RulebookLoad.objects.count()
    assert rulebooks.load(now=desk.now) == []
    assert (list(Rule.objects.values()), RulebookLoad.objects.count()) == before


def test_a_change_of_the_file_changes_its_row_alone_and_the_old_values_stay_in_its_history(desk):
    changed = TEXT.replace("profit_target = 3_000", "profit_target = 3_100", 1)
    assert rulebooks.load(changed, now=desk.now) == ["rulebook: 1 entries written"]
    row = Rule.objects.get(topic="account", stage="combine", size=50, effective_from=date(2024, 8, 25))
    assert [old.values["profit_target"] for old in row.history.all()] == [3100, 3000]
    assert rulebooks.current().parameters("combine", 50, date(2025, 1, 2)).profit_target == 3100


def wrong_file(now) -> None:
    rulebooks.load(WRONG, now=now)


def wrong_row(now) -> None:
    row = Rule.objects.filter(topic="account", stage="combine", size=50).first()
    Rule.objects.filter(pk=row.pk).update(values=row.values | {"maximum_loss": "lots"})


def no_rows(now) -> None:
    Rule.objects.all().delete()


def wrong_override(now) -> None:
    account = Account.objects.get()
    RuleOverride.objects.create(
        account=account, parameter="maximum_loss", value=0, effective_from=TODAY, reason="x", by="ada", at=now
    )


bad_data = pytest.mark.parametrize("spoil", [wrong_file, wrong_row, no_rows, wrong_override])


@bad_data
def test_bad_rule_data_denies_entries_with_a_code_and_a_sentence(desk, spoil):
    spoil(desk.now)
    denied = desk.pair()
    assert (denied.outcome, denied.code) == ("denied", Code.RULEBOOK_INVALID)
    assert denied.sentence.startswith("The rulebook cannot be used: ")
    assert desk.ledger() == []


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (wrong_file, "topstep combine 50K from 2024-08-25: maximum_loss is -2000: it must be above 0"),
        (wrong_row, "topstep combine 50K from 2026-09-17: maximum_loss is 'lots': a number is needed"),
        (no_rows, "it was never loaded: run `python manage.py prepare`"),
    ],
)
def test_doctor_and_front_page_name_entry_and_field(desk, spoil, sentence):
    from tradingbot.admin import overview

    spoil(desk.now)
    finding = doctor.rulebook()
    assert (finding.verdict, finding.sentence) == ("bad", f"no entries: {sentence}")
    state = overview.read(desk.now).state
    assert (state.word, state.tone) == ("No entries", "bad")
    assert sentence in state.sentence


@bad_data
def test_bad_rule_data_leaves_the_loss_limit_watch_flatten_and_protection_running(desk, spoil):
    buy, _ = desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    spoil(desk.now)
    accounts.refresh(desk.account, now=desk.now)
    desk.account.refresh_from_db()
    limits = (desk.account.maximum_loss, desk.account.daily_loss_limit, risk_states.floor_of(desk.account))
    assert limits == (2000, 1000, 48_000)
    stop = buy.legs.get(role=Role.STOP)
    assert stop.status == OrderStatus.WORKING
    worth = risk_states.Worth(D(50_000), D(-1000), D(49_000), D(-1000))
    assert limits_watch.check(desk.account, now=desk.now, worth=worth).startswith("Daily loss limit reached")
    desk.account.refresh_from_db()
    assert desk.account.trading_state == TradingState.HALTED
    assert flatten_until_done(desk) <= 4
    assert Position.objects.get().broker_quantity == 0


def test_a_good_file_after_a_wrong_one_lets_entries_through_again(desk):
    wrong_file(desk.now)
    wrong_file(desk.now)
    assert Notification.objects.filter(title="The rulebook is wrong", level="alert").count() == 1
    with pytest.raises(RulebookInvalid):
        rulebooks.current()
    rulebooks.load(now=desk.now)
    assert desk.pair().outcome == "ordered"


def test_a_rulebook_that_was_not_checked_for_three_months_is_a_warning(desk, monkeypatch):
    monkeypatch.setattr(doctor, "now", lambda: desk.now)
    assert doctor.rulebook().verdict == "ok"
    monkeypatch.setattr(doctor, "now", lambda: desk.now + timedelta(days=60))
    assert doctor.rulebook().verdict == "warn"


class TestOverrides:
    def override(self, desk, value, *, name="maximum_loss", since=TODAY):
        return rules.override(
            desk.account,
            name,
            D(value),
            effective_from=since,
            reason="dashboard says so",
            by="ada",
            now=desk.now,
            on=TODAY,
        )

    def found(self, desk, name):
        desk.account.refresh_from_db()
        return next(row for row in rules.effective(desk.account, TODAY) if row.name == name)

    def test_it_binds_is_shown_with_its_reason_and_ends_when_withdrawn(self, desk):
        assert self.found(desk, "maximum_loss").origin == "rulebook: combine 50K from 2026-09-17"
        row = self.override(desk, 1500)
        found = self.found(desk, "maximum_loss")
        assert (found.value, found.origin) == (1500, "override by ada from 2026-11-18")
        assert found.reason == "dashboard says so"
        assert (desk.account.maximum_loss, risk_states.floor_of(desk.account)) == (1500, 48_500)
        assert "maximum loss 2000.00 → 1500" in Notification.objects.get(title__endswith="limits changed").body
        assert rules.withdraw(row, by="bob", now=desk.now, on=TODAY)
        assert not rules.withdraw(row, by="bob", now=desk.now, on=TODAY)
        assert self.found(desk, "maximum_loss").value == 2000
        assert [old.withdrawn_by for old in row.history.all()] == ["bob", ""]

    def test_a_daily_loss_limit_that_was_not_chosen_says_that_it_does_not_bind(self, desk):
        for chosen, reason in ((False, "optional, and not chosen for this account: it does not bind"), (True, "")):
            Account.objects.update(has_daily_loss_limit=chosen)
            assert self.found(desk, "daily_loss").reason == reason

    def test_one_of_a_later_day_waits_for_it(self, desk):
        self.override(desk, 1500, since=TODAY + timedelta(days=1))
        assert self.found(desk, "maximum_loss").value == 2000
        rules.apply(desk.account, on=TODAY + timedelta(days=1), now=desk.now)
        assert desk.account.maximum_loss == 1500

    def test_one_that_only_the_gate_reads_is_in_its_parameters(self, desk):
        self.override(desk, "0.5", name="consistency_ratio")
        state = risk_states.risk_state(desk.account, desk.contract, None, now=desk.now)
        assert state.rules.parameters.consistency_ratio == D("0.5")

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("maximum_loss", "-1", "maximum_loss is -1: it must be above 0"),
            ("maximum_loss", "0.001", "write dollars and cents"),
            ("consistency_ratio", "55", "consistency_ratio is 55: it must be above 0 and at most 1"),
            ("min_trading_days", "1.5", "must be a whole number"),
            ("start", "1", "start is not set for one account"),
        ],
    )
    def test_a_value_that_cannot_be_is_refused(self, desk, name, value, text):
        with pytest.raises(ValueError, match=text):
            self.override(desk, value, name=name)
        assert not RuleOverride.objects.exists()

    def test_two_of_one_day_are_refused(self, desk):
        self.override(desk, 1500)
        with pytest.raises(ValueError, match="withdraw that one first"):
            self.override(desk, 1400)


def test_a_new_version_binds_from_its_day_on_at_the_begin_of_the_session(desk):
    later = TEXT + (
        '\n[[account]]\nfirm = "topstep"\nstage = "combine"\nsize = 50\neffective_from = 2026-11-19\n'
        'source = "test"\nchecked_on = 2026-11-18\nstart = 50_000\nmaximum_loss = 1_800\ndaily_loss = 900\n'
        "max_lots = 4\nprofit_target = 3_000\nconsistency_ratio = 0.55\nmin_trading_days = 2\n"
        'last_open = "15:08"\nflat_by = "15:10"\nholiday_buffer = 15\n'
    )
    assert rulebooks.load(later, now=desk.now) == ["rulebook: 1 entries written"]
    rules.apply_all(on=TODAY, now=desk.now)
    desk.account.refresh_from_db()
    assert desk.account.maximum_loss == 2000
    from tests.tradingbot.operations.ledgers import go
    from tests.tradingbot.operations.test_accounts import THURSDAY_MORNING

    go(desk, THURSDAY_MORNING)
    accounts.refresh(desk.account, now=desk.now)
    desk.account.refresh_from_db()
    limits = (desk.account.maximum_loss, desk.account.daily_loss_limit, desk.account.max_lots)
    assert limits == (1800, 900, 4)
