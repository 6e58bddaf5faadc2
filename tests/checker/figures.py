"""What a run measured, in machine time."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass

from tests.checker.facts import Facts
from tests.checker.timeline import exposures

_BLINK = 0.05  # seconds: the rows of one transaction are written one after the other


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and seconds of one run.

    orders          orders of ours that the venue took, legs not counted
    doubles         orders that the venue took beyond the first of an intent
    lost            intents that were committed and neither sent nor ended
    exposures       positions that we opened; bare: those that were without a full stop for a time
    bare_max        longest time without a full stop; bare_median of those that were bare at all
    flat            whether the venue holds nothing and works on nothing at the end
    """

    orders: int
    doubles: int
    lost: int
    exposures: int
    bare: int
    bare_max: float
    bare_median: float
    flat: bool

    def __str__(self) -> str:
        return " ".join(f"{k}={v:.2f}" if isinstance(v, float) else f"{k}={v}" for k, v in asdict(self).items())


def measure(facts: Facts) -> Figures:
    """Return the figures of a run."""
    ours = [o for o in facts.venue_orders if o.tag and o.tag.startswith(facts.prefix) and o.parent_id is None]
    taken = [order for order in ours if order.status != 5]
    opened = [exposure for exposure in exposures(facts) if exposure.ours]
    bare = [exposure.longest for exposure in opened if exposure.longest > _BLINK]
    return Figures(
        orders=len(taken),
        doubles=len(taken) - len({(order.account_id, order.tag) for order in taken}),
        lost=sum(row.status in {"new", "sending", "unknown"} for row in facts.orders),
        exposures=len(opened),
        bare=len(bare),
        bare_max=max(bare, default=0.0),
        bare_median=statistics.median(bare) if bare else 0.0,
        flat=not any(p.quantity for p in facts.venue_positions)
        and not any(o.status in {1, 6, 7, 8} for o in facts.venue_orders),
    )
