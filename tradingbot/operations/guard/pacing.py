"""How far apart the looks at the accounts of a login lie: they share one budget, of which a ladder needs its part."""

from __future__ import annotations

from collections.abc import Collection

from tradingbot.clock import clock
from tradingbot.operations.guard.remembering import Alone
from tradingbot.operations.guard.watching import EXPOSED, IDLE, Watch

EVERYDAY, SAVE = 22, 1.5
"""Requests of a login in a window above which looks lie half as far apart again, so that a ladder has its 15; accounts
that share them have their part each."""
BESIDE, BESIDE_COSTS = 12.0, 0.1
"""How much further apart looks at an idle account lie, once a minute then, while another one of the login is exposed;
what they cost, where looks at an exposed account are 1."""
ROUND = 1.25
"""Market seconds between two rounds from memory at exposed accounts, whichever: two reads each, of 120 in a window."""


def stretch(watch: Watch, watches: Collection[Watch], *, spent: int) -> float:
    """Return how much further apart looks at an account lie than if it were the login's only one.

    watches   of all accounts of the login
    spent     requests of the login in the window that ends now
    """
    exposed = sum(other.exposed for other in watches)
    idle = len(watches) - exposed
    if not exposed:
        return idle
    if not watch.exposed:
        return BESIDE
    share = exposed + idle * BESIDE_COSTS
    return share * (SAVE if share * spent > EVERYDAY * clock.speed else 1.0)


def alone(one: Alone, ones: Collection[Alone]) -> float:
    """Return the market seconds between two rounds of an account from memory; `ones` are those of all of the login."""
    exposed = sum(other.exposed for other in ones)
    if not exposed:
        return IDLE * len(ones)
    return max(EXPOSED, ROUND * exposed) if one.exposed else IDLE * BESIDE
