"""What the venue shows of an order, written into its row: forward only, each change with an event."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce, Greatest, Now

from brokers.base import OrderReport
from market.orders import NEXT, OrderStatus, OrderType, Role
from market.sessions import trade_date_of
from tradingbot.models import Account, Contract, Order
from tradingbot.operations import closes, notifications

log = logging.getLogger(__name__)

ENDED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.ABANDONED)
_OPEN_AT_VENUE = (OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.CANCEL_PENDING)


def adopt(order: Order, report: OrderReport, *, read_at: datetime, now: datetime) -> bool:
    """Bring `order` to what `report` says: id, status, prices. Returns whether anything changed.

    read_at   machine time at which that read began; a picture older than our last change of the status, or than the one
              that the row's prices are from, is ignored
    Fills are booked from executions alone; `filled` never falls. An order that had ended for us and works at the venue
    becomes GHOST, with an alert, and is cancelled.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update(of=("self",)).select_related("contract", "account").get(pk=order.pk)
        if read_at < order.status_at and order.broker_order_id is not None:
            return False
        changes = _facts(order, report)
        status = _next_status(order, report)
        if status is not None:
            _note_ghost(order, status, report, now)
            order.advance(
                status,
                at=now,
                detail={"broker": report.status, "order_id": report.id},
                seen_at=Coalesce("seen_at", Now()),
                **changes,
            )
            if status in (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED):
                _end_legs(order, now)
            return True
        moved = {k: v for k, v in changes.items() if getattr(order, k) != v}
        if moved:
            changes["status_at"] = Greatest("status_at", Value(read_at))
        Order.objects.filter(pk=order.pk).update(empty_reads=0, absent_since=None, **changes)
        if moved:
            order.note("facts", at=now, detail={k: str(v) for k, v in moved.items()})
        return bool(moved)


def external(account: Account, report: OrderReport, *, now: datetime) -> Order | None:
    """Return the row of an order that we did not place, new if need be; None for a contract that we do not know.

    The untagged market order that a close request leaves at the venue is our exit; every other one is foreign.
    """
    contract = Contract.objects.filter(venue=account.venue, broker_contract_id=report.contract_id).first()
    if contract is None:
        log.warning("%s: order %s in unknown contract %s", account, report.id, report.contract_id)
        return None
    untagged = report.tag is None and report.type is OrderType.MARKET
    role = Role.EXIT if untagged and closes.may_leave(account, contract, report.side) else Role.EXTERNAL
    with transaction.atomic():
        order, created = Order.objects.get_or_create(
            account=account,
            broker_order_id=report.id,
            defaults={
                "contract": contract,
                "session_date": trade_date_of(report.created_at),
                "tag": f"external-{account.pk}-{report.id}",
                "role": role,
                "side": report.side,
                "type": report.type or OrderType.MARKET,
                "quantity": max(report.quantity, 1),
                "limit_price": report.limit_price,
                "stop_price": report.stop_price,
                "status": report.status or OrderStatus.WORKING,
                "requested_by": "outside" if role is Role.EXTERNAL else "flatten",
                "created_at": report.created_at,
                "updated_at": now,
            },
        )
        if created:
            order.note("seen", at=now, detail={"broker_order_id": report.id, "tag": report.tag})
            if order.is_live and role is Role.EXTERNAL:
                notifications.notify(
                    "order",
                    f"Foreign order: {order.describe()}",
                    account=account,
                    body="Not placed by this system. It counts for risk and is cancelled by a flatten.",
                    level="warning",
                    key=f"external:{order.pk}",
                    now=now,
                )
    return order


def _facts(order: Order, report: OrderReport) -> dict[str, Any]:
    changes: dict[str, Any] = {"broker_order_id": report.id}
    if report.quantity != order.quantity and report.quantity >= max(order.filled, 1):
        changes["quantity"] = report.quantity  # a leg follows what its entry filled, a person may resize
    if report.filled > order.filled:
        changes["filled"] = min(report.filled, report.quantity)
    if report.filled_price is not None and report.filled >= order.filled:
        changes["average_price"] = report.filled_price
    if report.limit_price is not None and order.type == OrderType.LIMIT:
        changes["limit_price"] = report.limit_price
    if report.stop_price is not None and order.type == OrderType.STOP:
        changes["stop_price"] = report.stop_price
    resting = changes.get("limit_price" if order.type == OrderType.LIMIT else "stop_price")
    if order.desired_price is not None and resting == order.desired_price:
        changes |= {"desired_price": None, "change_sent_at": None}
    return changes


def _next_status(order: Order, report: OrderReport) -> OrderStatus | None:
    """Return the status to move to, None if the row already says it or the report proves nothing new."""
    before, after = OrderStatus(order.status), report.status
    if before in ENDED and report.filled > order.filled:
        return OrderStatus.GHOST
    if after is None or after == before or before is OrderStatus.FILLED:
        return None
    if after is OrderStatus.FILLED and report.filled < report.quantity:
        after = OrderStatus.PARTIAL
    if before is OrderStatus.CANCEL_PENDING and after in (OrderStatus.WORKING, OrderStatus.PARTIAL):
        return None  # our cancel is still under way
    if before is OrderStatus.PARTIAL and after is OrderStatus.WORKING:
        return None  # an older picture
    if before in ENDED:
        return OrderStatus.GHOST if after in _OPEN_AT_VENUE or after is OrderStatus.FILLED else None
    return after if after in NEXT[before] and after != before else None


def _note_ghost(order: Order, status: OrderStatus, report: OrderReport, now: datetime) -> None:
    if status is not OrderStatus.GHOST:
        return
    notifications.notify(
        "risk",
        f"Ghost order: {order.describe()}",
        account=order.account,
        body=f"We had it as {order.status}, the venue shows {report.status}. It is cancelled, or closed if filled.",
        level="alert",
        key=f"ghost:{order.pk}",
        now=now,
    )


def _end_legs(order: Order, now: datetime) -> None:
    """Without a fill the legs of an ended entry never live."""
    if order.filled:
        return
    for leg in order.legs.filter(status=OrderStatus.SUSPENDED):
        leg.advance(OrderStatus.CANCELLED, at=now, reason=f"its entry was {order.status}")
