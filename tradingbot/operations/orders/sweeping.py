"""Finish what was left half-way: the row is the outbox, this is its postman."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from brokers.base import BrokerError
from market.orders import OrderStatus, Role
from tradingbot.models import Account, Order, OverallState, TradingState
from tradingbot.models.accounts import Venue
from tradingbot.models.orders import OrderQuerySet
from tradingbot.operations import notifications
from tradingbot.operations.orders.changing import cancel, modify, request_cancel
from tradingbot.operations.orders.opposites import against_own
from tradingbot.operations.orders.resolving import end_ghosts, expire_claims, resolve
from tradingbot.operations.orders.sending import ENTRY_HOLDS, send

log = logging.getLogger(__name__)

_LEFT_OVER = timedelta(seconds=2)
_MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)  # of ours: they come every time
_RESTING = (OrderStatus.WORKING, OrderStatus.PARTIAL)


def sweep(*, now: datetime, give_up_at: float | None = None) -> int:
    """Send, cancel, modify and resolve whatever a worker left behind; returns how many orders were touched.

    give_up_at   monotonic time after which nothing more is sent to the venue in this round
    """
    touched = expire_claims(now=now) + _expire_unsent(now)
    touched += _finish_all(Order.objects.all(), now, give_up_at, moves=True)
    for account in Account.objects.filter(orders__status=OrderStatus.UNKNOWN).select_related("login").distinct():
        touched += resolve(account, now=now)
    for account in Account.objects.filter(enabled=True):
        touched += end_ghosts(account, now=now)
    return touched


def finish(account: Account, *, now: datetime, give_up_at: float | None = None) -> int:
    """Do of `sweep` what lessens the account's risk: send stops, targets and exits, cancel what is overdue.

    No entry is sent and nothing is moved; returns how many orders were touched.
    """
    protective = Q(role__in=(Role.STOP, Role.TARGET, Role.EXIT), status=OrderStatus.NEW)
    mine = Order.objects.filter(protective | ~Q(status=OrderStatus.NEW), account=account)
    return _finish_all(mine, now, give_up_at, moves=False)


def _finish_all(among: OrderQuerySet, now: datetime, give_up_at: float | None, *, moves: bool) -> int:
    touched = 0
    for order in _overdue(among, now):
        touched += request_cancel(order, by="its end", now=now)
    for order in _withdrawn(among, now):
        touched += request_cancel(order, by="no entries now", now=now)
    for order in against_own(among, now=now):
        touched += request_cancel(order, by="an opposite position on another own account", now=now)
    for order in _left_over(among):
        if order.status in _RESTING and not moves:
            continue
        if give_up_at is not None and time.monotonic() >= give_up_at:
            break
        try:
            _finish(order, now)
        except BrokerError as error:
            log.warning("%s: left for the next sweep: %s", order, error)
        except _MISTAKES as error:
            log.exception("%s cannot be finished, the others can", order)
            _tell(order, error, now)
        touched += 1
    return touched


def _tell(order: Order, error: Exception, now: datetime) -> None:
    """Alert once for an order that stays half-way."""
    notifications.notify(
        "order",
        f"Not finished: {order.describe()}",
        account=order.account,
        body=f"Order #{order.pk} is {order.status}. {type(error).__name__}: {error}. Look at it at the venue.",
        level="alert",
        key=f"unfinished:{order.pk}:{type(error).__name__}",
        now=now,
    )


def _finish(order: Order, now: datetime) -> None:
    if order.status == OrderStatus.NEW:
        send(order, now=now)
    elif order.status == OrderStatus.CANCEL_PENDING:
        cancel(order, now=now)
    else:
        modify(order, now=now)


def _left_over(among: OrderQuerySet) -> list[Order]:
    """Return unsent intents, unsent or unconfirmed cancels and modifies, exits and stops first."""
    rows = among.filter(
        Q(status=OrderStatus.NEW, not_before__isnull=True, events__machine_at__lt=Now() - _LEFT_OVER)
        | Q(status=OrderStatus.NEW, not_before__lte=Now())
        | Q(status=OrderStatus.CANCEL_PENDING)
        | Q(status__in=_RESTING, desired_price__isnull=False)
    )
    found = list(rows.select_related("account__login", "contract", "strategy").distinct())
    return sorted(found, key=lambda order: (order.role == Role.ENTRY, order.pk))


def _expire_unsent(now: datetime) -> int:
    """End intents that were never sent and may not be any more.

    What the gate allowed holds for a minute: an entry that could not leave for so long would meet another market.
    """
    unsent = Order.objects.filter(status=OrderStatus.NEW).select_related("account", "contract")
    over = [(order, "not sent before its time was over") for order in unsent.filter(expires_at__lte=now)]
    old = unsent.filter(role=Role.ENTRY, status_at__lte=Now() - ENTRY_HOLDS).exclude(expires_at__lte=now)
    over += [(order, f"not sent for {ENTRY_HOLDS.seconds} s") for order in old]
    ended = 0
    for order, why in over:
        with transaction.atomic():
            if not order.advance(OrderStatus.EXPIRED, at=now, reason=why):
                continue
            ended += 1
            for leg in order.legs.filter(status=OrderStatus.SUSPENDED):
                leg.advance(OrderStatus.CANCELLED, at=now, reason="its entry was never sent")
            notifications.notify(
                "order",
                f"Entry not sent: {order.describe()}",
                account=order.account,
                body=f"Order #{order.pk} was {why}: something that it needs was away. It stays unsent.",
                level="alert",
                key=f"unsent:{order.pk}",
                now=now,
            )
    return ended


def _overdue(among: OrderQuerySet, now: datetime) -> list[Order]:
    """Return orders whose time is over, and ghosts: nobody wants those any more."""
    return list(
        among.filter(
            Q(status__in=_RESTING, expires_at__lte=now) | Q(status=OrderStatus.GHOST, filled__lt=F("quantity"))
        )
    )


def _withdrawn(among: OrderQuerySet, now: datetime) -> list[Order]:
    """Return entries that may still fill on an account that takes none: halted, reduce only, or no longer armed."""
    armed = Q(account__armed_at__isnull=False) & (
        Q(account__armed_until__isnull=True) | Q(account__armed_until__gt=now)
    )
    bound = ~Q(account__trading_state=TradingState.ACTIVE) | (Q(account__login__venue=Venue.PROJECTX) & ~armed)
    entries = among.filter(role=Role.ENTRY, status__in=(OrderStatus.NEW, *_RESTING))
    if not OverallState.objects.exclude(trading_state=TradingState.ACTIVE).exists():
        entries = entries.filter(bound)
    return list(entries)
