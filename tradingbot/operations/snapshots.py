"""The one reader of an account: positions, orders in flight and fills, shared by everything that asks soon after."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from brokers.base import BrokerError, FillReport, Lane, OrderReport, PositionReport, ReadFailed
from market.orders import OrderStatus
from market.sessions import regular_session, trade_date_of
from tradingbot.models import Account, Order, Snapshot
from tradingbot.operations import leases, venues

log = logging.getLogger(__name__)

_LEASE = 20.0
_WAIT, _SHORT_WAIT = 3.0, 1.0  # for another process's reading; the short one where a stop or a close depends on it
_OVERLAP = timedelta(minutes=5)
_FILLS_HOLD = timedelta(seconds=30)  # machine time for which fills need no reading while nothing else has changed
_AT_VENUE = (OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.CANCEL_PENDING)


class ExecutionsUnread(ReadFailed):
    """Orders and positions were read, the executions were not: what needs them cannot be decided."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the venue said. `started_at`, `market_at`: machine and market time at which the first read began.

    fills_at       machine time at which the executions were read: earlier than the rest while nothing had changed
    fills_until    market time of the same; None in what an older version has stored
    fills_failed   why they were not read though something had: `fills` are the older ones; stops and closes need none
    """

    started_at: datetime
    market_at: datetime
    orders: list[OrderReport]
    fills: list[FillReport]
    positions: list[PositionReport]
    fills_at: datetime | None = None
    fills_until: datetime | None = None
    fills_failed: str = ""


_decode = msgspec.msgpack.Decoder(Reading).decode
_encode = msgspec.msgpack.Encoder().encode


def read(account: Account, *, max_age: float, now: datetime, lane: Lane = Lane.RECONCILE) -> Reading:
    """Return what the venue says of `account`, at most `max_age` machine seconds old.

    Processes that ask together share one read, but nobody waits long for another: who holds the lease may hang. Raises
    ReadFailed or NotSent; a failed read is never an empty one. If the executions alone cannot be read, the reading says
    so.
    """
    asked_at = machine_now()
    if stored := _stored(account, newer_than=asked_at - timedelta(seconds=max_age)):
        return stored
    give_up = time.monotonic() + (_SHORT_WAIT if lane in (Lane.STOP, Lane.CANCEL) else _WAIT)
    while True:
        with leases.hold(f"snapshot:{account.pk}", seconds=_LEASE) as fence:
            if fence is not None or time.monotonic() > give_up:
                if stored := _stored(account, newer_than=asked_at - timedelta(seconds=max_age)):
                    return stored
                return _read(account, now, lane)
        time.sleep(0.02)
        if stored := _stored(account, newer_than=asked_at - timedelta(seconds=max_age)):
            return stored


def _read(account: Account, now: datetime, lane: Lane) -> Reading:
    """Read orders and positions, and executions unless nothing can have been executed since they were last read.

    Stored is what began last: a reading that was overtaken replaces no newer one.
    """
    broker = venues.connect(account.login)
    started_at = machine_now()
    venue_id = account.broker_account_id
    before = newest(account)
    orders = broker.orders_in_flight(venue_id, lane=lane)
    positions = broker.positions(venue_id, lane=lane)
    opens_at = regular_session(trade_date_of(now)).opens_at
    fills, fills_at, until, failed = [], None, opens_at, ""
    if before is not None:
        fills, fills_at, until = before.fills, before.fills_at, before.fills_until or before.market_at
    if before is None or not _nothing_executed(account, before, orders, positions, started_at, now):
        try:
            fills = broker.fills(venue_id, min(opens_at, until) - _OVERLAP, now + _OVERLAP, lane=lane)
            fills_at, until = started_at, now
        except BrokerError as error:
            failed = str(error) or type(error).__name__
            log.warning("%s: orders and positions were read, executions were not: %s", account, failed)
    reading = Reading(started_at, now, orders, fills, positions, fills_at, until, failed)
    Snapshot.objects.get_or_create(account=account)
    Snapshot.objects.filter(Q(started_at=None) | Q(started_at__lt=started_at), account=account).update(
        started_at=started_at, market_at=now, data=_encode(reading)
    )
    return reading


def newest(account: Account, *, max_age: float | None = None) -> Reading | None:
    """Return the last reading of any process, at most `max_age` machine seconds old; None if there is none."""
    rows = Snapshot.objects.filter(account=account)
    if max_age is not None:
        rows = rows.filter(started_at__gte=Now() - timedelta(seconds=max_age))
    data = rows.values_list("data", flat=True).first()
    return _decode(bytes(data)) if data else None


def _nothing_executed(
    account: Account,
    before: Reading,
    orders: list[OrderReport],
    positions: list[PositionReport],
    started_at: datetime,
    now: datetime,
) -> bool:
    """Return whether orders and positions are what they were, and nothing of ours has left the list unseen."""
    if before.fills_failed or before.fills_at is None or started_at - before.fills_at > _FILLS_HOLD:
        return False
    if trade_date_of(before.market_at) != trade_date_of(now):
        return False
    if (_by_id(orders), sorted(positions, key=_contract)) != (
        _by_id(before.orders),
        sorted(before.positions, key=_contract),
    ):
        return False
    ours = Order.objects.filter(account=account, status__in=_AT_VENUE, broker_order_id__isnull=False)
    return set(ours.values_list("broker_order_id", flat=True)) <= {report.id for report in orders}


def _by_id(orders: list[OrderReport]) -> list[OrderReport]:
    return sorted(orders, key=lambda report: report.id)


def _contract(position: PositionReport) -> str:
    return position.contract_id


def _stored(account: Account, *, newer_than: datetime) -> Reading | None:
    data = Snapshot.objects.filter(account=account, started_at__gte=newer_than).values_list("data", flat=True).first()
    return _decode(bytes(data)) if data else None


def machine_now() -> datetime:
    """Return PostgreSQL's clock: the machine time that all processes share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    return at  # type: ignore[no-any-return]
