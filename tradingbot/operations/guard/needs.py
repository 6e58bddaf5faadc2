"""What must be there before an entry may leave: while anything is missing, entries are refused, and it is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from tradingbot.models import Login
from tradingbot.operations import entry_blocks, heartbeats, notifications

log = logging.getLogger(__name__)

PROCESSES = ("beat", "worker-critical", "worker-high", "worker-normal")
_WORDS = "missing:"


def check(logins: Iterable[Login], *, now: datetime) -> str:
    """Refuse entries of `logins` while a process that looks after them is silent; returns what is missing.

    A process that never gave a sign of life is not missed: this installation runs without it. What others blocked
    stays blocked.
    """
    silent = [sign for sign in heartbeats.overview() if sign.name in PROCESSES and not sign.alive]
    reason = ", ".join(f"{sign.name} is silent" for sign in silent)
    missing = f"{_WORDS} {reason}" if reason else ""
    for login in logins:
        if not entry_blocks.put(login, _WORDS, reason):
            continue
        login.refresh_from_db(fields=["entries_blocked"])  # what others say may stand beside it
        words = "entries are refused" if login.entries_blocked else "entries may leave again"
        notifications.notify(
            "system",
            f"{login}: {words}",
            body=login.entries_blocked or "Everything that is needed gives signs of life again.",
            level="alert" if missing else "info",
            now=now,
        )
        log.warning("%s: %s, %s", login, words, login.entries_blocked or "nothing is missing")
    return missing
