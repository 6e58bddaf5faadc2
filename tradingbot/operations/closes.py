"""The right to close a position: one process at a time asks the venue for it, since two closes can turn it round."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Min, Q
from django.db.models.functions import Now

from market.orders import Side
from tradingbot.models import Account, Contract, Position
from tradingbot.operations import statements

IN_FLIGHT = timedelta(seconds=4)
"""Machine time from a claim for which nobody else closes: a second at most until the call, and three for the venue."""
_FRESH = 1.0

_CLAIM = """
UPDATE tradingbot_position
SET close_sent_at = statement_timestamp(), broker_quantity = coalesce(%(shown)s::integer, broker_quantity)
WHERE id = %(position)s
  AND (close_sent_at IS NULL OR close_sent_at <= statement_timestamp() - %(in_flight)s)
RETURNING close_sent_at
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask for one close; `at` is the monotonic time from which it counts, `sent_at` what the row says."""

    position_id: int
    sent_at: datetime
    at: float

    def may_call(self) -> bool:
        """Return whether the call may still leave; a process that was held up gives the right back and looks again."""
        if time.monotonic() - self.at <= _FRESH:
            return True
        self.give_back()
        return False

    def give_back(self) -> None:
        """Let the next one close at once, as the call has not left; the right of who has claimed since stays."""
        Position.objects.filter(pk=self.position_id, close_sent_at=self.sent_at).update(close_sent_at=None)


def claim(position: Position, *, shown: int | None = None) -> Claim | None:
    """Return the right to close `position`, None while a close is in flight; `shown` is the venue's quantity."""
    at = time.monotonic()
    found = statements.rows(_CLAIM, {"position": position.pk, "shown": shown, "in_flight": IN_FLIGHT})
    return Claim(position.pk, found[0][0], at) if found else None


def is_in_flight(position: Position) -> bool:
    """Return whether the venue was asked to close `position` a moment ago."""
    return Position.objects.filter(pk=position.pk, close_sent_at__gt=Now() - IN_FLIGHT).exists()


def may_leave(account: Account, contract: Contract, side: Side) -> bool:
    """Return whether an untagged market order on `side` may be what a close of ours left at the venue.

    Any may while a close can be in flight; after that, one that makes the position smaller that was to be closed.
    """
    smaller = Q(quantity__gt=0) if side is Side.SELL else Q(quantity__lt=0)
    asked = Position.objects.filter(account=account, contract=contract, close_sent_at__isnull=False)
    return asked.filter(smaller | Q(close_sent_at__gt=Now() - IN_FLIGHT)).exists()


def seen_flat(position: Position, *, at: datetime) -> None:
    """Forget the close of a position that a reading begun `at` showed flat, when no close could be in flight any more.

    What a person trades from then on is his. A position that our fills do not know to be closed keeps its record.
    """
    Position.objects.filter(pk=position.pk, quantity=0, close_sent_at__lte=at - IN_FLIGHT).update(close_sent_at=None)


def seconds_left(account: Account, *, since: float) -> float:
    """Return the machine seconds until the first claim on a position without its stop ends, infinite if there is none.

    since   machine seconds since a check began: a claim that ended in them is one to try anew now, 0
    """
    bare = Position.objects.filter(account=account, unprotected_since__isnull=False)
    claimed = bare.filter(close_sent_at__gt=Now() - IN_FLIGHT - timedelta(seconds=since))
    left = claimed.aggregate(left=Min(F("close_sent_at") + IN_FLIGHT - Now()))["left"]
    return float("inf") if left is None else max(0.0, left.total_seconds())
