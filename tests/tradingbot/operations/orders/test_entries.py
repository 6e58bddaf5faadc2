"""From a decision to working brackets, fills, and the end of the pair."""

from __future__ import annotations

from decimal import Decimal

from market.orders import OrderStatus, Role
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Account, Fill, Notification, Order, OrderEvent, Outcome, Position, Trade
from tradingbot.operations import orders, protection, reconciliation


def statuses(*rows: Order) -> list[str]:
    for row in rows:
        row.refresh_from_db()
    return [row.status for row in rows]


def test_open_commits_intents_and_sends_nothing(desk: Desk) -> None:
    decision = desk.pair()
    assert decision.outcome == Outcome.ORDERED, decision.sentence
    assert sorted(decision.orders.values_list("role", "status")) == [
        ("entry", "new"), ("entry", "new"),
        ("stop", "suspended"), ("stop", "suspended"),
        ("target", "suspended"), ("target", "suspended"),
    ]  # fmt: skip
    assert desk.ledger() == []


def test_each_entry_is_sent_once_with_its_bracket(desk: Desk) -> None:
    buy, sell = desk.send(desk.pair())
    assert statuses(buy, sell) == ["working", "working"]
    assert [orders.send(order, now=desk.now) for order in (buy, sell)] == [False, False]
    tags = [tag for tag, *_ in desk.ledger()]
    assert sorted(tags) == sorted(t for o in (buy, sell) for t in (o.tag, f"{o.tag}-SL", f"{o.tag}-TP"))


def test_an_entry_waits_while_its_account_is_to_be_compared_with_the_venue(desk: Desk) -> None:
    entries = list(desk.pair().orders.filter(role=Role.ENTRY))
    Account.objects.update(reconciled_at=None)
    assert [orders.send(order, now=desk.now) for order in entries] == [False, False]
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert [orders.send(order, now=desk.now) for order in entries] == [True, True]


def test_the_first_fill_cancels_the_opposite_entry(desk: Desk) -> None:
    buy, sell = desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    assert reconciliation.check_fills(desk.account, now=desk.now, max_age=0) == 1
    assert statuses(buy, sell) == ["filled", "cancel_pending"]
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    assert statuses(buy, sell) == ["filled", "cancelled"]
    position = Position.objects.get()
    assert (position.quantity, position.average_price) == (3, Decimal(21005))
    stop, target = buy.legs.order_by("role")
    assert statuses(stop, target) == ["working", "working"]
    assert (stop.stop_price, target.limit_price) == (Decimal(20995), Decimal(21020))
    assert {leg.status for leg in sell.legs.all()} == {OrderStatus.CANCELLED}


def test_the_stop_closes_the_trade_and_the_account_ends_without_orders(desk: Desk) -> None:
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    desk.minute(22, 22, -25, -21)  # through the stop at -20, not through the sell entry: that was cancelled
    for _ in range(2):
        reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
        protection.check(desk.account, now=desk.now, max_age=0)
    trade = Trade.objects.get()
    # 40 ticks x $0.50 x 3 contracts = $60.00; costs $0.61 a side and contract
    assert (trade.gross, trade.fees + trade.commissions, trade.net) == (
        Decimal("-60.00"), Decimal("3.66"), Decimal("-63.66"),
    )  # fmt: skip
    assert trade.exit_role == Role.STOP
    assert Position.objects.get().quantity == 0
    assert not Order.objects.live().exists()


def test_checking_twice_books_nothing_twice(desk: Desk) -> None:
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    booked = [reconciliation.check_fills(desk.account, now=desk.now, max_age=0) for _ in range(3)]
    assert booked == [1, 0, 0]
    before = OrderEvent.objects.count()
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    settled = OrderEvent.objects.count()
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert OrderEvent.objects.count() == settled >= before
    assert Fill.objects.count() == 1


def test_both_entries_filled_flattens_and_says_so(desk: Desk) -> None:
    buy, sell = desk.send(desk.pair())
    desk.minute(0, 25, -25, 0)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    desk.account.refresh_from_db()
    assert desk.account.flatten_requested_at is not None
    assert statuses(buy, sell) == ["filled", "filled"]
    assert Notification.objects.filter(title__endswith="flattening").exists()


def test_the_same_strategy_cannot_enter_twice_on_one_side(desk: Desk, make_strategy) -> None:
    desk.strategy = make_strategy(desk)
    assert desk.pair().outcome == Outcome.ORDERED
    again = desk.pair()
    assert (again.outcome, again.code) == (Outcome.DENIED, "entry_taken")
    assert Order.objects.filter(role=Role.ENTRY).count() == 2


def test_an_expired_entry_is_cancelled(desk: Desk) -> None:
    buy, sell = desk.send(desk.pair())
    Order.objects.filter(pk=buy.pk).update(expires_at=desk.now)
    orders.sweep(now=desk.now)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    assert statuses(buy, sell) == ["cancelled", "working"]


def test_an_intent_whose_time_is_over_is_never_sent(desk: Desk) -> None:
    decision = desk.pair()
    decision.orders.update(expires_at=desk.now)
    assert [order.status for order in desk.send(decision)] == ["new", "new"]
    orders.sweep(now=desk.now)
    assert set(decision.orders.values_list("status", flat=True)) == {"expired", "cancelled"}
    assert desk.ledger() == []
