"""The right to close a position: one process at a time asks the venue for it, since two closes can turn it round."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from tradingbot.models import Position

IN_FLIGHT = timedelta(seconds=4)
"""Machine time from a claim for which nobody else closes: a second at most until the call, and three for the venue."""
_FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask for one close; `at` is the monotonic time from which it counts."""

    position_id: int
    at: float

    def may_call(self) -> bool:
        """Return whether the call may still leave: a process that was held up looks again."""
        return time.monotonic() - self.at <= _FRESH

    def give_back(self) -> None:
        """Let the next one close at once: the call is known not to have left."""
        Position.objects.filter(pk=self.position_id).update(close_sent_at=None)


def claim(position: Position, **seen: Any) -> Claim | None:
    """Return the right to close `position`, None while a close is in flight; `seen` is written with it."""
    at = time.monotonic()
    free = Q(close_sent_at__isnull=True) | Q(close_sent_at__lte=Now() - IN_FLIGHT)
    taken = Position.objects.filter(free, pk=position.pk).update(close_sent_at=Now(), **seen)
    return Claim(position.pk, at) if taken else None


def is_in_flight(position: Position) -> bool:
    """Return whether the venue was asked to close `position` a moment ago."""
    return Position.objects.filter(pk=position.pk, close_sent_at__gt=Now() - IN_FLIGHT).exists()
