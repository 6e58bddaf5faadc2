"""No position without a stop of its full size: checked against the venue, repaired on a clock of seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from brokers.base import BrokerError, Lane, NotSent, OrderReport, PositionReport, Refused
from market.orders import LIVE, OrderStatus, OrderType, Role, Side
from tradingbot.clock import clock
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Fill, Order, OrderEvent, Position
from tradingbot.operations import bars, closes, notifications, orders, snapshots, venues
from tradingbot.operations.snapshots import Reading

log = logging.getLogger(__name__)

_LEGS, _SECOND, _CLOSE = timedelta(seconds=2), timedelta(seconds=6), timedelta(seconds=9)
_UNSEEN = timedelta(seconds=6)  # an older fill says nothing about a stop that is missing now
_LAG = timedelta(seconds=5)  # for which the venue's positions may be behind its fills
_AT_VENUE = (OrderStatus.WORKING, OrderStatus.PARTIAL)
_IN_DOUBT = (OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.CANCEL_PENDING, OrderStatus.GHOST)
_STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)


def check(account: Account, *, now: datetime, max_age: float = 1.0) -> list[str]:
    """Compare the working stops with the position, as the venue shows both; returns what had to be done, in sentences.

    The ladder, in machine time from the first sight of a position without a full stop, or from a new fill as much as
    2 s before that: 2 s, the time that a bracket's legs may take, a stop is placed; with an unknown outcome it is sent
    again under its own tag; 6 s a second one; 9 s the position is closed. Too many stops, or legs without a position:
    they are cancelled at once, or after 5 s if our own fills say that the position is there. Positions in which no
    entry of ours has contracts left are reported. While the ladder runs the venue is always asked anew.
    """
    asked_at = time.monotonic()
    lane = _lane(account, now)
    reading = snapshots.read(account, max_age=max_age if lane is Lane.RECONCILE else 0.0, now=now, lane=lane)
    now += clock.speed * timedelta(seconds=time.monotonic() - asked_at)  # the ladder counts on meanwhile
    shown = {p.contract_id: p for p in reading.positions}
    entries = _entries_at_venue(account, reading)
    done = []
    for contract in Contract.objects.filter(
        venue=account.venue, broker_contract_id__in={*shown, *(o.contract_id for o in reading.orders)}
    ):
        position = shown.get(contract.broker_contract_id)
        working = [o for o in reading.orders if o.contract_id == contract.broker_contract_id and o.status in _AT_VENUE]
        lags = _lags(account, contract, 0 if position is None else position.quantity)
        if position is None:
            done += [] if lags else _cancel_orphans(account, contract, working, now)
            continue
        stops = covering(position, working, entries)
        covered = sum(o.quantity - o.filled for o in stops)
        if covered < abs(position.quantity):
            done += _repair(account, contract, position, reading, abs(position.quantity) - covered, now)
        else:
            Position.objects.filter(account=account, contract=contract).update(unprotected_since=None)
            if covered > abs(position.quantity) and not lags:
                done += _cancel_surplus(account, stops, abs(position.quantity), now)
                orders.fit(account, contract, now=now)  # a stop that is too large is made smaller, not cancelled
    closed = Position.objects.filter(account=account).exclude(contract__broker_contract_id__in=shown)
    closed.filter(unprotected_since__isnull=False).update(unprotected_since=None)
    closed.filter(quantity=0, differs_since__isnull=False).update(differs_since=None)
    return done


def next_step(account: Account, *, now: datetime, since: float = float("inf")) -> float:
    """Return the machine seconds until the ladder of one of the account's positions wants something done, 0 if now.

    since   machine seconds since a check began: what was due before that was done by it, or cannot be
    Infinite while no position lacks its stop.
    """
    steps = [float("inf")]
    bare = Position.objects.filter(account=account, unprotected_since__isnull=False)
    for position in bare.annotate(waited=Now() - F("unprotected_since"), machine_at=Now()):
        tried = _tried(position)
        due = _steps(position, position.waited, now)[min(len(tried), 2) :]
        steps += [(step - position.waited).total_seconds() for step in due]
        steps += [
            orders.STOP_AGAIN - (position.machine_at - stop.status_at).total_seconds()
            for stop in tried
            if stop.status in (OrderStatus.NEW, OrderStatus.UNKNOWN)
        ]
    return max(0.0, min(step for step in steps if step > -since))


def _lane(account: Account, now: datetime) -> Lane:
    """Return the lane of a check's reads: a close that is due waits for no other request than a close does."""
    lane = Lane.RECONCILE
    bare = Position.objects.filter(account=account, unprotected_since__isnull=False)
    for position in bare.annotate(waited=Now() - F("unprotected_since")):
        lane = Lane.STOP
        if position.waited >= _steps(position, position.waited, now)[-1] and not closes.is_in_flight(position):
            return Lane.CANCEL
    return lane


