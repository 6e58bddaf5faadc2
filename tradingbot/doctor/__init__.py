"""What runs where, and what is wrong with it: each check is a function that returns one finding."""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError

from tradingbot.doctor import installation, running, trading
from tradingbot.doctor.findings import Finding

__all__ = ["Finding", "examine"]

CHECKS: tuple[Callable[[], Finding], ...] = (
    installation.python,
    installation.database,
    installation.broker,
    installation.secrets,
    running.processes,
    running.signs_of_life,
    running.guard,
    running.ports,
    running.market_time,
    trading.venue,
    trading.answers,
    trading.policy,
    trading.calendar,
    trading.rulebook,
)


def examine() -> list[Finding]:
    """Run every check; one that needs the database and does not get it is unknown."""
    findings = []
    for check in CHECKS:
        try:
            findings.append(check())
        except DatabaseError:
            findings.append(Finding(check.__name__, "warn", "unknown, see database"))
    return findings
