"""Cancel all, close all, and believe it only when the venue shows it twice."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from brokers.base import BrokerError, Lane, NotSent, PositionReport, Refused
from market.orders import LIVE, OrderStatus, Role
from market.sessions import flat_by, regular_session, trade_date_of
from tradingbot.clock import clock
from tradingbot.faults import point
from tradingbot.models import Account, CalendarDay, Order, Position, StateChange, TradingState
from tradingbot.operations import closes, contracts, leases, notifications, reconciliation, snapshots, trading, venues
from tradingbot.operations.orders.changing import cancel, request_cancel

log = logging.getLogger(__name__)

_TWO_READS_APART = timedelta(seconds=2)
FLATTEN = StateChange.Kind.FLATTEN
_ALERTS = (timedelta(seconds=30), timedelta(seconds=120))


def request_flatten(account: Account, *, reason: str, by: str, now: datetime, until: datetime | None = None) -> bool:
    """Have every order cancelled and every position closed; no entries until then, by default until the session ends.

    The request stays until the account is seen flat. False if one is under way already.
    """
    session_end = regular_session(trade_date_of(now)).closes_at
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        if account.flatten_requested_at is not None:
            return False
        account.flatten_requested_at, account.flatten_reason, account.flat_seen_at = now, reason[:200], None
        before = account.trading_state
        if before == TradingState.ACTIVE:
            account.trading_state = TradingState.REDUCE_ONLY
            account.state_reason, account.state_until = reason[:300], until or session_end
        account.save(
            update_fields=[
                "flatten_requested_at",
                "flatten_reason",
                "flat_seen_at",
                "trading_state",
                "state_reason",
                "state_until",
            ]
        )
        trading.record(account, before, "flattening", kind=FLATTEN, by=by, reason=reason, now=now)
        notifications.notify("position", f"{account}: flattening", account=account, body=f"{reason} (by {by})", now=now)
        point("flatten.before_request")
    point("flatten.after_request")
    log.info("%s: flatten asked by %s: %s", account, by, reason)
    return True


def emergency_stop(*, reason: str, by: str, now: datetime) -> list[Account]:
    """Halt everything and have every account flattened; returns the accounts.

    Workers and guard do it, whoever is there; `flatten_requested_at` stays until an account is seen flat. All accounts
    are halted as one first, so that none is missed that is found in between; each until a person resumes it.
    """
    trading.halt_all(reason=f"emergency stop: {reason}", by=by, now=now)
    accounts = list(Account.objects.filter(enabled=True))
    for account in accounts:
        trading.halt(account, reason=f"emergency stop: {reason}", by=by, now=now)
        request_flatten(account, reason=f"emergency stop: {reason}", by=by, now=now)
    return accounts


def flatten_due(account: Account, *, now: datetime, give_up_at: float | None = None) -> bool:
    """Ask for a flatten when anything open is past the flat-by time of its session, then work on any request.

    Returns whether the account needs no flattening any more. It follows from facts, not from a clock's tick: a missed
    tick, a restart or a daylight-saving change cost nothing.
    """
    if account.flatten_requested_at is None:
        if not any(now >= _flat_by(day) for day in _open_since(account, now)):
            return True
        request_flatten(account, reason="end of the day", by="the clock", now=now)
        account.refresh_from_db()
    return flatten(account, now=now, give_up_at=give_up_at)


def flatten(account: Account, *, now: datetime, give_up_at: float | None = None) -> bool:
    """Do one bounded round of the flatten; True once two reads two seconds apart showed neither position nor order.

    What is open is closed before anything is booked; while the executions cannot be read the flatten goes on.
    give_up_at   monotonic time after which no further request is sent to the venue in this round
    """
    account.refresh_from_db()
    if account.flatten_requested_at is None:
        return True
    with leases.hold(f"exit:{account.pk}", seconds=30) as fence:
        if fence is None:
            return False
        _alert_when_slow(account, now)
        for order in _open_orders(account).filter(role__in=(Role.ENTRY, Role.EXTERNAL)):
            _cancel_now(order, now)
        reading = snapshots.read(account, max_age=0.0, now=now, lane=Lane.STOP)
        for report in reading.positions:
            if give_up_at is None or time.monotonic() < give_up_at:
                _close(account, report, now)
        with suppress(snapshots.ExecutionsUnread):
            reconciliation.apply_orders_and_fills(account, reading, now=now, lane=Lane.STOP)
        held = {report.contract_id for report in reading.positions}
        for order in _open_orders(account).exclude(contract__broker_contract_id__in=held):
            _cancel_now(order, now)
        open_ = _open_orders(account).exclude(status=OrderStatus.SUSPENDED)
        if reading.fills_failed or reading.positions or reading.orders or open_.exists():
            Account.objects.filter(pk=account.pk).update(flat_seen_at=None)
            return False
        return _seen_flat(account, now)


def _open_orders(account: Account) -> QuerySet[Order]:
    return Order.objects.filter(account=account, status__in=LIVE).select_related("account__login", "contract")


def _open_since(account: Account, now: datetime) -> set[date]:
    """Return the sessions of what is open: a machine that slept past the close still flattens yesterday's position."""
    sessions = set(_open_orders(account).exclude(role=Role.EXTERNAL).values_list("session_date", flat=True))
    for position in Position.objects.filter(account=account).exclude(quantity=0, broker_quantity=0):
        sessions.add(trade_date_of(position.opened_at or now))
    return sessions | ({trade_date_of(now)} if _open_orders(account).filter(role=Role.EXTERNAL).exists() else set())


