"""From one tick to one hint an account: what does not need doing for an account is not asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from market.orders import LIVE, Role
from tradingbot.clock import period
from tradingbot.models import Account, Order, Position
from tradingbot.queues import hint

_LEAST_EXPIRY = 1.0


def fan_out(task: Any, account_ids: Iterable[int], *, seconds: float) -> int:
    """Hint `task` for each account; the hint expires after `seconds` of market time. Returns how many are new."""
    expires = max(_LEAST_EXPIRY, period(seconds))
    return sum(hint(task, expires=expires, account_id=account_id) for account_id in account_ids)


def watched() -> QuerySet[Account, int]:
    """Return the accounts that we look after."""
    return Account.objects.filter(enabled=True, login__enabled=True).order_by("pk").values_list("pk", flat=True)


def with_entries_or_positions() -> QuerySet[Account, int]:
    """Return the accounts where a fill may come any moment, or a position is open."""
    entries = Order.objects.filter(account=OuterRef("pk"), role=Role.ENTRY, status__in=LIVE)
    positions = Position.objects.filter(account=OuterRef("pk")).exclude(quantity=0, broker_quantity=0)
    return watched().filter(Exists(entries) | Exists(positions))


def without_stop() -> QuerySet[Account, int]:
    """Return the accounts with a position that was last seen without a stop of its full size."""
    return watched().filter(Exists(Position.objects.filter(account=OuterRef("pk"), unprotected_since__isnull=False)))


def to_be_flattened() -> QuerySet[Account, int]:
    """Return the accounts with a request to flatten, or with anything open: they may be past their flat time."""
    live = Order.objects.filter(account=OuterRef("pk"), status__in=LIVE)
    positions = Position.objects.filter(account=OuterRef("pk")).exclude(quantity=0, broker_quantity=0)
    return watched().filter(Q(flatten_requested_at__isnull=False) | Exists(live) | Exists(positions))
