"""A stop whose outcome is unknown, sent once more under its own tag: "in use" proves that the first one landed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from brokers.base import BrokerError, Lane, NotSent, Refused, TagInUse
from market.orders import OrderStatus, Role
from tradingbot.models import Order
from tradingbot.operations import venues
from tradingbot.operations.orders.sending import place_request

log = logging.getLogger(__name__)

STOP_AGAIN = 1.5
"""Machine seconds between two sends of one stop: a query comes in between."""


def resend_stop(order: Order, *, now: datetime) -> bool:
    """Send an UNKNOWN stop again, 1.5 s after the last send of any process; returns whether a call was made.

    For stops alone, where a double is cancelled as surplus: an entry of unknown outcome is never sent again. Whatever
    the venue answers, the order stays UNKNOWN until a read shows it.
    """
    if order.role != Role.STOP:
        raise ValueError(f"{order} is no stop: only a stop is sent again")
    if not _claim(order, now):
        return False
    try:
        number = venues.connect(order.account.login).place(place_request(order), lane=Lane.STOP)
        outcome = f"taken as {number}"
    except TagInUse:
        outcome = "the tag is in use: an earlier send landed"
    except Refused as error:
        outcome = f"refused: {error}"
    except NotSent as error:
        outcome = f"not sent: {error}"
    except BrokerError as error:
        outcome = f"{type(error).__name__}: {error}"
    order.note("sent again", at=now, detail={"outcome": outcome})
    log.warning("%s sent again under its own tag: %s", order, outcome)
    return True


def _claim(order: Order, now: datetime) -> bool:
    with transaction.atomic():
        claimed = Order.objects.filter(
            pk=order.pk, status=OrderStatus.UNKNOWN, role=Role.STOP, status_at__lt=Now() - timedelta(seconds=STOP_AGAIN)
        ).update(attempt=F("attempt") + 1, claimed_at=Now(), status_at=Now(), sent_at=now, updated_at=now)
        if claimed:
            order.refresh_from_db(fields=["attempt", "claimed_at", "status_at", "sent_at", "status"])
            order.note("claimed again", at=now, detail={"attempt": order.attempt})
    return bool(claimed)
