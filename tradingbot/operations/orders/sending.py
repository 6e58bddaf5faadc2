"""One claim, one HTTP call, one recorded outcome: failure-modes 5 and 6."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from brokers.base import BracketTicks, Lane, NotSent, OutcomeUnknown, PlaceOrder, Refused, TagInUse
from market.orders import OrderStatus, OrderType, Role, Side
from tradingbot.models import Account, Order, TradingState
from tradingbot.operations import notifications, snapshots, venues

log = logging.getLogger(__name__)

_CLAIM_IS_FRESH = 2.0  # seconds from the claim to the call
_BACK_OFF = (2, 4, 8)  # seconds after attempts that provably never left; then the order is rejected
_LANES = {Role.ENTRY: Lane.PLACE, Role.TARGET: Lane.STOP, Role.STOP: Lane.STOP, Role.EXIT: Lane.CANCEL}


def send(order: Order, *, now: datetime) -> bool:
    """Send a NEW order to the venue, once. True if the venue took it for processing.

    Losing the claim, to another process, to a halt, or to the clock, is no error: nothing is sent.
    """
    claimed_at = time.monotonic()
    if not _claim(order, now):
        return False
    try:
        broker = venues.connect(order.account.login)
        request = _request(order)
    except Exception as error:
        _put_back(order, f"{type(error).__name__}: {error}", now)
        raise
    if time.monotonic() - claimed_at > _CLAIM_IS_FRESH:
        _put_back(order, "the claim was too old to send", now)
        return False
    try:
        broker_order_id = broker.place(request, lane=_LANES[Role(order.role)])
    except NotSent as error:
        _put_back(order, str(error), now)
    except TagInUse as error:
        _unknown(order, f"an earlier send landed: {error}", now)
    except Refused as error:
        _reject(order, str(error), error.code, now)
    except OutcomeUnknown as error:
        _unknown(order, str(error), now)
    except BaseException as error:
        _unknown(order, f"interrupted: {type(error).__name__}", now)
        raise
    else:
        return _accept(order, broker_order_id, now)
    return False


def _claim(order: Order, now: datetime) -> bool:
    """Move the order from NEW to SENDING if it may leave now; the account row is locked: a halt waits or wins."""
    token = uuid4()
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",)).select_related("login").get(pk=order.account_id)
        if order.role == Role.ENTRY and (
            account.trading_state != TradingState.ACTIVE or account.login.entries_blocked or not account.enabled
        ):
            return False
        claimed = Order.objects.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            Q(not_before__isnull=True) | Q(not_before__lte=Now()),
            pk=order.pk,
            status=OrderStatus.NEW,
        ).update(
            status=OrderStatus.SENDING,
            attempt=F("attempt") + 1,
            claim_token=token,
            claimed_at=Now(),
            status_at=Now(),
            sent_at=now,
            updated_at=now,
        )
        if not claimed:
            return False
        contract = order.contract
        order.refresh_from_db()
        order.account, order.contract = account, contract  # known already: refreshing forgets them
        order.note("claimed", at=now, before=OrderStatus.NEW, detail={"attempt": order.attempt})
    return True


def _request(order: Order) -> PlaceOrder:
    bracket = BracketTicks(order.stop_ticks, order.target_ticks) if order.stop_ticks else None
    return PlaceOrder(
        account_id=order.account.broker_account_id,
        contract_id=order.contract.broker_contract_id,
        tag=order.tag,
        side=Side(order.side),
        type=OrderType(order.type),
        quantity=order.quantity,
        limit_price=_plain(order.limit_price),
        stop_price=_plain(order.stop_price) if order.type == OrderType.STOP else None,
        trail_price=_plain(order.stop_price) if order.type == OrderType.TRAILING_STOP else None,
        bracket=bracket if order.role == Role.ENTRY else None,
    )


def _plain(price: Decimal | None) -> Decimal | None:
    return None if price is None else price.normalize()


def _accept(order: Order, broker_order_id: int, now: datetime) -> bool:
    with transaction.atomic():
        taken = order.advance(
            OrderStatus.WORKING, at=now, detail={"broker_order_id": broker_order_id}, broker_order_id=broker_order_id
        )
        if not taken:  # a read or the stream knew before this answer came
            order.note("answer came late", at=now, detail={"broker_order_id": broker_order_id})
    return True


def _reject(order: Order, reason: str, code: int | None, now: datetime) -> None:
    with transaction.atomic():
        if not order.advance(
            OrderStatus.REJECTED, at=now, detail={"reason": reason, "code": code}, reason=reason[:300]
        ):
            return
        for leg in order.legs.filter(status=OrderStatus.SUSPENDED):
            leg.advance(OrderStatus.REJECTED, at=now, reason="its entry was rejected")
        notifications.notify(
            "risk",
            f"Order rejected: {order.describe()}",
            account=order.account,
            body=reason,
            level="alert",
            now=now,
        )
    log.warning("%s rejected: %s", order, reason)


def _unknown(order: Order, reason: str, now: datetime) -> None:
    with transaction.atomic():
        order.advance(
            OrderStatus.UNKNOWN,
            at=now,
            detail={"reason": reason},
            reason=reason[:300],
            empty_reads=0,
            absent_since=None,
        )
    log.warning("%s: outcome unknown, asking the venue: %s", order, reason)


def _put_back(order: Order, reason: str, now: datetime) -> None:
    """Nothing left this process: try again in 2, 4, 8 seconds, then give up."""
    if order.attempt > len(_BACK_OFF):
        _reject(order, f"not sent after {order.attempt} attempts: {reason}", None, now)
        return
    wait = timedelta(seconds=_BACK_OFF[order.attempt - 1])
    with transaction.atomic():
        order.advance(
            OrderStatus.NEW,
            at=now,
            detail={"reason": reason},
            reason=reason[:300],
            not_before=snapshots.machine_now() + wait,
        )
    log.warning("%s not sent, next attempt in %s s: %s", order, wait.seconds, reason)
