"""No position without a stop of its full size: checked against the venue, repaired on a clock of seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models.functions import Coalesce, Now

from brokers.base import BrokerError, NotSent, OrderReport, PositionReport, Refused
from market.orders import LIVE, OrderStatus, OrderType, Role, Side
from tradingbot.models import Account, Contract, Order, Position
from tradingbot.operations import bars, notifications, orders, snapshots, venues

log = logging.getLogger(__name__)

_FIRST, _SECOND, _CLOSE = timedelta(seconds=3), timedelta(seconds=6), timedelta(seconds=9)
_AT_VENUE = (OrderStatus.WORKING, OrderStatus.PARTIAL)
_STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)


def check(account: Account, *, now: datetime, max_age: float = 1.0) -> list[str]:
    """Compare the working stops with the position, as the venue shows both; returns what had to be done, in sentences.

    Missing: a stop is placed 3 s after the exposure was seen without one, a second try follows at 6 s, at 9 s the
    position is closed. Too many: the surplus is cancelled at once. Positions that no order of ours opened are reported.
    """
    reading = snapshots.read(account, max_age=max_age, now=now)
    shown = {p.contract_id: p for p in reading.positions}
    done = []
    for contract in Contract.objects.filter(
        venue=account.venue, broker_contract_id__in={*shown, *(o.contract_id for o in reading.orders)}
    ):
        position = shown.get(contract.broker_contract_id)
        working = [o for o in reading.orders if o.contract_id == contract.broker_contract_id and o.status in _AT_VENUE]
        if position is None:
            done += _cancel_orphans(account, contract, working, now)
            continue
        side = Side.SELL if position.quantity > 0 else Side.BUY
        stops = [o for o in working if o.side is side and o.type in _STOPS]
        covered = sum(o.quantity - o.filled for o in stops)
        if covered < abs(position.quantity):
            done += _repair(account, contract, position, abs(position.quantity) - covered, now)
        else:
            Position.objects.filter(account=account, contract=contract).update(unprotected_since=None)
            done += _cancel_surplus(account, stops, covered - abs(position.quantity), now)
    return done


def _repair(account: Account, contract: Contract, report: PositionReport, missing: int, now: datetime) -> list[str]:
    Position.objects.get_or_create(account=account, contract=contract)
    position = Position.objects.select_related("contract").get(account=account, contract=contract)
    entry = _entry(account, contract)
    if entry is None:
        notifications.notify(
            "risk",
            f"{account}: {report.quantity:+d} {contract.symbol} without a stop, not opened by this system",
            account=account,
            body="It counts for risk and is closed by a flatten. Place a stop: manage.py protect.",
            level="alert",
            key=f"unprotected:{position.pk}:{position.exposed_since}",
            now=now,
        )
        return [f"{contract.symbol}: {report.quantity:+d} without a stop, not ours"]
    Position.objects.filter(pk=position.pk).update(unprotected_since=Coalesce("unprotected_since", Now()))
    waited = _waited(position)
    if waited >= _CLOSE:
        return [_close(account, position, now)]
    tries = Order.objects.filter(
        account=account, contract=contract, role=Role.STOP, parent=None, created_at__gte=entry.created_at
    ).exclude(status__in=(OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED))
    if waited >= (_SECOND if tries.exists() else _FIRST) and tries.count() < 2:
        price = _stop_price(entry, report)
        for stop in orders.protect(
            account, contract, stop=price, target=None, quantity=missing, now=now, by="protection", parent_entry=entry
        ):
            orders.send(stop, now=now)
        return [f"{contract.symbol}: stop for {missing} placed at {contract.text(price)}"]
    return [f"{contract.symbol}: {missing} without a stop for {waited.total_seconds():.1f} s"]


def _waited(position: Position) -> timedelta:
    waited = (
        Position.objects.filter(pk=position.pk)
        .annotate(waited=Now() - Coalesce("unprotected_since", Now()))
        .values_list("waited", flat=True)
        .get()
    )
    return timedelta() if waited is None else waited


def _entry(account: Account, contract: Contract) -> Order | None:
    """Return the newest order of ours that opened here."""
    return (
        Order.objects.filter(account=account, contract=contract, role=Role.ENTRY, filled__gt=0)
        .order_by("-updated_at")
        .first()
    )


def _stop_price(entry: Order, report: PositionReport) -> Decimal:
    """Return the price that the entry's bracket would have, on the side of the newest price where a stop may rest."""
    spec = entry.contract.spec
    side = Side.BUY if report.quantity > 0 else Side.SELL
    ticks = spec.distance(report.average_price) - side * (entry.stop_ticks or 0)
    newest = bars.last_price(entry.contract)
    if newest is not None:
        beyond = spec.distance(newest[0]) - side
        ticks = min(ticks, beyond) if side is Side.BUY else max(ticks, beyond)
    return spec.price(ticks)


def _close(account: Account, position: Position, now: datetime) -> str:
    """No stop could be confirmed in nine seconds: close the position, then the check cancels what is left."""
    claimed = (
        Position.objects.filter(pk=position.pk)
        .exclude(close_sent_at__gt=Now() - timedelta(seconds=5))
        .update(close_sent_at=Now())
    )
    symbol = position.contract.symbol
    if not claimed:
        return f"{symbol}: a close is under way"
    notifications.notify(
        "risk",
        f"{account}: {symbol} closed because no stop could be confirmed",
        account=account,
        body="Nine seconds without a working stop of full size.",
        level="alert",
        now=now,
    )
    try:
        venues.connect(account.login).close(account.broker_account_id, position.contract.broker_contract_id)
    except Refused as error:
        log.info("%s: close of %s refused: %s", account, symbol, error)
    except NotSent:
        Position.objects.filter(pk=position.pk).update(close_sent_at=None)
    except BrokerError as error:
        log.warning("%s: close of %s: %s", account, symbol, error)
    return f"{symbol}: position closed, no stop could be confirmed"


def _cancel_surplus(account: Account, stops: list[OrderReport], surplus: int, now: datetime) -> list[str]:
    done = []
    for report in sorted(stops, key=lambda o: (o.created_at, o.id), reverse=True):
        size = report.quantity - report.filled
        if surplus < size:
            break
        surplus -= size
        done += _cancel(account, [report], "more stops than position", now)
    return done


def _cancel_orphans(account: Account, contract: Contract, working: Iterable[OrderReport], now: datetime) -> list[str]:
    """Without a position its stops and targets may open a new one: cancel them."""
    Position.objects.filter(account=account, contract=contract).update(unprotected_since=None)
    return _cancel(account, working, "its position is closed", now, roles=(Role.STOP, Role.TARGET))


def _cancel(
    account: Account,
    reports: Iterable[OrderReport],
    why: str,
    now: datetime,
    roles: tuple[Role, ...] = (Role.STOP,),
) -> list[str]:
    done = []
    for order in Order.objects.filter(
        account=account, broker_order_id__in=[r.id for r in reports], role__in=roles, status__in=LIVE
    ).select_related("account__login", "contract"):
        if orders.request_cancel(order, by=f"protection: {why}", now=now):
            order.refresh_from_db()
            orders.cancel(order, now=now)
            done.append(f"{order} cancelled: {why}")
    return done
