"""Cancel and modify: asked for by a row, sent by a worker, believed when the venue shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from brokers.base import BrokerError, NotSent, Refused
from market.orders import OrderStatus, OrderType, Role, Side
from tradingbot.faults import point
from tradingbot.models import Order, Position
from tradingbot.operations import notifications, snapshots, venues

log = logging.getLogger(__name__)

_RESEND = timedelta(seconds=2)  # machine time between two requests for the same change


def cancel_by_hand(order: Order, *, by: str, now: datetime) -> bool:
    """Record that a person wants `order` cancelled; False if it has ended or is being cancelled.

    Raises ValueError for the stop of an open position: by our fills or by the venue's word, whichever says so.
    """
    if order.role == Role.STOP and order.is_live:
        positions = Position.objects.filter(account=order.account_id, contract=order.contract_id)
        if positions.exclude(quantity=0, broker_quantity=0).exists():
            raise ValueError(f"#{order.pk} is the stop of an open position and stays: move it, or close the position")
    return request_cancel(order, by=by, now=now)


def request_cancel(order: Order, *, by: str, now: datetime) -> bool:
    """Record that `order` is to be cancelled; a worker sends it. False if it has ended or is being cancelled."""
    with transaction.atomic():
        asked = _ask_to_cancel(Order.objects.select_for_update(of=("self",)).get(pk=order.pk), by, now)
        point("cancel.before_request")
    point("cancel.after_request")
    return asked


def _ask_to_cancel(order: Order, by: str, now: datetime) -> bool:
    detail = {"by": by}
    match OrderStatus(order.status):
        case OrderStatus.NEW:  # never sent, so nothing can exist at the venue
            ended = order.advance(OrderStatus.CANCELLED, at=now, detail=detail, reason=f"cancelled by {by}")
            for leg in order.legs.filter(status=OrderStatus.SUSPENDED):
                leg.advance(OrderStatus.CANCELLED, at=now, reason="its entry was cancelled")
            return ended
        case OrderStatus.WORKING | OrderStatus.PARTIAL | OrderStatus.GHOST:
            return order.advance(
                OrderStatus.CANCEL_PENDING,
                at=now,
                detail=detail,
                change_sent_at=None,
                desired_price=None,
                reason=f"cancelled by {by}"[:300],
            )
        case OrderStatus.SENDING | OrderStatus.UNKNOWN:  # cancelled as soon as it is found: overdue from now on
            Order.objects.filter(pk=order.pk).update(expires_at=now, updated_at=now)
            order.note("cancel asked", at=now, detail=detail)
            return True
        case _:
            return False


def cancel(order: Order, *, now: datetime) -> None:
    """Send the cancel of a CANCEL_PENDING order, at most once in two seconds. What became of it, a read tells.

    Once a read no longer shows the order as open nothing is sent again: its end is in the venue's history.
    """
    if order.broker_order_id is None or _gone(order) or not _claim_change(order, OrderStatus.CANCEL_PENDING):
        return
    _change(
        order,
        "cancel",
        now,
        lambda: venues.connect(order.account.login).cancel(
            order.account.broker_account_id, _known(order.broker_order_id)
        ),
    )


def request_modify(order: Order, price: Decimal, *, by: str, now: datetime, towards: Side | None = None) -> bool:
    """Record that `order` is to rest at `price`; a worker sends it. False if the order no longer works.

    towards   only if that is further on the way than where the order is to rest already: up for a buy, down for a sell
    Raises ValueError for a price off the tick grid or an order without a price.
    """
    order.contract.spec.ticks(price)
    if order.price is None:
        raise ValueError(f"order #{order.pk} is a {order.type} order without a price yet")
    with transaction.atomic():
        order = Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
        if order.status not in (OrderStatus.WORKING, OrderStatus.PARTIAL):
            return False
        before = order.desired_price or order.price
        if towards is not None and before is not None and (price - before) * towards <= 0:
            return False
        Order.objects.filter(pk=order.pk).update(desired_price=price, change_sent_at=None, updated_at=now)
        order.note("modify asked", at=now, detail={"price": str(price), "from": str(order.price), "by": by})
        point("modify.before_request")
    point("modify.after_request")
    return True


def modify(order: Order, *, now: datetime) -> bool:
    """Send the price that the order is to have; absolute, so that sending it again does no harm.

    Returns False if the venue refused it for good: then the order rests where it was and nothing more is asked.
    """
    if (
        order.broker_order_id is None
        or order.desired_price is None
        or not _claim_change(order, OrderStatus.WORKING, OrderStatus.PARTIAL)
    ):
        return True
    if (wanted := order.desired_price) is None:  # a read has shown it meanwhile
        return True
    price = wanted.normalize()
    key = {OrderType.LIMIT: "limit_price", OrderType.TRAILING_STOP: "trail_price"}.get(
        OrderType(order.type), "stop_price"
    )
    refusal = _change(
        order,
        "modify",
        now,
        lambda: venues.connect(order.account.login).modify(
            order.account.broker_account_id, _known(order.broker_order_id), **{key: price}
        ),
    )
    if refusal is None:
        return True
    Order.objects.filter(pk=order.pk, desired_price=wanted).update(desired_price=None)
    notifications.notify(
        "order",
        f"Not moved: {order.describe()}",
        account=order.account,
        body=f"The venue refused {order.contract.text(price)}: {refusal}",
        level="warning",
        now=now,
    )
    return False


def _gone(order: Order) -> bool:
    """Return whether the venue was read since the last request and did not show the order."""
    if order.change_sent_at is None:
        return False
    reading = snapshots.newest(order.account)
    if reading is None or reading.started_at <= order.change_sent_at:
        return False
    return order.broker_order_id not in {report.id for report in reading.orders}


def _claim_change(order: Order, *statuses: OrderStatus) -> bool:
    claimed = Order.objects.filter(
        Q(change_sent_at__isnull=True) | Q(change_sent_at__lt=Now() - _RESEND), pk=order.pk, status__in=statuses
    ).update(change_sent_at=Now())
    if claimed:
        order.refresh_from_db()
    return bool(claimed)


def _change(order: Order, kind: str, now: datetime, call: Callable[[], None]) -> str | None:
    """Call the venue and keep what it said; only a read decides what is true. Returns the words of a refusal."""
    outcome, refusal, raw = "taken", None, ""
    point(f"{kind}.before_call")
    try:
        call()
    except NotSent as error:
        outcome = f"not sent: {error}"
        Order.objects.filter(pk=order.pk).update(change_sent_at=None)
    except Refused as error:
        outcome = refusal = f"refused: {error}"
    except BrokerError as error:
        outcome, raw = f"{type(error).__name__}: {error}", error.raw
    point(f"{kind}.after_call")
    order.note(f"{kind} sent", at=now, detail={"outcome": outcome} | ({"raw": raw} if raw else {}))
    point(f"{kind}.after_record")
    if outcome != "taken":
        log.warning("%s: %s %s", order, kind, outcome)
    return refusal


def _known(broker_order_id: int | None) -> int:
    if broker_order_id is None:
        raise ValueError("the venue's order id is not known yet")
    return broker_order_id
