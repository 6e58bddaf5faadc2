"""The sign of bracket ticks, the one thing on which the venue's documents and its behaviour disagree."""

from __future__ import annotations

from enum import StrEnum

from brokers.base import BracketTicks
from market.orders import Side


class BracketSign(StrEnum):
    """How the venue counts bracket ticks.

    SIGNED    as offsets from the entry's fill: a buy has a negative stop and a positive target, a sell the reverse
    POSITIVE  as distances
    SIGNED is what its refusals and the values on the children show; its documentation's example has POSITIVE.
    """

    SIGNED = "signed"
    POSITIVE = "positive"


def venue_ticks(bracket: BracketTicks, side: Side, sign: BracketSign) -> tuple[int, int | None]:
    """Return stop and target ticks of an entry to `side` as the venue wants them; a missing target stays None."""
    if sign is BracketSign.POSITIVE:
        return bracket.stop, bracket.target
    return -side * bracket.stop, None if bracket.target is None else side * bracket.target
