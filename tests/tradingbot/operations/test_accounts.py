"""Accounts: found with the right limits or none, the floor rebuilt from executions, limits that stop an account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.db.models.functions import Now

from brokers.base import AccountReport, ReadFailed
from brokers.simulated.broker import SimulatedBroker
from tests.tradingbot.operations.ledgers import BusyBroker, go, open_desk, trade
from tests.tradingbot.operations.orders.desk import START, Desk
from tradingbot.models import Account, Balance, Login, Notification, Position, Stage, TradingState
from tradingbot.operations import accounts, limits_watch, risk_states, venues

WEDNESDAY = date(2026, 11, 18)
THURSDAY_MORNING = datetime(2026, 11, 19, 15, 0, tzinfo=UTC)
FRIDAY_MORNING = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
AFTER_CLOSE = datetime(2026, 11, 18, 21, 15, tzinfo=UTC)  # 15:15 Chicago


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    yield open_desk()
    venues.forget()


def refresh(desk: Desk) -> Account:
    accounts.refresh(desk.account, now=desk.now)
    return desk.account


def found(desk: Desk, name: str, balance: int) -> Account:
    desk.venue.open_account(name, D(balance), desk.now)
    return next(a for a in accounts.discover(desk.account.login, now=desk.now) if a.name == name)


@pytest.mark.parametrize(
    ("name", "balance", "expected"),
    [
        ("100KTC-V2-7", 100_000, (Stage.COMBINE, 100_000, 3000, None, 10, 97_000)),
        ("50KTC-V2-DLL-7", 50_000, (Stage.COMBINE, 50_000, 2000, 1000, 5, 48_000)),
        ("50KXFA-V2-7", 0, (Stage.EXPRESS, 0, 2000, None, 5, -2000)),
        ("PRAC-V2-7", 150_000, (Stage.PRACTICE, 150_000, 4500, None, 15, 145_500)),
        ("PRAC-V2-8", 148_321, (Stage.PRACTICE, 148_321, 4500, None, 15, 143_821)),
        ("EXPRESS-V2-7", 0, (Stage.EXPRESS, None, None, None, None, None)),
        ("SOMETHING-7", 50_000, (Stage.UNKNOWN, None, None, None, None, None)),
        ("LFA-7", 10_000, (Stage.LIVE, None, None, None, None, None)),
    ],
)
def test_a_new_account_gets_the_limits_of_its_name_and_an_unknown_one_none(desk, name, balance, expected):
    account = found(desk, name, balance)
    account.refresh_from_db()
    limits = (account.start_balance, account.maximum_loss, account.daily_loss_limit, account.max_lots)
    assert (account.stage, *limits, risk_states.floor_of(account)) == expected


def test_an_account_whose_balance_its_executions_do_not_explain_has_no_floor_and_says_so(desk):
    account = found(desk, "50KTC-V2-9", 51_000)
    assert (account.highest_eod_balance, risk_states.floor_of(account)) == (None, None)
    assert "highest end-of-day balance" in Notification.objects.get(key=f"account-found:{account.pk}").body


def test_the_floor_of_an_account_with_a_proven_history_is_exact(desk):
    first = trade(desk, 300)  # Wednesday
    go(desk, THURSDAY_MORNING)
    trade(desk, -100)
    Account.objects.all().delete()
    (account,) = accounts.discover(desk.account.login, now=desk.now)
    assert account.highest_eod_balance == 50_000 + first
    assert risk_states.floor_of(account) == 48_000 + first


def test_the_first_account_is_selected_and_a_second_discovery_changes_nothing(desk):
    other = found(desk, "50KTC-V2-2-2", 50_000)
    before = list(Account.objects.order_by("pk").values())
    accounts.discover(desk.account.login, now=desk.now)
    assert list(Account.objects.order_by("pk").values()) == before
    assert Account.objects.get(selected=True).pk != other.pk
    assert Notification.objects.filter(title__startswith="Account found").count() == 2


@pytest.fixture
def real(desk, settings):
    """The desk's login as one at the real venue, with a practice account and two combines."""
    Login.objects.update(venue="projectx")
    settings.PROJECTX_ACCOUNTS = ["prac-", "50KTC-V2-77"]
    Account.objects.all().delete()
    for name in ("PRAC-V2-1", "50KTC-V2-77-1", "50KTC-V2-78-1"):
        desk.venue.open_account(name, D(50_000), desk.now)
    return Login.objects.get()


def test_only_the_accounts_that_are_named_are_watched_and_selected(desk, real):
    venues.use(real, desk.broker)
    accounts.discover(real, now=desk.now)
    enabled = dict(Account.objects.values_list("name", "enabled"))
    assert {name for name, on in enabled.items() if on} == {"PRAC-V2-1", "50KTC-V2-77-1"}
    assert len(enabled) == 4
    assert Account.objects.get(selected=True).name == "PRAC-V2-1"
    Account.objects.update(enabled=True)
    accounts.discover(real, now=desk.now)
    assert not Account.objects.get(name="50KTC-V2-78-1").enabled  # nobody trades it by a click


