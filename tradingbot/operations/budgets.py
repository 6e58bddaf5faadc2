"""What each login has sent to its venue in the last minute, as all processes count it together in Redis."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from brokers.budget import GUARD, SharedBudget, Usage
from tradingbot.clock import clock
from tradingbot.models import Heartbeat, Login
from tradingbot.operations import breakers


@dataclass(frozen=True, slots=True)
class Spent:
    """A login's requests and its circuit breaker; both are None while Redis cannot be asked."""

    login: Login
    usage: Usage | None
    breaker: breakers.State | None


@cache
def of(login_id: int) -> SharedBudget:
    """Return the budget that the processes of a login share."""
    return SharedBudget(settings.REDIS_URL, f"login-{login_id}", wall=time.time, speed=clock.speed)  # noqa: TID251


def spent() -> list[Spent]:
    """Return what every enabled login sent."""
    found: list[Spent] = []
    for login in Login.objects.filter(enabled=True).order_by("name"):
        away = bool(found) and found[-1].usage is None  # asked once a page, not once a login
        usage = None if away else of(login.pk).usage()
        found.append(Spent(login, usage, None if usage is None else breakers.state(login)))
    return found


def guards_share() -> tuple[int, str]:
    """Return how many requests guard has for itself in a window, and what it said last of those that it sent."""
    note = Heartbeat.objects.filter(name="guard").values_list("note", flat=True).first()
    return int(GUARD * clock.speed), note or ""
