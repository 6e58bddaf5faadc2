"""Flatten, protection, breakeven and what others do to the account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from brokers.base import Lane, PlaceOrder, PositionReport
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.faults_events import Fill
from brokers.simulated.tickets import OneOrder
from market.orders import OrderStatus, OrderType, Role, Side
from market.plans import Management
from risk.gate import EntryRequest, EntrySide
from tests.tradingbot.operations.orders.desk import PRICE, START, Desk
from tradingbot.models import Account, Decision, Notification, Order, Outcome, Position, Trade, TradingState
from tradingbot.operations import bars, fills, orders, protection, reconciliation, snapshots
from tradingbot.operations.orders import sweeping


def long_position(desk: Desk, management: Management | None = None) -> Order:
    """Buy 3 at market with a stop 40 ticks below and a target 200 above; return the booked entry."""
    request = EntryRequest(
        contract=desk.spec,
        quantity=3,
        sides=(EntrySide(Side.BUY, OrderType.MARKET, None, 40, 200),),
        reference=PRICE,
    )
    decision = desk.ask(request, management)
    assert decision.outcome == Outcome.ORDERED, decision.sentence
    (entry,) = desk.send(decision)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    entry.refresh_from_db()
    assert entry.status == OrderStatus.FILLED
    return entry


def flatten_until_done(desk: Desk) -> int:
    """Work on a flatten as the tasks do, two machine seconds later each time; return the rounds it took."""
    for rounds in range(1, 9):
        if orders.flatten(desk.account, now=desk.now):
            return rounds
        Account.objects.filter(flat_seen_at__isnull=False).update(flat_seen_at=Now() - timedelta(seconds=3))
    pytest.fail("not flat after eight rounds")


def test_flatten_closes_everything_and_blocks_entries_until_the_session_ends(desk: Desk) -> None:
    long_position(desk)
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)
    assert flatten_until_done(desk) <= 4
    desk.account.refresh_from_db()
    assert desk.account.flatten_requested_at is None
    assert desk.account.trading_state == TradingState.REDUCE_ONLY
    assert desk.account.state_until == datetime(2026, 11, 18, 22, 0, tzinfo=UTC)
    assert not Order.objects.live().exists()
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    assert Trade.objects.get().exit_role == Role.EXIT
    assert desk.pair().outcome == Outcome.DENIED


def test_flatten_cancels_working_entries(desk: Desk) -> None:
    desk.send(desk.pair())
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)
    flatten_until_done(desk)
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.CANCELLED}


def test_past_the_flat_time_a_position_is_closed_without_being_asked(desk: Desk) -> None:
    long_position(desk)
    assert orders.flatten_due(desk.account, now=desk.now)
    desk.now = datetime(2026, 11, 18, 21, 0, 5, tzinfo=UTC)  # 16:00:05 New York
    assert not orders.flatten_due(desk.account, now=desk.now)
    desk.account.refresh_from_db()
    flatten_until_done(desk)
    assert Position.objects.get().quantity == 0


def test_yesterdays_position_is_flattened_as_soon_as_the_machine_is_back(desk: Desk) -> None:
    long_position(desk)
    desk.now = datetime(2026, 11, 19, 14, 0, tzinfo=UTC)  # 09:00 of the next session: far from its own flat time
    assert not orders.flatten_due(desk.account, now=desk.now)
    desk.account.refresh_from_db()
    assert desk.account.flatten_reason == "end of the day"


def test_a_protected_position_is_left_alone(desk: Desk) -> None:
    long_position(desk)
    assert protection.check(desk.account, now=desk.now, max_age=0) == []
    assert desk.venue.ledger.positions(desk.account.broker_account_id) != []


def test_a_cancelled_stop_is_replaced_and_a_position_that_cannot_be_protected_is_closed(desk: Desk) -> None:
    entry = long_position(desk)
    stop = entry.legs.get(role=Role.STOP)
    desk.broker.cancel(desk.account.broker_account_id, stop.broker_order_id)  # by hand, in the platform
    protection.check(desk.account, now=desk.now, max_age=0)
    assert not Order.objects.filter(role=Role.STOP, parent=None).exists()  # it may be an instant between two reads
    waited(4)
    protection.check(desk.account, now=desk.now, max_age=0)
    replaced = Order.objects.get(role=Role.STOP, parent=None)
    assert (replaced.status, replaced.stop_price, replaced.quantity) == (OrderStatus.WORKING, Decimal(20990), 3)
    assert protection.check(desk.account, now=desk.now, max_age=0) == []
    assert Position.objects.get().unprotected_since is None


def test_nine_seconds_without_a_stop_close_the_position(desk: Desk) -> None:
    entry = long_position(desk)
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    protection.check(desk.account, now=desk.now, max_age=0)
    waited(10)
    protection.check(desk.account, now=desk.now, max_age=0)
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    protection.check(desk.account, now=desk.now, max_age=0)  # the target is left over: an orphan
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert not Order.objects.live().exists()


def test_a_foreign_position_is_told_and_left_to_its_owner(desk: Desk) -> None:
    by_hand(desk, 1)
    told_and_left(desk, 1)


@pytest.mark.parametrize("booked", [False, True])
def test_a_foreign_position_after_a_closed_one_of_ours_is_told_and_left_to_its_owner(desk: Desk, booked: bool) -> None:
    long_position(desk)
    desk.minute(0, 0, -45, -42)  # its stop fills
    desk.settle()
    by_hand(desk, 1)
    if booked:
        reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    told_and_left(desk, 1)


def test_what_a_person_holds_beside_a_position_of_ours_is_his_again_when_ours_is_closed(desk: Desk) -> None:
    long_position(desk)
    by_hand(desk, 2)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    assert protection.check(desk.account, now=desk.now, max_age=0)[0].startswith("MNQ: 2 without a stop for ")
    desk.minute(0, 0, -45, -42)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    told_and_left(desk, 2)


def test_a_reading_that_is_older_than_the_newest_fill_makes_no_position_foreign(desk: Desk, monkeypatch) -> None:
    long_position(desk)
    before = desk.broker.positions(desk.account.broker_account_id)
    desk.minute(0, 0, -45, -42)
    with monkeypatch.context() as late:
        late.setattr(desk.broker, "positions", lambda *_, **__: before)  # the stop has filled, the position still shows
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
        protection.check(desk.account, now=desk.now, max_age=60)
    desk.settle()
    assert Position.objects.get().quantity == 0
    assert not Notification.objects.filter(title__contains="without a stop").exists()


def by_hand(
    desk: Desk, quantity: int, side: Side = Side.BUY, *, stop: Decimal | None = None, tag: str | None = "by hand"
) -> None:
    """Trade at market in the platform, or place a stop there."""
    desk.broker.place(
        PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag=tag and f"{tag} {uuid4()}",
            side=side,
            type=OrderType.MARKET if stop is None else OrderType.STOP,
            quantity=quantity,
            stop_price=stop,
        )
    )


def told_and_left(desk: Desk, quantity: int) -> None:
    """Assert that so many foreign contracts get an alert, once, and neither a stop nor a close."""
    for _ in range(2):
        done = protection.check(desk.account, now=desk.now, max_age=0)
        assert done == [f"MNQ: {quantity:+d} without a stop, not ours"]
    assert Position.objects.get().unprotected_since is None  # nobody looks at it every two seconds
    assert Notification.objects.filter(title__contains="without a stop").count() == 1
    assert [p.quantity for p in desk.venue.ledger.positions(desk.account.broker_account_id)] == [quantity]


def test_surplus_stops_are_cancelled_at_once(desk: Desk) -> None:
    long_position(desk)
    (second,) = orders.protect(desk.account, desk.contract, stop=Decimal(20980), target=None, now=desk.now, by="test")
    orders.send(second, now=desk.now)
    protection.check(desk.account, now=desk.now, max_age=0)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    second.refresh_from_db()
    assert second.status == OrderStatus.CANCELLED


def test_a_list_of_positions_that_lags_behind_the_fill_costs_no_leg(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_position(desk)
    with monkeypatch.context() as lagging:
        lagging.setattr(desk.broker, "positions", lambda account_id, **_: [])
        for _ in range(2):
            assert protection.check(desk.account, now=desk.now, max_age=0) == []
    assert legs_at_venue(desk) == 2
    assert protection.check(desk.account, now=desk.now, max_age=0) == []
    assert Position.objects.get().differs_since is None


def test_a_list_of_positions_that_lags_behind_the_second_lot_costs_no_stop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_position(desk)
    before = desk.broker.positions(desk.account.broker_account_id)
    long_position(desk)
    with monkeypatch.context() as lagging:
        lagging.setattr(desk.broker, "positions", lambda account_id, **_: before)
        assert protection.check(desk.account, now=desk.now, max_age=0) == []
    assert legs_at_venue(desk) == 4


@pytest.mark.parametrize("booked", [True, False])
def test_a_stop_that_fills_between_the_two_reads_costs_the_other_lot_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, booked: bool
) -> None:
    first, second = (long_position(desk).legs.get(role=Role.STOP) for _ in range(2))
    answer = desk.broker.positions

    def fills_meanwhile(account_id: int, **options: Lane) -> list[PositionReport]:
        monkeypatch.setattr(desk.broker, "positions", answer)
        desk.venue.happen(Fill(order_id=first.broker_order_id), desk.now)
        if booked:  # by the stream
            *_, exit_ = desk.broker.fills(account_id, START, desk.now)
            assert fills.record(desk.account, exit_, now=desk.now)
        return answer(account_id, **options)

    monkeypatch.setattr(desk.broker, "positions", fills_meanwhile)
    assert protection.check(desk.account, now=desk.now, max_age=0) == []
    assert second.broker_order_id in {o.id for o in desk.broker.orders_in_flight(desk.account.broker_account_id)}


@pytest.mark.parametrize("booked", [True, False])
def test_legs_without_their_position_are_cancelled_once_the_close_is_booked_or_after_five_seconds(
    desk: Desk, booked: bool
) -> None:
    long_position(desk)
    desk.broker.close(desk.account.broker_account_id, desk.contract.broker_contract_id)  # by hand; the legs are left
    protection.check(desk.account, now=desk.now, max_age=0)
    assert legs_at_venue(desk) == 2
    if booked:
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    else:
        Position.objects.update(differs_since=Now() - timedelta(seconds=5))
    protection.check(desk.account, now=desk.now, max_age=0)
    assert legs_at_venue(desk) == 0
    assert (Position.objects.get().differs_since is None) is booked


def legs_at_venue(desk: Desk) -> int:
    """Return how many orders with a stop's or a target's tag work at the venue."""
    reports = desk.broker.orders_in_flight(desk.account.broker_account_id)
    return sum(report.status is OrderStatus.WORKING and (report.tag or "")[-3:] in ("-SL", "-TP") for report in reports)


def test_partial_entry_fills_are_booked_and_protected(db: None) -> None:
    desk = Desk.open(behaviour=Behaviour(segments=1, partial=1))
    buy, _ = desk.send(desk.pair())
    seen = []
    while not seen or seen[-1] != (3, 3, OrderStatus.FILLED):
        desk.minute(22, 25, 21, 22)
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
        buy.refresh_from_db()
        seen.append((buy.filled, buy.legs.get(role=Role.STOP).quantity, buy.status))
        assert protection.check(desk.account, now=desk.now, max_age=0) == []
        assert len(seen) <= 3
    filled, protected, status = seen[0]
    assert status == OrderStatus.PARTIAL
    assert filled == protected < 3
    assert Position.objects.get().quantity == 3


def test_the_stop_goes_to_the_entry_after_the_profit_was_reached(desk: Desk, make_strategy) -> None:
    desk.strategy = make_strategy(desk)
    entry = long_position(desk, Management(breakeven_ticks=60))
    desk.minute(0, 59, 0, 50)
    bars.fetch(desk.contract, now=desk.now)
    assert orders.manage(desk.strategy, desk.contract, now=desk.now) == []
    desk.minute(50, 60, 45, 50)
    bars.fetch(desk.contract, now=desk.now)
    (decision,) = orders.manage(desk.strategy, desk.contract, now=desk.now)
    assert decision.code == "breakeven"
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    stop = entry.legs.get(role=Role.STOP)
    assert (stop.stop_price, stop.desired_price) == (Decimal(21000), None)
    assert orders.manage(desk.strategy, desk.contract, now=desk.now) == []
    assert Decision.objects.filter(outcome=Outcome.MANAGED).count() == 1


def test_a_manual_entry_goes_to_breakeven_too(desk: Desk) -> None:
    entry = long_position(desk, Management(breakeven_ticks=60))
    desk.minute(0, 10, 0, 10)
    desk.minute(10, 65, 10, 60)
    bars.fetch(desk.contract, now=desk.now)
    (decision,) = orders.manage(None, desk.contract, now=desk.now)
    assert (decision.strategy, decision.code) == (None, "breakeven")
    assert entry.legs.get(role=Role.STOP).desired_price == Decimal(21000)


def test_a_price_back_beyond_the_entry_closes_the_position_instead_of_moving_the_stop(
    desk: Desk, make_strategy
) -> None:
    desk.strategy = make_strategy(desk)
    long_position(desk, Management(breakeven_ticks=60))
    desk.minute(0, 10, 0, 10)
    desk.minute(10, 70, -5, -5)  # the profit was there, and is gone at the close
    bars.fetch(desk.contract, now=desk.now)
    (decision,) = orders.manage(desk.strategy, desk.contract, now=desk.now)
    assert decision.code == "breakeven_passed"
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    assert desk.venue.ledger.in_flight() == []
    for _ in range(2):
        reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
        protection.check(desk.account, now=desk.now, max_age=0)
    assert not Order.objects.live().exists()
    assert (Trade.objects.get().quantity, Trade.objects.get().exit_role) == (3, Role.EXIT)


def test_a_stop_that_opens_a_position_gets_it_flattened(desk: Desk) -> None:
    long_position(desk)
    desk.broker.close(desk.account.broker_account_id, desk.contract.broker_contract_id)  # by hand; the stop is left
    desk.minute(0, 0, -45, -42)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    assert Position.objects.get().quantity == -3
    desk.account.refresh_from_db()
    assert "opened -3 MNQ instead of closing" in desk.account.flatten_reason
    flatten_until_done(desk)
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []


def test_an_older_picture_does_not_bring_an_ended_order_back(desk: Desk) -> None:
    buy, _ = desk.send(desk.pair())
    old = snapshots.read(desk.account, max_age=0, now=desk.now)
    orders.request_cancel(buy, by="test", now=desk.now)
    buy.refresh_from_db()
    orders.cancel(buy, now=desk.now)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    reconciliation.apply_orders_and_fills(desk.account, old, now=desk.now)
    buy.refresh_from_db()
    assert buy.status == OrderStatus.CANCELLED


def test_an_older_picture_does_not_move_a_stop_back(desk: Desk) -> None:
    long_position(desk)
    stop = Order.objects.get(role=Role.STOP)
    old = snapshots.read(desk.account, max_age=0, now=desk.now)
    wanted = (stop.stop_price or Decimal(0)) + 5
    assert orders.request_modify(stop, wanted, by="test", now=desk.now)
    stop.refresh_from_db()
    assert orders.modify(stop, now=desk.now)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    reconciliation.apply_orders_and_fills(desk.account, old, now=desk.now)
    stop.refresh_from_db()
    assert (stop.stop_price, stop.desired_price) == (wanted, None)


def test_a_manual_order_at_the_venue_is_seen_counted_and_flattened(desk: Desk) -> None:
    desk.broker.place(
        PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag="by hand",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=1,
            limit_price=Decimal(20900),
        )
    )
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    foreign = Order.objects.get()
    assert (foreign.role, foreign.status) == (Role.EXTERNAL, OrderStatus.WORKING)
    assert Notification.objects.filter(title__startswith="Foreign order").count() == 1
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)
    flatten_until_done(desk)
    foreign.refresh_from_db()
    assert foreign.status == OrderStatus.CANCELLED


def test_a_flatten_learns_what_has_ended_when_only_the_last_requests_are_left(desk: Desk) -> None:
    """The legs end with the position, and only the history tells of it."""
    long_position(desk)
    desk.broker.open_lanes = frozenset({Lane.CANCEL, Lane.STOP})
    orders.request_flatten(desk.account, reason="enough", by="test", now=desk.now)
    flatten_until_done(desk)
    assert not Order.objects.live().exists()


def test_a_cancel_is_not_sent_again_for_an_order_that_the_venue_does_not_show_any_more(desk: Desk) -> None:
    buy, _ = desk.send(desk.pair())
    desk.venue.cancel(OneOrder(desk.account.broker_account_id, buy.broker_order_id), desk.now)
    desk.broker.open_lanes = frozenset({Lane.CANCEL})  # so that the history stays unread
    reading = partial(snapshots.read, desk.account, now=desk.now, max_age=0)
    assert orders.request_cancel(buy, by="test", now=desk.now)
    for _ in range(5):
        Order.objects.filter(change_sent_at__isnull=False).update(change_sent_at=Now() - timedelta(seconds=3))
        orders.finish(desk.account, now=desk.now)
        desk.broker.open_lanes = frozenset(Lane)
        assert buy.broker_order_id not in {report.id for report in reading().orders}
        desk.broker.open_lanes = frozenset({Lane.CANCEL})
    assert buy.events.filter(kind="cancel sent").count() == 1


def test_a_lost_cancel_is_sent_again_while_the_venue_shows_the_order(desk: Desk) -> None:
    buy, _ = desk.send(desk.pair())
    desk.broker.lose_cancels = 2
    assert orders.request_cancel(buy, by="test", now=desk.now)
    for _ in range(3):
        Order.objects.filter(change_sent_at__isnull=False).update(change_sent_at=Now() - timedelta(seconds=3))
        snapshots.read(desk.account, now=desk.now, max_age=0)
        orders.finish(desk.account, now=desk.now)
    assert buy.events.filter(kind="cancel sent").count() == 3
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    buy.refresh_from_db()
    assert buy.status == OrderStatus.CANCELLED


def test_modify_is_done_when_the_venue_shows_the_price(desk: Desk) -> None:
    buy, _ = desk.send(desk.pair())
    with pytest.raises(ValueError, match="not on the tick grid"):
        orders.request_modify(buy, Decimal("21006.10"), by="test", now=desk.now)
    assert orders.request_modify(buy, Decimal("21007.50"), by="test", now=desk.now)
    buy.refresh_from_db()
    orders.modify(buy, now=desk.now)
    buy.refresh_from_db()
    assert buy.desired_price == Decimal("21007.5")
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    buy.refresh_from_db()
    assert (buy.stop_price, buy.desired_price) == (Decimal("21007.5"), None)


def test_a_price_that_a_read_has_confirmed_meanwhile_is_not_sent_again(desk: Desk) -> None:
    buy, _ = desk.send(desk.pair())
    assert orders.request_modify(buy, Decimal("21007.50"), by="test", now=desk.now)
    seen = Order.objects.get(pk=buy.pk)
    Order.objects.filter(pk=buy.pk).update(desired_price=None)
    assert orders.modify(seen, now=desk.now)
    assert not buy.events.filter(kind="modify sent").exists()


def test_an_order_that_cannot_be_finished_keeps_no_other_from_it_and_is_told_once(desk: Desk, monkeypatch) -> None:
    buy, sell = desk.send(desk.pair())
    for order in (buy, sell):
        assert orders.request_cancel(order, by="test", now=desk.now)
    finish = sweeping._finish

    def fail_at_the_first(order: Order, now: datetime) -> None:
        if order.pk == buy.pk:
            raise AttributeError("'NoneType' object has no attribute 'normalize'")
        finish(order, now)

    monkeypatch.setattr(sweeping, "_finish", fail_at_the_first)
    for _ in range(2):
        orders.sweep(now=desk.now)
    assert [order.events.filter(kind="cancel sent").count() for order in (buy, sell)] == [0, 1]
    assert Notification.objects.filter(title__startswith="Not finished: ", level="alert").count() == 1


def waited(seconds: float) -> None:
    """Let the protection clock have run for `seconds` of the machine's time."""
    Position.objects.update(unprotected_since=Now() - timedelta(seconds=seconds))