def test_an_account_that_is_no_longer_named_is_looked_after_while_something_is_open(desk, real, settings, contract):
    venues.use(real, desk.broker)
    accounts.discover(real, now=desk.now)
    held = Account.objects.get(name="50KTC-V2-77-1")
    position = Position.objects.create(account=held, contract=contract, quantity=1, average_price=20_000)
    settings.PROJECTX_ACCOUNTS = ["PRAC-"]
    accounts.discover(real, now=desk.now)
    assert Account.objects.get(pk=held.pk).enabled
    position.delete()
    accounts.discover(real, now=desk.now)
    assert not Account.objects.get(pk=held.pk).enabled


def test_after_a_reset_the_old_account_is_not_traded_and_the_new_one_selected(desk):
    old = desk.account
    with desk.venue.ledger.transaction():
        report = desk.venue.ledger.account(old.broker_account_id)
        desk.venue.ledger.set_account(replace(report, can_trade=False, visible=False))
    new = found(desk, "50KTC-V2-1-2", 50_000)
    accounts.discover(old.login, now=desk.now)
    old.refresh_from_db()
    assert (old.can_trade, old.selected, Account.objects.get(selected=True)) == (False, False, new)
    assert Notification.objects.filter(title__startswith="Account gone", level="alert").count() == 1
    accounts.refresh(old, now=desk.now)
    assert Notification.objects.filter(title__startswith="Account gone").count() == 1


def test_a_locked_account_is_seen_as_locked(desk):
    desk.venue.set_account(desk.account.broker_account_id, desk.now, can_trade=False)
    assert refresh(desk).can_trade is False


class Failing(SimulatedBroker):
    def accounts(self) -> list[AccountReport]:
        raise ReadFailed("HTTP 502")


def test_a_failed_read_is_neither_a_vanished_account_nor_a_new_balance(desk):
    before = Account.objects.values().get()
    venues.use(desk.account.login, Failing(desk.venue, lambda: desk.now))
    for call in (
        lambda: accounts.refresh(desk.account, now=desk.now),
        lambda: accounts.discover(desk.account.login, now=desk.now),
    ):
        with pytest.raises(ReadFailed):
            call()
    assert Account.objects.values().get() == before


def test_balances_are_kept_once_a_minute_and_on_change(desk):
    Balance.objects.all().delete()
    for seconds in (0, 20, 40, 61, 70):
        accounts.refresh(desk.account, now=desk.now + timedelta(seconds=seconds))
    assert Balance.objects.count() == 2
    net = trade(desk, 10)
    accounts.refresh(desk.account, now=START + timedelta(seconds=75))
    newest = Balance.objects.first()
    assert (Balance.objects.count(), newest.balance, newest.floor) == (3, 50_000 + net, 48_000)


def test_a_session_begins_with_what_executions_leave_of_the_balance(desk):
    net = trade(desk, 25, quantity=2)
    Account.objects.update(session_date=None, session_start_balance=None)
    desk.account.refresh_from_db()
    account = refresh(desk)
    assert (account.session_date, account.session_start_balance) == (WEDNESDAY, 50_000)
    assert account.day_profit == net


def test_the_day_begins_anew_with_the_next_session(desk):
    net = trade(desk, 25)
    refresh(desk)
    go(desk, datetime(2026, 11, 18, 23, 0, 30, tzinfo=UTC))  # 18:00:30 New York: Thursday's session
    account = refresh(desk)
    assert (account.session_date, account.session_start_balance) == (date(2026, 11, 19), 50_000 + net)
    assert account.day_profit == 0


def test_the_floor_follows_the_end_of_day_once_and_not_the_day_before_it(desk):
    net = trade(desk, 300)
    assert risk_states.floor_of(refresh(desk)) == 48_000
    go(desk, AFTER_CLOSE)
    for _ in range(2):
        closing = accounts.end_of_day(desk.account, now=desk.now)
        assert (closing.session_date, closing.balance, closing.floor) == (WEDNESDAY, 50_000 + net, 48_000 + net)
    assert Balance.objects.filter(end_of_day=True, session_date=WEDNESDAY).count() == 1
    assert risk_states.floor_of(desk.account) == 48_000 + net


def test_a_late_end_of_day_takes_the_balance_with_which_the_next_session_began(desk):
    net = trade(desk, 300)
    go(desk, THURSDAY_MORNING)
    refresh(desk)
    trade(desk, -50)
    refresh(desk)
    closing = accounts.end_of_day(desk.account, now=desk.now)
    assert (closing.session_date, closing.balance) == (WEDNESDAY, 50_000 + net)