def covering(position: PositionReport, orders_: Iterable[OrderReport], entries: Collection[int]) -> list[OrderReport]:
    """Return those of `orders_` that are working stops of `position`.

    entries   the venue's ids of our entries: the other one of a pair is a stop order too, and would open
    """
    side = Side.SELL if position.quantity > 0 else Side.BUY
    return [
        order
        for order in orders_
        if order.contract_id == position.contract_id
        and order.side is side
        and order.type in _STOPS
        and order.status in _AT_VENUE
        and order.id not in entries
    ]


def _lags(account: Account, contract: Contract, shown: int) -> bool:
    """Return whether our fills make a larger position than the venue shows, since a moment ago.

    A list that is behind looks like a close, but for a close that we have just asked for.
    """
    row = Position.objects.filter(account=account, contract=contract)
    row.filter(quantity=shown, differs_since__isnull=False).update(differs_since=None)
    larger = row.exclude(quantity__range=(-abs(shown), abs(shown)))
    larger.update(differs_since=Coalesce("differs_since", Now()))
    since = larger.filter(differs_since__gt=Now() - _LAG)
    return since.exclude(close_sent_at__gt=Now() - closes.IN_FLIGHT).exists()


def _entries_at_venue(account: Account, reading: Reading) -> set[int]:
    numbers = [report.id for report in reading.orders]
    tags = {report.tag: report.id for report in reading.orders if report.tag}
    rows = Order.objects.filter(Q(broker_order_id__in=numbers) | Q(tag__in=tags), account=account, role=Role.ENTRY)
    return {tags[tag] if number is None else number for tag, number in rows.values_list("tag", "broker_order_id")}


def _repair(
    account: Account, contract: Contract, report: PositionReport, reading: Reading, missing: int, now: datetime
) -> list[str]:
    Position.objects.get_or_create(account=account, contract=contract)
    position = Position.objects.select_related("contract").get(account=account, contract=contract)
    entry = _entry(position, reading, now)
    if entry is None:
        newest = Fill.objects.filter(account=account, contract=contract).first()
        if newest is not None and newest.booked_at >= reading.started_at:
            return [f"{contract.symbol}: whose {report.quantity:+d} are, a reading after the newest fill tells"]
        Position.objects.filter(pk=position.pk).update(unprotected_since=None)
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
    if position.broker_quantity != report.quantity:
        Position.objects.filter(pk=position.pk).update(broker_quantity=report.quantity, broker_seen_at=Now())
    Position.objects.filter(pk=position.pk).update(unprotected_since=Coalesce("unprotected_since", Now()))
    waited = _waited(position)
    *steps, close = _steps(position, waited, now)
    if waited >= close:
        return [_close(account, position, now)]
    done = [
        f"{contract.symbol}: stop sent again under its own tag"
        for stop in _tried(position)
        if _try_again(stop, reading, now)
    ]
    price = _stop_price(entry, report)
    due = sum(waited >= step for step in steps)
    for stop in _intend(position, report, price, missing, entry, allowed=due, now=now):
        orders.send(stop, now=now)
        done.append(f"{contract.symbol}: stop for {missing} placed at {contract.text(price)}")
    return done or [f"{contract.symbol}: {missing} without a stop for {waited.total_seconds():.1f} s"]


def _steps(position: Position, waited: timedelta, now: datetime) -> list[timedelta]:
    """Return the waits after the first sight at which the first stop, the second one and the close are due.

    waited   machine time since the first sight; what passed between a new fill and that sight was the legs' time
    """
    newest = Fill.objects.filter(account=position.account_id, contract=position.contract_id, voided=False).first()
    unseen = (now - newest.at) / clock.speed - waited if newest else _UNSEEN
    known = min(unseen, _LEGS) if timedelta() <= unseen < _UNSEEN else timedelta()
    return [step - known for step in (_LEGS, _SECOND, _CLOSE)]


