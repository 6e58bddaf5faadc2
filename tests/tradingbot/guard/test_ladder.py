"""A position without its stop: 2 s a stop, again under its own tag, 6 s a second one, 9 s the close."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from brokers.base import PlaceOrder, PositionReport
from market.orders import OrderStatus, OrderType, Role, Side
from tests.tradingbot.guard.clockwork import Clockwork
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot.models import Notification, Order, OrderEvent, Position
from tradingbot.operations import closes, orders, protection


def bare(desk: Desk) -> Order:
    """Return the entry of a long position whose stop was cancelled in the platform."""
    entry = long_position(desk)
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    return entry


def check(desk: Desk, *, waited: float) -> list[str]:
    """Let the position have been without a stop for `waited` machine seconds, then check it."""
    before = Position.objects.filter(unprotected_since__isnull=False).values_list("unprotected_since", flat=True)
    since = before.first()
    if since is not None:
        back = OrderEvent.objects.filter(kind="intent", order__role=Role.STOP, order__parent=None)
        for event in back:  # what was tried before stays as long after the first sight as it was
            OrderEvent.objects.filter(pk=event.pk).update(
                machine_at=Now() - timedelta(seconds=waited) + (event.machine_at - since)
            )
    Position.objects.update(unprotected_since=Now() - timedelta(seconds=waited))
    Order.objects.filter(status=OrderStatus.UNKNOWN).update(status_at=F("status_at") - timedelta(seconds=2))
    return protection.check(desk.account, now=desk.now, max_age=0)


def tried() -> list[tuple[str, int]]:
    """Return status and attempts of every stop that protection placed."""
    return list(Order.objects.filter(role=Role.STOP, parent=None).order_by("pk").values_list("status", "attempt"))


def at_venue(desk: Desk) -> int:
    """Return how many stops rest at the venue."""
    reports = desk.broker.orders_in_flight(desk.account.broker_account_id)
    return sum(o.type is OrderType.STOP and o.status is OrderStatus.WORKING for o in reports)


def test_the_first_seconds_belong_to_the_bracket_and_the_third_to_a_stop(desk: Desk):
    bare(desk)
    for seconds in (0, 1):
        assert check(desk, waited=seconds)[0].startswith("MNQ: 3 without a stop for ")
    assert tried() == []
    assert check(desk, waited=2.1) == ["MNQ: stop for 3 placed at 20,990.00"]
    assert (tried(), at_venue(desk)) == ([("working", 1)], 1)
    assert check(desk, waited=3) == []
    assert Position.objects.get().unprotected_since is None


def test_the_time_between_the_fill_and_its_first_sight_is_the_brackets_too(desk: Desk):
    bare(desk)
    desk.now += timedelta(seconds=1.5)  # the clock of these tests runs at the machine's speed
    assert check(desk, waited=0)[0].startswith("MNQ: 3 without a stop for ")
    assert 0.3 < protection.next_step(desk.account, now=desk.now) <= 0.5
    desk.now += timedelta(seconds=0.6)
    assert check(desk, waited=0.6) == ["MNQ: stop for 3 placed at 20,990.00"]


def test_a_stop_that_vanishes_long_after_the_fill_is_missed_for_two_seconds_first(desk: Desk):
    bare(desk)
    desk.now += timedelta(minutes=2)
    assert check(desk, waited=0)[0].startswith("MNQ: 3 without a stop for ")
    assert check(desk, waited=1)[0].startswith("MNQ: 3 without a stop for ")
    assert check(desk, waited=2.1) == ["MNQ: stop for 3 placed at 20,990.00"]


def test_a_lost_stop_that_landed_is_found_and_not_sent_again(desk: Desk):
    bare(desk)
    desk.broker.lose = 1
    check(desk, waited=2.1)
    assert tried() == [("unknown", 1)]
    assert check(desk, waited=3) == []
    orders.resolve(desk.account, now=desk.now)
    assert (tried(), at_venue(desk)) == ([("working", 1)], 1)


def test_a_lost_stop_that_did_not_land_is_sent_again_under_the_same_tag(desk: Desk):
    bare(desk)
    desk.broker.lose, desk.broker.reaches = 1, False
    check(desk, waited=2.1)
    assert (tried(), at_venue(desk)) == ([("unknown", 1)], 0)
    assert check(desk, waited=3) == ["MNQ: stop sent again under its own tag"]
    assert at_venue(desk) == 1
    orders.resolve(desk.account, now=desk.now)
    assert tried() == [("working", 2)]
    assert Order.objects.get(role=Role.STOP, parent=None).tag in {tag for tag, *_ in desk.ledger()}


def test_a_tag_in_use_proves_that_the_stop_landed(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    bare(desk)
    hidden = desk.broker.orders_in_flight
    desk.broker.lose = 1
    check(desk, waited=2.1)
    # the venue's list lags: it does not show the stop that it has
    monkeypatch.setattr(
        desk.broker, "orders_in_flight", lambda account_id, **lane: [o for o in hidden(account_id) if o.parent_id]
    )
    check(desk, waited=3.2)
    outcome = OrderEvent.objects.get(kind="sent again").detail["outcome"]
    assert outcome == "the tag is in use: an earlier send landed"
    monkeypatch.undo()
    assert (at_venue(desk), tried()) == (1, [("unknown", 2)])


def test_six_seconds_bring_a_second_stop_and_nine_the_close(desk: Desk):
    bare(desk)
    desk.broker.lose, desk.broker.reaches = 99, False
    for second in (0, 1, 2.1, 3, 4):
        check(desk, waited=second)
    assert [status for status, _ in tried()] == ["unknown"]
    check(desk, waited=6.1)
    check(desk, waited=7)
    check(desk, waited=8)
    assert [status for status, _ in tried()] == ["unknown", "unknown"]
    assert check(desk, waited=9.1) == ["MNQ: position closed, no stop could be confirmed"]
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    assert Notification.objects.filter(title__contains="closed because no stop could be confirmed").count() == 1


def test_the_close_is_counted_from_the_fill_if_that_was_seen_soon(desk: Desk):
    bare(desk)
    desk.broker.lose, desk.broker.reaches = 99, False
    desk.now += timedelta(seconds=1.5)
    check(desk, waited=0)
    for later, second in ((0.6, 0.6), (4, 4.6)):
        desk.now += timedelta(seconds=later)
        check(desk, waited=second)
    assert [status for status, _ in tried()] == ["unknown", "unknown"]
    desk.now += timedelta(seconds=3)
    assert check(desk, waited=7.6) == ["MNQ: position closed, no stop could be confirmed"]


def test_what_the_venue_takes_to_answer_does_not_put_off_the_close(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    bare(desk)
    desk.broker.lose, desk.broker.reaches = 99, False
    desk.now += timedelta(seconds=1.5)
    check(desk, waited=0)
    machine, read = Clockwork(), desk.broker.positions

    def slowly(*args: Any, **options: Any) -> list[PositionReport]:
        machine.wait(0.3)
        Position.objects.update(unprotected_since=F("unprotected_since") - timedelta(seconds=0.3))
        return read(*args, **options)

    monkeypatch.setattr(protection, "time", machine)
    monkeypatch.setattr(desk.broker, "positions", slowly)
    desk.now += timedelta(seconds=7.3)
    assert check(desk, waited=7.3) == ["MNQ: position closed, no stop could be confirmed"]


def test_a_close_that_was_held_up_does_not_leave(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    bare(desk)
    position = Position.objects.get()
    claim = closes.claim(position)
    assert claim is not None
    assert claim.may_call()
    assert closes.claim(position) is None
    assert closes.is_in_flight(position)
    Position.objects.update(close_sent_at=Now() - closes.IN_FLIGHT)
    assert not closes.is_in_flight(position)
    assert closes.claim(position) is not None
    assert not replace(claim, at=claim.at - 1.1).may_call()
    assert closes.is_in_flight(position)  # who claimed since keeps the right
    Position.objects.update(close_sent_at=None)
    with monkeypatch.context() as slow:
        slow.setattr(closes, "_FRESH", 0.0)
        assert check(desk, waited=9.1) == ["MNQ: the claim to close was too old to use"]
        assert desk.venue.ledger.positions(desk.account.broker_account_id) != []
    assert check(desk, waited=9.2) == ["MNQ: position closed, no stop could be confirmed"]  # at once


def test_two_stops_that_both_land_leave_one(desk: Desk):
    bare(desk)
    desk.broker.lose, desk.broker.reaches = 2, False
    check(desk, waited=2.1)
    desk.broker.lose = 0
    first = Order.objects.get(role=Role.STOP, parent=None)
    check(desk, waited=6.1)  # the first goes again under its tag, a second one beside it
    first.refresh_from_db()
    assert (first.attempt, at_venue(desk)) == (2, 2)
    orders.resolve(desk.account, now=desk.now)
    assert len([d for d in check(desk, waited=7) if "more stops than position" in d]) == 1
    assert at_venue(desk) == 1


def test_only_a_stop_is_sent_again(desk: Desk):
    buy = desk.pair().orders.get(role="entry", side=1)
    desk.broker.lose = 1
    orders.send(buy, now=desk.now)
    with pytest.raises(ValueError, match="only a stop"):
        orders.resend_stop(buy, now=desk.now)


def test_the_stop_is_on_the_side_of_what_the_venue_shows(desk: Desk):
    """Our fills say long, the venue says short: nothing is placed on the wrong side, nine seconds close it."""
    bare(desk)
    desk.broker.place(market(desk, Side.SELL, 5))
    check(desk, waited=2.1)
    assert tried() == []
    check(desk, waited=9.1)
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []


def market(desk: Desk, side: Side, quantity: int) -> PlaceOrder:
    return PlaceOrder(
        account_id=desk.account.broker_account_id,
        contract_id=desk.contract.broker_contract_id,
        tag=f"by hand {side}",
        side=side,
        type=OrderType.MARKET,
        quantity=quantity,
    )
