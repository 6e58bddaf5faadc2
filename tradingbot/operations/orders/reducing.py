"""A position becomes smaller: a part or all of an entry is closed at market, and its legs follow its size."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import datetime, timedelta

from brokers.base import BrokerError, NotSent, Refused
from market.orders import OrderStatus, Role
from market.sessions import trade_date_of
from tradingbot.deadlines import may_mutate
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Decision, Order, Position
from tradingbot.operations import closes, notifications, reconciliation, snapshots, venues
from tradingbot.operations.orders.changing import cancel, request_cancel
from tradingbot.operations.orders.closing import exit, protect
from tradingbot.operations.orders.holdings import Holding, holdings, resting
from tradingbot.operations.orders.sending import send
from tradingbot.operations.snapshots import Reading

log = logging.getLogger(__name__)

_LOOKS, _BETWEEN = 3, 0.3  # how often, and how many seconds apart, the venue is asked whether an exit is done
_IN_DOUBT = (OrderStatus.SENDING, OrderStatus.UNKNOWN)
_EXIT_LIVES = timedelta(minutes=1)  # an exit that was not sent by then is decided anew on the next bar


def refresh(account: Account, *, now: datetime) -> Reading | None:
    """Read the venue and write what it shows into our rows; None if it could not be read."""
    try:
        reading = snapshots.read(account, max_age=0, now=now)
        reconciliation.apply_orders_and_fills(account, reading, now=now)
    except BrokerError as error:
        log.warning("%s could not be read: %s", account, error)
        return None
    return reading


def intend_exit(holding: Holding, quantity: int, decision: Decision, *, now: datetime) -> Order:
    """Return a market order that closes `quantity` contracts of one entry; send it after the commit.

    Call it in a transaction that holds the account's lock, so that one process alone finds that they are due.
    """
    entry = holding.entry
    order = exit(entry.account, entry.contract, quantity, now=now, by=str(entry.strategy or entry.requested_by))
    order.parent, order.strategy, order.decision, order.expires_at = entry, entry.strategy, decision, now + _EXIT_LIVES
    order.save(update_fields=["parent", "strategy", "decision", "expires_at"])
    return order


def send_exit(order: Order, *, now: datetime) -> None:
    """Send an exit of one entry, then let the entry's legs follow; what does not come to pass now, the sweeper does."""
    if not may_mutate():
        return
    send(order, now=now)
    fit(order.account, order.contract, now=now)


def seen_flat(account: Account, contract: Contract, *, now: datetime) -> bool:
    """Return whether the venue shows that the position is closed and nothing of it rests any more; cancels its legs."""
    for look in range(_LOOKS):
        if look:
            time.sleep(_BETWEEN)
        try:
            reconciliation.reconcile(account, now=now, max_age=0)
        except BrokerError as error:
            log.warning("%s could not be read: %s", account, error)
            continue
        held = Position.objects.filter(account=account, contract=contract).exclude(quantity=0, broker_quantity=0)
        if held.exists():
            continue
        left = Order.objects.live().filter(
            account=account, contract=contract, role__in=(Role.STOP, Role.TARGET, Role.EXIT)
        )
        legs = list(left.exclude(status=OrderStatus.SUSPENDED).select_related("account__login", "contract"))
        if not legs:
            return True
        cancel_legs(legs, by="the close of its position", now=now)
    return False


def claim_close(holding: Holding) -> closes.Claim | None:
    """Return the right to close the position that an entry is in, None while a close is under way."""
    position = _position(holding)
    return None if position is None else closes.claim(position)


def close_is_under_way(holding: Holding) -> bool:
    position = _position(holding)
    return position is not None and closes.is_in_flight(position)


def _position(holding: Holding) -> Position | None:
    return Position.objects.filter(account=holding.entry.account_id, contract=holding.entry.contract_id).first()


