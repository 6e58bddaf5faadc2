"""Our clock against the venue's: entries wait while they differ too much, since every time limit would be wrong."""

from __future__ import annotations

from datetime import datetime

from risk import limits
from tradingbot.models import Login
from tradingbot.operations import entry_blocks, notifications, venues

ALERT, BLOCK = 2.0, limits.CLOCK_SKEW  # seconds
_WORDS = "the machine's clock differs from the venue's by"


def check(login: Login, *, now: datetime) -> float | None:
    """Hold the clocks against each other by the venue's last answer; returns the difference in seconds.

    More than two seconds are told, more than five keep entries from leaving until the clocks agree again.
    """
    skew = venues.connect(login).clock_skew()
    if skew is None:
        return None
    Login.objects.filter(pk=login.pk).update(clock_skew=skew)
    wrong = f"{skew:+.1f} s" if abs(skew) > BLOCK else ""
    entry_blocks.put(login, _WORDS, wrong)
    if abs(skew) > ALERT:
        notifications.notify(
            "risk",
            f"{login}: {_WORDS} {skew:+.1f} s",
            body="Set the machine's clock (NTP). Above 5 s no entry is sent.",
            level="alert" if wrong else "warning",
            key=f"skew:{login.pk}:{bool(wrong)}:{now:%Y-%m-%d %H}",
            now=now,
        )
    return skew
