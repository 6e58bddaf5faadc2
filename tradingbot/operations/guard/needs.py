"""What must be there before an entry may leave: while anything is missing, entries are refused, and it is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from tradingbot.models import Login
from tradingbot.operations import heartbeats, notifications

log = logging.getLogger(__name__)

PROCESSES = ("beat", "worker-critical", "worker-high", "worker-normal")
_WORDS = "missing: "


def check(logins: Iterable[Login], *, now: datetime) -> str:
    """Refuse entries of `logins` while a process that looks after them is silent; returns what is missing.

    A process that never gave a sign of life is not missed: this installation runs without it. What others blocked
    stays blocked.
    """
    silent = [sign for sign in heartbeats.overview() if sign.name in PROCESSES and not sign.alive]
    missing = _WORDS + ", ".join(f"{sign.name} is silent" for sign in silent) if silent else ""
    for login in logins:
        if login.entries_blocked == missing or not (
            login.entries_blocked.startswith(_WORDS) or login.entries_blocked == ""
        ):
            continue
        Login.objects.filter(pk=login.pk, entries_blocked=login.entries_blocked).update(entries_blocked=missing)
        notifications.notify(
            "system",
            f"{login}: entries are refused" if missing else f"{login}: entries may leave again",
            body=missing or "Everything that is needed gives signs of life again.",
            level="alert" if missing else "info",
            now=now,
        )
        log.warning("%s: %s", login, f"entries are refused, {missing}" if missing else "entries may leave again")
    return missing