def test_days_traded_while_the_system_was_off_raise_the_floor(desk):
    refresh(desk)
    go(desk, THURSDAY_MORNING)
    high = trade(desk, 500)
    go(desk, datetime(2026, 11, 20, 15, 0, tzinfo=UTC))
    low = trade(desk, -300)
    go(desk, datetime(2026, 11, 23, 15, 0, tzinfo=UTC))
    account = refresh(desk)
    assert account.highest_eod_balance == 50_000 + high
    assert account.session_start_balance == 50_000 + high + low


def test_a_payout_fixes_the_floor_of_an_express_account(db):
    desk = open_desk("50KXFA-V2-1", 0)
    net = trade(desk, 400)
    go(desk, AFTER_CLOSE)
    accounts.end_of_day(desk.account, now=desk.now)
    assert risk_states.floor_of(desk.account) == net - 2000
    desk.broker.paid = D(300)
    go(desk, THURSDAY_MORNING)
    account = refresh(desk)
    assert risk_states.floor_of(account) == 0
    assert Notification.objects.filter(title__startswith="Payout").count() == 1
    venues.forget()


def test_an_execution_during_the_first_read_of_a_session_loses_no_day_before_it(desk):
    refresh(desk)
    go(desk, THURSDAY_MORNING)
    high = trade(desk, 500)
    go(desk, FRIDAY_MORNING)
    low = trade(desk, -300)
    go(desk, datetime(2026, 11, 23, 15, 0, tzinfo=UTC))
    venues.use(desk.account.login, BusyBroker(desk.venue, lambda: desk.now))
    assert refresh(desk).session_date == WEDNESDAY
    venues.use(desk.account.login, desk.broker)
    account = refresh(desk)
    assert account.highest_eod_balance == 50_000 + high
    assert (account.session_date, account.session_start_balance) == (date(2026, 11, 23), 50_000 + high + low)


@pytest.fixture
def express(db: None) -> Iterator[Desk]:
    yield open_desk("50KXFA-V2-1", 0)
    venues.forget()


def ends_of_days(desk: Desk) -> dict[date, D]:
    return dict(desk.account.balances.filter(end_of_day=True).values_list("session_date", "balance"))


def test_a_payout_after_a_day_that_nobody_closed_leaves_that_day_what_it_was(express):
    first = trade(express, 500)
    go(express, AFTER_CLOSE)
    accounts.end_of_day(express.account, now=express.now)
    go(express, THURSDAY_MORNING)
    refresh(express)
    second = trade(express, 200)
    express.broker.paid = D(500)
    go(express, FRIDAY_MORNING)
    account = refresh(express)
    assert list(account.payouts.values_list("session_date", "amount")) == [(date(2026, 11, 20), 500)]
    assert ends_of_days(express)[date(2026, 11, 19)] == first + second
    assert risk_states.floor_of(account) == 0
    assert account.session_start_balance == first + second - 500


def test_a_late_end_of_day_does_not_take_a_payout_for_a_loss_of_its_day(express):
    net = trade(express, 500)
    express.broker.paid = D(500)
    go(express, THURSDAY_MORNING)
    refresh(express)
    for _ in range(2):
        assert accounts.end_of_day(express.account, now=express.now).balance == net
    assert express.account.payouts.get().amount == 500


@pytest.mark.parametrize(
    ("points", "left"),
    [
        (-250, "12.34"),  # a data fee while the account has lost: the floor stands at -2,000
        (-250, "200"),
        (500, "124.99"),  # less than the least that is paid out
        (124, "130"),  # of 246.78 dollars half is less than that, too
        (500, "1000"),  # more than there was
    ],
)
def test_money_that_cannot_be_a_payout_leaves_the_floor_where_it_is(express, points, left):
    net = trade(express, points)
    go(express, AFTER_CLOSE)
    accounts.end_of_day(express.account, now=express.now)
    floor = risk_states.floor_of(express.account)
    express.broker.paid = D(left)
    go(express, THURSDAY_MORNING)
    account = refresh(express)
    assert risk_states.floor_of(account) == floor == max(net, D(0)) - 2000
    assert (account.trading_state, account.payouts.count()) == (TradingState.ACTIVE, 0)
    assert account.session_start_balance == net - D(left)


def later(desk: Desk) -> Account:
    """Read the account when the balance that we have is too old for an entry."""
    Account.objects.update(balance_read_at=Now() - timedelta(seconds=91))
    desk.account.refresh_from_db()
    return refresh(desk)