def _tried(position: Position) -> list[Order]:
    """Return the stops that were intended since the position was first seen without one."""
    since = Position.objects.filter(pk=position.pk).values_list("unprotected_since", flat=True).get()
    intended = OrderEvent.objects.filter(
        order__account=position.account_id,
        order__contract=position.contract_id,
        order__role=Role.STOP,
        order__parent=None,
        kind="intent",
        machine_at__gte=since,
    )
    stops = Order.objects.filter(pk__in=intended.values("order")).select_related("account__login", "contract")
    return [] if since is None else list(stops.order_by("pk"))


def _try_again(stop: Order, reading: Reading, now: datetime) -> bool:
    """Send a stop again whose outcome is unknown and which the venue does not show; True if a call was made."""
    if stop.status == OrderStatus.NEW:
        return orders.send(stop, now=now)
    shown = any(report.tag == stop.tag or report.id == stop.broker_order_id for report in reading.orders)
    return not shown and orders.resend_stop(stop, now=now)


def _intend(
    position: Position,
    report: PositionReport,
    price: Decimal,
    quantity: int,
    entry: Order,
    *,
    allowed: int,
    now: datetime,
) -> list[Order]:
    """Commit one more stop unless `allowed` were tried; the row's lock lets only one process come to that."""
    with transaction.atomic():
        locked = Position.objects.select_for_update(of=("self",)).get(pk=position.pk)
        held = locked.quantity or locked.broker_quantity
        if locked.unprotected_since is None or len(_tried(locked)) >= allowed or held * report.quantity <= 0:
            return []
        return orders.protect(
            position.account,
            position.contract,
            stop=price,
            target=None,
            quantity=quantity,
            now=now,
            by="protection",
            parent_entry=entry,
        )


def _waited(position: Position) -> timedelta:
    waited = (
        Position.objects.filter(pk=position.pk)
        .annotate(waited=Now() - Coalesce("unprotected_since", Now()))
        .values_list("waited", flat=True)
        .get()
    )
    return timedelta() if waited is None else waited


def _entry(position: Position, reading: Reading, now: datetime) -> Order | None:
    """Return our newest entry with contracts left here, or that must have: one that no longer waits at the venue."""
    if (entry := orders.opened_by(position, now=now)) is not None:
        return entry
    waiting = [report.id for report in reading.orders if not report.filled]
    tags = [report.tag for report in reading.orders if report.tag and not report.filled]
    may_have_filled = Q(status__in=(*_AT_VENUE, *_IN_DOUBT)) & ~Q(broker_order_id__in=waiting) & ~Q(tag__in=tags)
    entries = Order.objects.filter(account=position.account_id, contract=position.contract, role=Role.ENTRY)
    return entries.filter(may_have_filled).order_by("-updated_at").first()


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
    symbol = position.contract.symbol
    if (claim := closes.claim(position)) is None:
        return f"{symbol}: a close is under way"
    notifications.notify(
        "risk",
        f"{account}: {symbol} closed because no stop could be confirmed",
        account=account,
        body="Nine seconds without a working stop of full size.",
        level="alert",
        now=now,
    )
    point("protect.before_call")
    if not claim.may_call():
        return f"{symbol}: the claim to close was too old to use"
    try:
        venues.connect(account.login).close(account.broker_account_id, position.contract.broker_contract_id)
    except Refused as error:
        log.info("%s: close of %s refused: %s", account, symbol, error)
    except NotSent:
        claim.give_back()
    except BrokerError as error:
        log.warning("%s: close of %s: %s", account, symbol, error)
    point("protect.after_call")
    return f"{symbol}: position closed, no stop could be confirmed"


def _cancel_surplus(account: Account, stops: list[OrderReport], held: int, now: datetime) -> list[str]:
    """Cancel the newest of the stops that `held` contracts do not need.

    They are read again: one that filled after they were read has made the position smaller, and none is too many.
    """
    try:
        shown = venues.connect(account.login).orders_in_flight(account.broker_account_id, lane=Lane.STOP)
    except BrokerError as error:
        log.warning("%s: more stops than position, not read again: %s", account, error)
        return []
    known = {report.id for report in stops}
    stops = [report for report in shown if report.id in known and report.status in _AT_VENUE]
    surplus = sum(report.quantity - report.filled for report in stops) - held
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