def close_all(holding: Holding, claim: closes.Claim, *, by: str, now: datetime) -> str:
    """Close an entry beside which nothing is open by the venue's own close, with its legs; returns what became of it.

    That close cannot turn the position around when a stop fills at the same time. The legs are cancelled in the same
    breath: left alone, they would open a position of their own.
    """
    entry = holding.entry
    account, contract = entry.account, entry.contract
    point("close.before_call")
    if not claim.may_call():
        return "the claim to close was too old to use"
    try:
        venues.connect(account.login).close(account.broker_account_id, contract.broker_contract_id, holding.left)
    except NotSent as error:
        claim.give_back()
        return f"close at market: {error}"
    except BrokerError as error:
        return f"close at market: {error}"
    point("close.after_call")
    cancel_legs(holding.legs, by=by, now=now)
    return "closed at market"


def cancel_legs(legs: Collection[Order], *, by: str, now: datetime) -> None:
    """Ask for the end of live legs and send it; a worker sends again what fails."""
    for leg in legs:
        if request_cancel(leg, by=by, now=now):
            leg.refresh_from_db()
            cancel(leg, now=now)


def fit(account: Account, contract: Contract, *, now: datetime) -> None:
    """Let every entry's legs have the size that is left of it: after a close of a part they are too large.

    The part is closed before its stop is made smaller, so that nothing is ever without one. Sizes are absolute and a
    reading goes before each: repeating it, or two processes at it, do no harm. Twice, since the outcome of the first
    may be unknown; then it is for the next bar.
    """
    for _ in range(2):
        if refresh(account, now=now) is None:
            return
        open_ = holdings({account.pk}, contract, trade_date_of(now))
        large = [(leg, holding) for holding in open_ for leg in too_large(holding)]
        if not large or (sum(holding.left for holding in open_) <= 0 and not open_[0].by_hand):
            return
        for leg, holding in large:
            if holding.left > 0:
                _resize(leg, holding, now)
            else:
                cancel_legs([leg], by="the close of its entry", now=now)
    refresh(account, now=now)


def too_large(holding: Holding) -> list[Order]:
    """Return the resting legs of an entry that would close more than is left of it, as far as that is certain."""
    if not holding.settled or any(order.status in _IN_DOUBT for order in holding.exits):
        return []
    return [leg for leg in holding.legs if resting(leg) and leg.quantity - leg.filled > max(holding.left, 0)]


def _resize(leg: Order, holding: Holding, now: datetime) -> None:
    """Send the size that the leg is to have; a venue that refuses gets another order in its place."""
    wanted = leg.filled + holding.left
    outcome = "taken"
    point("resize.before_call")
    try:
        venues.connect(leg.account.login).modify(
            leg.account.broker_account_id, leg.broker_order_id or 0, quantity=wanted
        )
    except Refused as error:
        outcome = f"refused: {error}"
        _replace(leg, holding, now)
    except BrokerError as error:
        outcome = f"{type(error).__name__}: {error}"
    point("resize.after_call")
    leg.note("resize sent", at=now, detail={"quantity": wanted, "outcome": outcome})
    if outcome != "taken":
        log.warning("%s: size %s %s", leg, wanted, outcome)


def _replace(leg: Order, holding: Holding, now: datetime) -> None:
    """Place the leg anew in its size, then cancel the old one: never the other way round while the position is open."""
    entry, price = holding.entry, leg.desired_price or leg.price
    stop, target = (price, None) if leg.role == Role.STOP else (None, price)
    (new,) = protect(
        leg.account,
        leg.contract,
        stop=stop,
        target=target,
        quantity=holding.left,
        now=now,
        by=str(entry.strategy or entry.requested_by),
        parent_entry=entry,
    )
    new.parent = entry
    new.save(update_fields=["parent"])
    if send(new, now=now):
        cancel_legs([leg], by=f"its replacement #{new.pk}", now=now)
        return
    notifications.notify(
        "risk",
        f"Larger than its position: {leg.describe()}",
        account=leg.account,
        body=f"{holding.left} of {entry.describe()} are left. The venue refused the new size; it is tried again "
        "with the next bar. Look at the platform.",
        level="alert",
        key=f"too-large:{leg.pk}",
        now=now,
    )