@pytest.fixture
def paid(db: None) -> Iterator[tuple[Desk, D, D]]:
    """An Express account with a daily loss limit of 1,000 that lost 101.22 today and was paid 1,100 after that."""
    desk = open_desk("50KXFA-V2-DLL-1", 0)
    before = trade(desk, 1200)
    go(desk, AFTER_CLOSE)
    accounts.end_of_day(desk.account, now=desk.now)
    go(desk, THURSDAY_MORNING)
    refresh(desk)
    today = trade(desk, -50)
    refresh(desk)
    desk.broker.paid = D(1100)
    yield desk, before, today
    venues.forget()


def test_a_payout_inside_a_session_fixes_the_floor_and_is_no_loss_of_the_day(paid):
    desk, before, today = paid
    account = refresh(desk)  # executions that explain it may still come
    assert (account.trading_state, account.day_profit, account.payouts.count()) == (TradingState.ACTIVE, today, 0)
    account = later(desk)
    assert list(account.payouts.values_list("session_date", "amount")) == [(date(2026, 11, 19), 1100)]
    assert (account.trading_state, account.day_profit) == (TradingState.ACTIVE, today)
    assert (account.balance, account.session_start_balance) == (before + today - 1100, before - 1100)
    assert risk_states.floor_of(account) == 0
    later(desk)
    assert account.payouts.count() == 1
    go(desk, AFTER_CLOSE + timedelta(days=1))
    assert accounts.end_of_day(desk.account, now=desk.now).balance == before + today - 1100
    go(desk, FRIDAY_MORNING)
    account = refresh(desk)
    assert (account.payouts.count(), account.session_start_balance) == (1, before + today - 1100)


def test_money_that_an_execution_explains_later_was_no_payout(paid):
    """The venue's list of executions lags behind its balance: what is missing for a minute is a loss."""
    desk, before, today = paid
    refresh(desk)
    desk.broker.paid = D(0)
    loss = trade(desk, -550)
    account = later(desk)
    assert (account.payouts.count(), account.balance) == (0, before + today + loss)
    assert account.trading_state == TradingState.HALTED


def test_money_missing_while_the_positions_differ_from_the_venues_is_no_payout_yet(paid):
    desk, *_ = paid
    Position.objects.update(broker_quantity=1)
    assert later(desk).payouts.count() == 0
    Position.objects.update(broker_quantity=0)
    assert refresh(desk).payouts.get().amount == 1100


def test_the_daily_loss_limit_halts_until_the_next_session_and_flattens(db):
    desk = open_desk("50KTC-V2-DLL-1")
    trade(desk, -100, quantity=5)  # -1,006.10
    account = refresh(desk)
    next_open = datetime(2026, 11, 18, 23, 0, tzinfo=UTC)
    assert (account.trading_state, account.state_until) == (TradingState.HALTED, next_open)
    assert account.state_reason.startswith("Daily loss limit reached: -1,006.10 of -1,000.00")
    assert Notification.objects.filter(kind="risk", level="alert", account=account).exists()
    venues.forget()


def test_a_day_of_the_same_loss_without_the_limit_goes_on(desk):
    trade(desk, -100, quantity=5)
    assert refresh(desk).trading_state == TradingState.ACTIVE


def test_touching_the_floor_halts_for_good_and_an_open_position_counts(desk):
    desk.minute(0, 0, 0, 0)
    desk.look()
    desk.send(desk.pair(up=20, stop=1000, quantity=1))
    desk.minute(0, 20, 0, 20)
    desk.look()
    desk.broker.paid = D("1899.39")  # 48,100.00 are left: the entry cost 0.61
    desk.minute(20, 20, -180, -180)  # 50 points below the entry: -100
    desk.look()
    account = desk.account
    assert (account.trading_state, account.state_until) == (TradingState.HALTED, None)
    assert "Maximum loss reached: equity $48,000.00, floor $48,000.00" in account.state_reason
    assert account.flatten_requested_at is not None


def test_warnings_come_once_at_each_level_and_not_on_the_way_back(db):
    desk = open_desk("50KTC-V2-DLL-1")
    for points in (-51, -20, 21, -41, 40, -42):  # 52 %, 73 %, 53 %, 95 %, 56 %, 99 % of 1,000
        trade(desk, points, quantity=5)
        refresh(desk)
    told = Notification.objects.filter(key__contains="daily loss").order_by("pk").values_list("title", flat=True)
    assert [title.split(": ")[1] for title in told] == [
        f"{level} % of the daily loss limit is used" for level in (50, 70, 90)
    ]
    venues.forget()


def test_an_account_without_known_limits_is_watched_without_an_alarm(desk):
    account = found(desk, "SOMETHING-1", 1000)
    accounts.refresh(account, now=desk.now)
    assert limits_watch.check(account, now=desk.now) == ""
    assert account.trading_state == TradingState.ACTIVE
