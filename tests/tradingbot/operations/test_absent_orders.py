"""Orders that neither the venue's open list nor its history shows."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from brokers.simulated.faults import Legless
from market.orders import OrderStatus
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Order
from tradingbot.operations import orders


def test_legs_that_never_were_end_with_their_position_beside_orders_without_a_tag(db):
    """The close leaves an untagged order in the history; a leg without a venue's id is not taken for it."""
    desk = Desk.open()
    desk.venue.faults.add(Legless(count=2))
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    desk.settle()
    orders.request_flatten(desk.account, reason="test", by="test", now=desk.now)
    orders.flatten(desk.account, now=desk.now)
    for _ in range(5):
        desk.settle()
    legs = Order.objects.filter(parent__isnull=False, status=OrderStatus.SUSPENDED)
    legs.update(absent_since=F("absent_since") - timedelta(seconds=31))
    desk.settle()
    assert list(legs.values_list("tag", "empty_reads")) == []
    assert set(Order.objects.filter(parent__isnull=False).values_list("status", flat=True)) == {OrderStatus.CANCELLED}