def _flat_by(trade_date: date) -> datetime:
    row = CalendarDay.objects.filter(trade_date=trade_date).first()
    return flat_by(row.session if row else regular_session(trade_date))


def _cancel_now(order: Order, now: datetime) -> None:
    request_cancel(order, by="flatten", now=now)
    order.refresh_from_db()
    cancel(order, now=now)


def _close(account: Account, report: PositionReport, now: datetime) -> None:
    """Close one position unless a close is in flight: two closes can flip it."""
    contract = contracts.known(account.login, report.contract_id, now=now)
    if contract is None:
        return
    Position.objects.get_or_create(account=account, contract=contract)
    position = Position.objects.get(account=account, contract=contract)
    flipped = position.close_sent_at and position.broker_quantity * report.quantity < 0
    if flipped:
        trading.halt(
            account, reason=f"{contract.symbol} turned to {report.quantity:+d} while closing", by="flatten", now=now
        )
    if (claim := closes.claim(position, shown=report.quantity)) is None:
        return
    point("flatten.before_call")
    if not claim.may_call():
        log.warning("%s: the claim to close %s was too old to use, looking again", account, contract)
        return
    try:
        venues.connect(account.login).close(account.broker_account_id, report.contract_id)
    except NotSent:
        claim.give_back()
        raise
    except Refused as error:
        log.warning("%s: close of %s refused, looking again: %s", account, contract, error)
    except BrokerError as error:
        log.warning("%s: close of %s has no clear answer, looking again: %s", account, contract, error)
    point("flatten.after_call")


def _seen_flat(account: Account, now: datetime) -> bool:
    Account.objects.filter(pk=account.pk).update(flat_seen_at=Coalesce("flat_seen_at", Now()))
    with transaction.atomic():
        done = Account.objects.filter(pk=account.pk, flat_seen_at__lte=Now() - _TWO_READS_APART).update(
            flatten_requested_at=None, flatten_reason="", flat_seen_at=None
        )
        if not done:
            return False
        Position.objects.filter(account=account).update(close_sent_at=None, broker_quantity=0)
        why = account.flatten_reason
        trading.record(account, "flattening", "flat", kind=FLATTEN, by="two reads", reason=why, now=now)
        notifications.notify(
            "position",
            f"{account}: flat",
            account=account,
            body=f"No position and no order at the venue, seen twice ({account.flatten_reason}).",
            now=now,
        )
        point("flatten.before_done")
    point("flatten.after_done")
    return True


def _alert_when_slow(account: Account, now: datetime) -> None:
    """Say so when a flatten takes longer than 30 and 120 machine seconds."""
    if account.flatten_requested_at is None:
        return
    waited = (now - account.flatten_requested_at) / clock.speed
    for wait in _ALERTS:
        if waited > wait:
            notifications.notify(
                "risk",
                f"{account}: not flat after {wait.seconds} s",
                account=account,
                body="The flatten goes on. Look at the platform.",
                level="alert",
                key=f"slow-flatten:{account.pk}:{account.flatten_requested_at}:{wait.seconds}",
                now=now,
            )
