"""The one reader of an account: positions, orders in flight and fills, shared by everything that asks soon after."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.db import connection

from brokers.base import FillReport, OrderReport, PositionReport, ReadFailed
from market.sessions import regular_session, trade_date_of
from tradingbot.models import Account, Snapshot
from tradingbot.operations import leases, venues

_LEASE = 20.0
_WAIT = 3.0
_OVERLAP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the venue said. `started_at`, `market_at`: machine and market time at which the first read began."""

    started_at: datetime
    market_at: datetime
    orders: list[OrderReport]
    fills: list[FillReport]
    positions: list[PositionReport]


_decode = msgspec.msgpack.Decoder(Reading).decode
_encode = msgspec.msgpack.Encoder().encode


def read(account: Account, *, max_age: float, now: datetime) -> Reading:
    """Return what the venue says of `account`, at most `max_age` machine seconds old.

    Processes that ask together share one read. Raises ReadFailed or NotSent; a failed read is never an empty one.
    """
    asked_at = machine_now()
    if stored := _stored(account, newer_than=asked_at - timedelta(seconds=max_age)):
        return stored
    give_up = time.monotonic() + _WAIT
    while True:
        with leases.hold(f"snapshot:{account.pk}", seconds=_LEASE) as fence:
            if fence is not None:
                if stored := _stored(account, newer_than=asked_at - timedelta(seconds=max_age)):
                    return stored
                return _read(account, fence, now)
        if time.monotonic() > give_up:
            raise ReadFailed(f"{account}: another process has been reading it for {_WAIT:g} s")
        time.sleep(0.02)
        if stored := _stored(account, newer_than=asked_at - timedelta(seconds=max_age)):
            return stored


def _read(account: Account, fence: int, now: datetime) -> Reading:
    broker = venues.connect(account.login)
    started_at = machine_now()
    venue_id = account.broker_account_id
    previous = Snapshot.objects.filter(account=account).values_list("market_at", flat=True).first()
    since = regular_session(trade_date_of(now)).opens_at
    if previous is not None and previous < now:
        since = min(since, previous) - _OVERLAP
    reading = Reading(
        started_at=started_at,
        market_at=now,
        orders=broker.orders_in_flight(venue_id),
        fills=broker.fills(venue_id, since, now + _OVERLAP),
        positions=broker.positions(venue_id),
    )
    Snapshot.objects.get_or_create(account=account)
    Snapshot.objects.filter(account=account, fence__lt=fence).update(
        started_at=started_at, market_at=now, fence=fence, data=_encode(reading)
    )
    return reading


def _stored(account: Account, *, newer_than: datetime) -> Reading | None:
    data = Snapshot.objects.filter(account=account, started_at__gte=newer_than).values_list("data", flat=True).first()
    return _decode(bytes(data)) if data else None


def machine_now() -> datetime:
    """Return PostgreSQL's clock: the machine time that all processes share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    return at  # type: ignore[no-any-return]
