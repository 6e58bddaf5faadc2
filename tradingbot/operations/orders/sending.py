"""One claim, one HTTP call, one recorded outcome: failure-modes 5 and 6."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from django.db import transaction

from brokers.base import BracketTicks, Lane, NotSent, OutcomeUnknown, PlaceOrder, Refused, TagInUse
from market.orders import OrderStatus, OrderType, Role, Side
from tradingbot.faults import point
from tradingbot.models import Account, BracketMode, Order
from tradingbot.operations import notifications, snapshots, statements, venues

log = logging.getLogger(__name__)

_CLAIM_IS_FRESH = 2.0  # seconds from the claim to the call
ENTRY_HOLDS = timedelta(seconds=60)  # machine time from the decision, or from a call that never left, to the claim
_BACK_OFF = (2, 4, 8)  # seconds after attempts that provably never left; then the order is rejected
# The claim: the account's row is locked, for an entry the row of all accounts shared, so that a halt waits or wins; the
# order moves and leaves its event; all or nothing, in one round trip that is its own transaction.
_CLAIM = """
WITH all_may AS (
    SELECT id FROM tradingbot_overallstate WHERE NOT %(reduces)s AND trading_state = 'active' FOR SHARE
), open AS (
    SELECT account.id FROM tradingbot_account account JOIN tradingbot_login login ON login.id = account.login_id
    WHERE account.id = %(account)s
      AND (%(reduces)s OR (
        account.trading_state = 'active' AND account.enabled AND account.reconciled_at IS NOT NULL
        AND login.entries_blocked = ''
        AND EXISTS (SELECT id FROM all_may)
        AND (login.venue <> 'projectx' OR (account.armed_at IS NOT NULL
             AND (account.armed_until IS NULL OR account.armed_until > %(now)s)))))
    FOR UPDATE OF account
), claimed AS (
    UPDATE tradingbot_order claim
    SET status = 'sending', attempt = claim.attempt + 1, claim_token = %(token)s, claimed_at = statement_timestamp(),
        status_at = statement_timestamp(), sent_at = %(now)s, updated_at = %(now)s
    FROM open
    WHERE claim.id = %(order)s AND claim.account_id = open.id AND claim.status = 'new'
      AND (claim.expires_at IS NULL OR claim.expires_at > %(now)s)
      AND (claim.not_before IS NULL OR claim.not_before <= statement_timestamp())
      AND (%(reduces)s OR claim.status_at > statement_timestamp() - %(holds)s)
    RETURNING claim.*
), noted AS (
    INSERT INTO tradingbot_orderevent (order_id, at, kind, before, after, detail)
    SELECT id, %(now)s::timestamptz, 'claimed', 'new', 'sending', jsonb_build_object('attempt', attempt) FROM claimed
)
SELECT attempt, claimed_at, status_at, quantity, limit_price, stop_price, stop_ticks, target_ticks FROM claimed
"""
_FRESH = ("attempt", "claimed_at", "status_at", "quantity", "limit_price", "stop_price", "stop_ticks", "target_ticks")
_ACCEPT = """
WITH accepted AS (
    UPDATE tradingbot_order
    SET status = 'working', broker_order_id = %(broker_order_id)s, status_at = statement_timestamp(),
        updated_at = %(now)s
    WHERE id = %(order)s AND status = 'sending' AND claim_token = %(token)s
    RETURNING id
)
INSERT INTO tradingbot_orderevent (order_id, at, kind, before, after, detail)
SELECT id, %(now)s::timestamptz, 'working', 'sending', 'working',
    jsonb_build_object('broker_order_id', %(broker_order_id)s::bigint)
FROM accepted
RETURNING order_id
"""
_LANES = {Role.ENTRY: Lane.PLACE, Role.TARGET: Lane.STOP, Role.STOP: Lane.STOP, Role.EXIT: Lane.CANCEL}


def send(order: Order, *, now: datetime) -> bool:
    """Send a NEW order to the venue, once. True if the venue took it for processing.

    Losing the claim, to another process, to a halt, or to the clock, is no error: nothing is sent.
    """
    claimed_at = time.monotonic()
    point("place.before_claim")
    if not _claim(order, now):
        return False
    point("place.after_claim")
    try:
        broker = venues.connect(order.account.login)
        request = place_request(order)
    except Exception as error:
        _put_back(order, f"{type(error).__name__}: {error}", now)
        raise
    if time.monotonic() - claimed_at > _CLAIM_IS_FRESH:
        _put_back(order, "the claim was too old to send", now)
        return False
    try:
        point("place.before_call")
        broker_order_id = broker.place(request, lane=_LANES[Role(order.role)])
    except NotSent as error:
        _put_back(order, str(error), now)
    except TagInUse as error:
        _unknown(order, f"an earlier send landed: {error}", now)
    except Refused as error:
        _reject(order, str(error), error.code, now)
    except OutcomeUnknown as error:
        _unknown(order, str(error), now, raw=error.raw)
    except BaseException as error:
        _unknown(order, f"interrupted: {type(error).__name__}", now)
        raise
    else:
        point("place.after_call")
        accepted = _accept(order, broker_order_id, now)
        point("place.after_record")
        return accepted
    return False


def _claim(order: Order, now: datetime) -> bool:
    """Move the order from NEW to SENDING if it may leave now, with what the row asks for by now."""
    token = uuid4()
    values = {
        "account": order.account_id,
        "order": order.pk,
        "reduces": order.role != Role.ENTRY,
        "token": token,
        "now": now,
        "holds": ENTRY_HOLDS,
    }
    claimed = statements.rows(_CLAIM, values)
    if not claimed:
        return False
    order.status, order.claim_token, order.sent_at, order.updated_at = OrderStatus.SENDING, token, now, now
    for name, value in zip(_FRESH, claimed[0], strict=True):
        setattr(order, name, value)
    return True


def place_request(order: Order) -> PlaceOrder:
    """Return the order as the venue is asked for it."""
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
    values = {"order": order.pk, "token": order.claim_token, "broker_order_id": broker_order_id, "now": now}
    if not statements.rows(_ACCEPT, values):  # a read or the stream knew before this answer came
        order.note("answer came late", at=now, detail={"broker_order_id": broker_order_id})
        return True
    order.status, order.broker_order_id, order.updated_at = OrderStatus.WORKING, broker_order_id, now
    return True


def _reject(order: Order, reason: str, code: int | None, now: datetime) -> None:
    if order.role == Role.ENTRY and "Position Brackets" in reason:  # the venue's words, which may change: only a help
        Account.objects.filter(pk=order.account_id).update(bracket_mode=BracketMode.POSITION)
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


def _unknown(order: Order, reason: str, now: datetime, *, raw: str = "") -> None:
    with transaction.atomic():
        order.advance(
            OrderStatus.UNKNOWN,
            at=now,
            detail={"reason": reason} | ({"raw": raw} if raw else {}),
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
