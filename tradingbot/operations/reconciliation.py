"""Make our rows agree with the venue's: one pass converges, a second over the same reading changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from brokers.base import BrokerError, FillReport, Lane, OrderReport
from market.orders import LIVE, OrderStatus
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Fill, Order, Position
from tradingbot.operations import (
    closes,
    contracts,
    fills,
    notifications,
    order_facts,
    orders,
    snapshots,
    trading,
    venues,
)
from tradingbot.operations.snapshots import ExecutionsUnread, Reading

log = logging.getLogger(__name__)

_SETTLE = timedelta(seconds=5)  # rows touched later than this are left to whoever touches them
_DIFFERS = timedelta(seconds=10)
_MARGIN = timedelta(seconds=60)
_LEG_SUFFIXES = ("-SL", "-TP")


def reconcile(account: Account, *, now: datetime, max_age: float = 2.0, lane: Lane = Lane.RECONCILE) -> list[str]:
    """Compare orders, fills and positions with the venue and set ours right. Returns what differed, in sentences.

    Raises ReadFailed or NotSent when a read fails: then nothing is decided that needs it.
    """
    reading = snapshots.read(account, max_age=max_age, now=now, lane=lane)
    _note_positions(account, reading)
    booked = apply_orders_and_fills(account, reading, now=now, lane=lane)
    found = [f"{booked} fill(s) were not booked"] if booked else []
    found += _compare_positions(account, reading, now)
    Account.objects.filter(pk=account.pk).update(reconciled_at=Now())
    return found


def check_fills(account: Account, *, now: datetime, max_age: float = 2.0) -> int:
    """Book what the venue has executed and we have not; returns how many fills were new. Raises as `reconcile`."""
    return apply_orders_and_fills(account, snapshots.read(account, max_age=max_age, now=now), now=now)


def book_all(account: Account, *, since: datetime, now: datetime) -> int:
    """Read every execution since a time anew, book what is new or told differently; returns how many. Raises as above.

    A reading leaves executions out while nothing seems to have happened, and does not look back at older sessions.
    Positions are compared as well.
    """
    reading = snapshots.read(account, max_age=0, now=now)
    _note_positions(account, reading)
    fills = venues.connect(account.login).fills(account.broker_account_id, since, now + _MARGIN)
    booked = apply_orders_and_fills(account, replace(reading, fills=fills, fills_failed=""), now=now)
    _compare_positions(account, reading, now)
    return booked


def apply_orders_and_fills(account: Account, reading: Reading, *, now: datetime, lane: Lane = Lane.RECONCILE) -> int:
    """Write a reading's order facts and fills into our rows; returns how many fills were new.

    Orders of ours that the reading does not show are looked up in the venue's history: absence proves nothing.
    Raises ExecutionsUnread, after the order facts were written, if the reading lacks the executions.
    lane   in which the history is read
    """
    point("book.after_read")
    known_contracts = _learn_contracts(account, reading, now)
    rows = Fill.objects.filter(account=account, broker_trade_id__in=[f.id for f in reading.fills])
    known = {fill.broker_trade_id: fill for fill in rows}
    new = [f for f in reading.fills if f.id not in known or fills.is_news(known[f.id], f)]
    _apply(account, reading.orders, reading.started_at, now)
    point("book.after_orders")
    history_at = snapshots.machine_now()
    _apply(account, _history(account, reading, new, now, lane), history_at, now)
    booked = sum(fills.record(account, report, now=now) for report in new if report.contract_id in known_contracts)
    fills.link(account, now=now)
    for order in Order.objects.filter(
        account=account, status=OrderStatus.CANCEL_PENDING, change_sent_at__isnull=True
    ).select_related("account__login", "contract"):
        orders.cancel(order, now=now)
    if reading.fills_failed:
        raise ExecutionsUnread(f"the executions were not read: {reading.fills_failed}")
    return booked


def _apply(account: Account, reports: Iterable[OrderReport], read_at: datetime, now: datetime) -> None:
    """Match reports to rows by tag, by id, then as a leg of its parent; whatever is left is not ours."""
    reports = list(reports)
    rows = list(
        Order.objects.filter(account=account).filter(
            Q(tag__in=[r.tag for r in reports if r.tag]) | Q(broker_order_id__in=[r.id for r in reports])
        )
    )
    Order.objects.filter(account=account, broker_order_id__in=[r.id for r in reports], seen_at=None).update(
        seen_at=Now()
    )
    by_tag = {row.tag: row for row in rows}
    by_id = {row.broker_order_id: row for row in rows}
    for report in reports:
        row = by_tag.get(report.tag or "") or by_id.get(report.id)
        if row is None:
            row = order_facts.external(account, report, now=now)
            if row is None:
                continue
        if _tells_something(row, report):
            order_facts.adopt(row, report, read_at=read_at, now=now)


def _tells_something(row: Order, report: OrderReport) -> bool:
    return (
        row.broker_order_id != report.id
        or row.status != report.status
        or report.filled > row.filled
        or report.quantity != row.quantity
        or row.desired_price is not None
        or (report.stop_price is not None and row.stop_price != report.stop_price)
        or (report.limit_price is not None and row.limit_price != report.limit_price)
    )


def _history(account: Account, reading: Reading, new: list[FillReport], now: datetime, lane: Lane) -> list[OrderReport]:
    """Return the venue's history when something of ours is missing in the reading, else nothing."""
    shown = _Names.of(reading.orders)
    settled = Now() - _SETTLE
    missing = [
        order
        for order in Order.objects.filter(account=account, status__in=LIVE - {OrderStatus.NEW, OrderStatus.SENDING})
        .exclude(status=OrderStatus.UNKNOWN)
        .exclude(parent__status__in=(OrderStatus.NEW, OrderStatus.SENDING, OrderStatus.UNKNOWN))
        .filter(
            Q(seen_at__isnull=False)
            | Q(claimed_at__isnull=True)
            | Q(claimed_at__lt=settled)
            | Q(filled__gt=0)
            | Q(status=OrderStatus.CANCEL_PENDING)
        )
        if order not in shown
    ]
    owned = set(
        Order.objects.filter(account=account, broker_order_id__in=[f.order_id for f in new]).values_list(
            "broker_order_id", flat=True
        )
    )
    strangers = [fill for fill in new if fill.order_id not in owned and fill.order_id not in shown.ids]
    if not missing and not strangers:
        return []
    since = min([o.sent_at or o.created_at for o in missing] + [fill.at for fill in strangers])
    parents = [o.parent.sent_at for o in missing if o.parent and o.parent.sent_at]
    try:
        history = venues.connect(account.login).orders_between(
            account.broker_account_id, min([since, *parents]) - _MARGIN, now + _MARGIN, lane=lane
        )
    except BrokerError as error:
        log.warning("%s: order history not read, trying again at the next check: %s", account, error)
        return []
    seen = _Names.of(history)
    absent = [order.pk for order in missing if order not in seen]
    _count_absent(account, absent, now)
    return history


