"""What became of a call whose answer is unknown: ask, adopt what is found, give up only on proof of absence."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from brokers.base import BrokerError, Lane, OrderReport
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import trade_date_of
from tradingbot.faults import point
from tradingbot.models import Account, Order, Position
from tradingbot.operations import notifications, order_facts, snapshots, trading, venues
from tradingbot.operations.orders.flattening import request_flatten

log = logging.getLogger(__name__)

_CALL_IS_OVER = timedelta(seconds=15)  # machine time after which a claim's call cannot be under way any more
_READS = 5
_SPAN = timedelta(seconds=30)
_BEFORE, _AFTER = timedelta(seconds=60), timedelta(seconds=60)
_GHOST_ENDED = "ghost ended"
_SAME_TIME = timedelta(seconds=60)


def expire_claims(*, now: datetime) -> int:
    """Turn claims whose call must be over into UNKNOWN: their process died. Returns how many."""
    moved = 0
    for order in Order.objects.filter(status=OrderStatus.SENDING, claimed_at__lt=Now() - _CALL_IS_OVER):
        with transaction.atomic():
            moved += order.advance(
                OrderStatus.UNKNOWN, at=now, reason="the sending process died", empty_reads=0, absent_since=None
            )
    return moved


def resolve(account: Account, *, now: datetime) -> int:
    """Look the account's UNKNOWN orders up at the venue. Returns how many found their state.

    An order that five successful reads over at least 30 machine seconds do not show is ABANDONED: never sent again,
    watched until the session ends.
    """
    unknown = list(Order.objects.filter(account=account, status=OrderStatus.UNKNOWN).select_related("contract"))
    if not unknown:
        return 0
    broker = venues.connect(account.login)
    read_at = snapshots.machine_now()
    first = min(order.sent_at or order.created_at for order in unknown)
    try:
        reports = broker.orders_in_flight(account.broker_account_id, lane=Lane.RESOLVE)
        reports += broker.orders_between(account.broker_account_id, first - _BEFORE, now + _AFTER, lane=Lane.RESOLVE)
        point("resolve.after_read")
    except BrokerError as error:
        log.warning("%s: unknown orders not looked up: %s", account, error)
        return 0
    return sum(_settle(order, reports, read_at, now) for order in unknown)


def end_ghosts(account: Account, *, now: datetime) -> int:
    """Have the account flattened for each entry of this session that had ended for us and filled after all.

    One that still works is cancelled with everything else that is overdue: see `sweeping`. Returns how many.
    """
    entries = Order.objects.filter(account=account, session_date=trade_date_of(now), role=Role.ENTRY, filled__gt=0)
    ended = 0
    for order in (
        entries.filter(events__after=OrderStatus.GHOST)
        .exclude(events__kind=_GHOST_ENDED)
        .distinct()
        .select_related("contract")
    ):
        with transaction.atomic():
            Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
            if order.events.filter(kind=_GHOST_ENDED).exists():
                continue
            order.note(_GHOST_ENDED, at=now)
            request_flatten(account, reason=f"fill of an ended entry: {order}"[:200], by="resolve", now=now)
        ended += 1
    return ended


def _settle(order: Order, reports: Sequence[OrderReport], read_at: datetime, now: datetime) -> bool:
    report = next((r for r in reports if r.tag == order.tag), None)
    if report is None and not any(r.tag for r in reports):
        candidates = _alike(order, reports)
        if len(candidates) > 1:
            trading.halt(
                order.account,
                reason=f"{order} may be any of {len(candidates)} orders at the venue",
                by="resolve",
                now=now,
            )
            return False
        report = candidates[0] if candidates else None
    if report is not None:
        order_facts.adopt(order, report, read_at=read_at, now=now)
        return True
    return _count_absence(order, now)


def _alike(order: Order, reports: Sequence[OrderReport]) -> list[OrderReport]:
    """Return the venue's orders that could be `order` where tags are not echoed."""
    owned = set(
        Order.objects.filter(account=order.account, broker_order_id__isnull=False).values_list(
            "broker_order_id", flat=True
        )
    )
    sent_at = order.sent_at or order.created_at
    unique = {r.id: r for r in reports if r.id not in owned}
    return [
        r
        for r in unique.values()
        if r.contract_id == order.contract.broker_contract_id
        and (r.side, r.quantity, r.type) == (Side(order.side), order.quantity, OrderType(order.type))
        and abs(r.created_at - sent_at) <= _SAME_TIME
    ]


def _exposed(order: Order) -> bool:
    return (
        Position.objects.filter(account=order.account_id, contract=order.contract_id)
        .exclude(broker_quantity=0, quantity=0)
        .exists()
    )


def _count_absence(order: Order, now: datetime) -> bool:
    Order.objects.filter(pk=order.pk, status=OrderStatus.UNKNOWN).update(
        empty_reads=F("empty_reads") + 1, absent_since=Coalesce("absent_since", Now())
    )
    proven = Order.objects.filter(
        pk=order.pk, status=OrderStatus.UNKNOWN, empty_reads__gte=_READS, absent_since__lte=Now() - _SPAN
    ).exists()
    if not proven or (order.role == Role.STOP and _exposed(order)):  # the protection check looks after it
        return False
    with transaction.atomic():
        order.refresh_from_db()
        if not order.advance(OrderStatus.ABANDONED, at=now, reason=f"not at the venue in {order.empty_reads} reads"):
            return False
        for leg in order.legs.filter(status=OrderStatus.SUSPENDED):
            leg.advance(OrderStatus.CANCELLED, at=now, reason="its entry never reached the venue")
        notifications.notify(
            "risk",
            f"Order abandoned: {order.describe()}",
            account=order.account,
            body="The venue never showed it after an unknown outcome. It is watched and never sent again.",
            level="alert",
            now=now,
        )
    return True
