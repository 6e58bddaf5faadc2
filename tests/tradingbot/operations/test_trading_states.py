"""Who may trade: states of one account and of all, the locks of the firm's limits, and the record of each change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal as D

import pytest

from market.orders import OrderStatus, Role
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot.models import Account, CalendarDay, Lock, Notification, Order, StateChange, TradingState
from tradingbot.operations import limits_watch, orders, trading, venues


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    yield Desk.open()
    venues.forget()


def states() -> list[tuple[str | None, str, str, str]]:
    rows = StateChange.objects.order_by("pk").select_related("account")
    return [(row.account and row.account.name, row.before, row.after, row.by) for row in rows]


def lose(desk: Desk, dollars: int, *, daily: int | None = None) -> None:
    """Let the account have lost so much today, and look at its limits."""
    Account.objects.update(balance=D(50_000 - dollars), daily_loss_limit=daily)
    desk.account.refresh_from_db()
    limits_watch.check(desk.account, now=desk.now)
    desk.account.refresh_from_db()


def flat(desk: Desk) -> None:
    Account.objects.update(flatten_requested_at=None)
    desk.account.refresh_from_db()


@pytest.mark.parametrize("state", [TradingState.REDUCE_ONLY, TradingState.HALTED])
def test_no_entry_leaves_while_all_accounts_are_stopped_and_none_is_admitted(desk: Desk, state: TradingState):
    decision = desk.pair()
    assert trading.halt_all(reason="news", by="ada", now=desk.now, state=state)
    assert [order.status for order in desk.send(decision)] == ["new", "new"]
    assert desk.ledger() == []
    denied = desk.pair()
    assert (denied.code, denied.sentence) == (state.value, f"All accounts are {state.label}: news.")
    assert ("all accounts", state.label, "active", False) in [
        (rule["rule"], rule["value"], rule["limit"], rule["ok"]) for rule in denied.rules
    ]
    assert trading.resume_all(by="ada", now=desk.now)
    assert [order.status for order in desk.send(decision)] == ["working", "working"]
    assert states() == [(None, "active", state.value, "ada"), (None, state.value, "active", "ada")]


def test_stops_and_exits_leave_whatever_is_halted(desk: Desk):
    entry = long_position(desk)
    trading.halt_all(reason="news", by="ada", now=desk.now)
    trading.halt(desk.account, reason="news", by="ada", now=desk.now)
    stop = entry.legs.get(role=Role.STOP)
    assert stop.status == OrderStatus.WORKING
    order = orders.exit(desk.account, desk.contract, 3, now=desk.now, by="ada")
    assert orders.send(order, now=desk.now)


def test_entries_that_work_are_withdrawn_and_protection_stays(desk: Desk):
    entry = long_position(desk)
    other = desk.send(desk.pair(up=400, down=-400))
    assert {order.status for order in other} == {"working"}
    trading.halt(desk.account, reason="news", by="ada", now=desk.now, state=TradingState.REDUCE_ONLY)
    orders.sweep(now=desk.now)
    for order in other:
        order.refresh_from_db()
    assert {order.status for order in other} <= {"cancel_pending", "cancelled"}
    assert entry.legs.get(role=Role.STOP).status == OrderStatus.WORKING


def test_a_weaker_or_shorter_stop_changes_nothing_and_a_longer_one_does(desk: Desk):
    later = desk.now + timedelta(hours=2)
    assert trading.halt(desk.account, reason="until later", by="limit watch", until=later, now=desk.now)
    assert not trading.halt(
        desk.account, reason="less", by="ada", until=later, now=desk.now, state=TradingState.REDUCE_ONLY
    )
    assert trading.halt(desk.account, reason="by hand", by="ada", now=desk.now)
    account = Account.objects.get()
    assert (account.trading_state, account.state_until, account.state_reason) == ("halted", None, "by hand")
    assert trading.end_locks(now=later + timedelta(days=1)) == 0


def test_a_daily_loss_locks_until_the_next_open_and_only_a_typed_name_lifts_it_earlier(desk: Desk):
    lose(desk, 1000, daily=1000)
    opens = CalendarDay.objects.filter(opens_at__gt=desk.now).order_by("opens_at").first().opens_at
    assert (desk.account.lock, desk.account.lock_until, desk.account.state_until) == (Lock.DAILY_LOSS, opens, opens)
    flat(desk)
    for words in ({}, {"override": desk.account.name}, {"reason": "wrong limit", "override": "50K"}):
        with pytest.raises(ValueError, match="type its name as the override and give a reason"):
            trading.resume(desk.account, by="ada", now=desk.now, **words)
    assert trading.resume(desk.account, by="ada", now=desk.now, reason="wrong limit", override=desk.account.name)
    assert states()[-1][1:] == ("halted", "active", "ada")
    lose(desk, 1000, daily=1000)
    flat(desk)
    assert desk.account.trading_state == TradingState.HALTED  # the limit is still reached
    assert trading.end_locks(now=opens) == 1
    assert Account.objects.get().lock == Lock.NONE


def test_a_maximum_loss_ends_by_a_person_with_a_reason_and_not_while_it_is_reached(desk: Desk):
    lose(desk, 2000)
    assert (desk.account.lock, desk.account.state_until) == (Lock.MAXIMUM_LOSS, None)
    flat(desk)
    assert trading.end_locks(now=desk.now + timedelta(days=30)) == 0
    with pytest.raises(ValueError, match="a reason is required"):
        trading.resume(desk.account, by="ada", now=desk.now)
    with pytest.raises(ValueError, match="the account is lost at"):
        trading.resume(desk.account, by="ada", now=desk.now, reason="reset bought")
    Account.objects.update(balance=None)
    with pytest.raises(ValueError, match="not known"):
        trading.resume(desk.account, by="ada", now=desk.now, reason="reset bought")
    Account.objects.update(balance=D(50_000))
    assert trading.resume(desk.account, by="ada", now=desk.now, reason="reset bought")


def test_a_maximum_loss_after_a_daily_loss_is_the_graver_lock(desk: Desk):
    lose(desk, 1000, daily=1000)
    lose(desk, 2000, daily=1000)
    assert (desk.account.lock, desk.account.state_until) == (Lock.MAXIMUM_LOSS, None)


def test_a_halt_by_hand_outlasts_the_daily_lock(desk: Desk):
    lose(desk, 1000, daily=1000)
    trading.halt(desk.account, reason="enough", by="ada", now=desk.now)
    flat(desk)
    assert trading.end_locks(now=desk.now + timedelta(days=3)) == 0
    assert trading.resume(desk.account, by="ada", now=desk.now + timedelta(days=3))


def test_warnings_come_once_also_after_a_restart(desk: Desk):
    said = []
    for lost in (999, 1000, 1000, 1400, 1100, 1800, 1900):
        venues.forget()  # what a process knows is gone with it
        lose(desk, lost)
        said.append(Notification.objects.filter(title__contains="% of the maximum loss").count())
    assert said == [0, 1, 1, 2, 2, 3, 3]


def test_the_emergency_stop_halts_all_and_each_and_leaves_the_record(desk: Desk):
    long_position(desk)
    assert orders.emergency_stop(reason="smoke", by="ada", now=desk.now) == [desk.account]
    assert trading.overall().trading_state == TradingState.HALTED
    assert [row[2] for row in states()] == ["halted", "halted", "flattening"]
    assert Account.objects.get().flatten_requested_at == desk.now
    orders.emergency_stop(reason="smoke", by="ada", now=desk.now)
    assert len(states()) == 3
    assert Order.objects.live().exists()