@dataclass(frozen=True, slots=True)
class _Names:
    """By what the venue's orders can be known: one without a tag is not the one of ours that has no id yet."""

    ids: frozenset[int]
    tags: frozenset[str]

    @classmethod
    def of(cls, reports: Iterable[OrderReport]) -> _Names:
        reports = list(reports)
        return cls(frozenset(r.id for r in reports), frozenset(r.tag for r in reports if r.tag))

    def __contains__(self, order: Order) -> bool:
        return order.broker_order_id in self.ids or order.tag in self.tags


def _count_absent(account: Account, absent: list[int], now: datetime) -> None:
    """An order that neither the open list nor the history shows is reported, never ended by that."""
    Order.objects.filter(pk__in=absent).update(
        empty_reads=F("empty_reads") + 1, absent_since=Coalesce("absent_since", Now())
    )
    lost = Order.objects.filter(
        Q(parent__isnull=True) | Q(parent__filled__gt=0),
        pk__in=absent,
        empty_reads__gte=5,
        absent_since__lte=Now() - timedelta(seconds=30),
    )
    for order in lost:
        if order.parent_id and order.parent and not order.parent.is_live and _flat(order):
            with transaction.atomic():  # the position it protected is closed, and the venue shows it nowhere
                order.advance(OrderStatus.CANCELLED, at=now, reason="gone at the venue with its position")
            continue
        notifications.notify(
            "risk",
            f"The venue does not show {order}",
            account=account,
            body="Neither its open orders nor its history have it. Look at the platform.",
            level="alert",
            key=f"absent:{order.pk}",
            now=now,
        )


def _flat(order: Order) -> bool:
    return not Position.objects.filter(
        Q(broker_quantity__lt=0) | Q(broker_quantity__gt=0), account=order.account_id, contract=order.contract_id
    ).exists()


def _learn_contracts(account: Account, reading: Reading, now: datetime) -> set[str]:
    """Return which of the reading's contracts are known, after those that were not were looked up at the venue."""
    shown = {report.contract_id for reports in (reading.orders, reading.fills, reading.positions) for report in reports}
    rows = Contract.objects.filter(venue=account.venue, broker_contract_id__in=shown)
    found = set(rows.values_list("broker_contract_id", flat=True)) if shown else set()
    return found | {id_ for id_ in shown - found if contracts.known(account.login, id_, now=now)}


def _note_positions(account: Account, reading: Reading) -> None:
    shown = {report.contract_id: report.quantity for report in reading.positions}
    for contract in Contract.objects.filter(venue=account.venue, broker_contract_id__in=shown):
        Position.objects.get_or_create(account=account, contract=contract)
    for position in Position.objects.filter(account=account).select_related("contract"):
        quantity = shown.get(position.contract.broker_contract_id, 0)
        exposed = {} if position.broker_quantity or not quantity else {"exposed_since": Now()}
        Position.objects.filter(pk=position.pk).update(broker_quantity=quantity, broker_seen_at=Now(), **exposed)


def _compare_positions(account: Account, reading: Reading, now: datetime) -> list[str]:
    shown = {report.contract_id: report.quantity for report in reading.positions}
    found = []
    for position in Position.objects.filter(account=account).select_related("contract"):
        quantity = shown.get(position.contract.broker_contract_id, 0)
        if quantity == position.quantity:
            Position.objects.filter(pk=position.pk, differs_since__isnull=False).update(differs_since=None)
            if not quantity and position.close_sent_at is not None:
                closes.seen_flat(position, at=reading.started_at)
            continue
        found.append(f"{position.contract.symbol}: our fills say {position.quantity:+d}, the venue says {quantity:+d}")
        Position.objects.filter(pk=position.pk).update(differs_since=Coalesce("differs_since", Now()))
        if Position.objects.filter(pk=position.pk, differs_since__lt=Now() - _DIFFERS).exists():
            trading.halt(account, reason=f"positions differ: {found[-1]}", by="reconciliation", now=now)
    return found
