"""How long the running task may still change something at the venue; apart from the queues, for guard has none."""

from __future__ import annotations

import time
from dataclasses import dataclass

MUTATION_NEEDS = 13.0
"""Seconds that a call to the venue and recording its answer may take; none starts with less to the soft limit."""


@dataclass(slots=True)
class Run:
    """The task that this process works on; a prefork child works on one at a time.

    limit   its soft time limit in seconds, None outside of a task or for one without
    """

    started: float = 0.0
    limit: int | None = None


running = Run()


def give_up_at() -> float | None:
    """Return the monotonic time after which the running task changes nothing more at the venue; None outside of one."""
    return None if running.limit is None else running.started + running.limit - MUTATION_NEEDS


def may_mutate() -> bool:
    """Return whether there is time to change something at the venue before the running task's soft limit."""
    until = give_up_at()
    return until is None or time.monotonic() < until
