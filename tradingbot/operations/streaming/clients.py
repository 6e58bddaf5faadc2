"""The stream's own way to the login's token, which all processes share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections

from brokers.base import NotSent
from brokers.budget import SharedBudget
from brokers.projectx import gateway, session
from brokers.projectx.session import Tokens
from tradingbot.clock import clock
from tradingbot.models import Login
from tradingbot.models.accounts import Venue
from tradingbot.operations import metrics, venues


def tokens(login: Login) -> Tokens:
    """Return the tokens of `login`, read from its row and renewed under its lease."""
    way = gateway.Gateway(
        login.base_url,
        SharedBudget(settings.REDIS_URL, f"login-{login.pk}", wall=time.time, speed=clock.speed),  # noqa: TID251
        observe=metrics.observer(login.pk),
        plain_http=login.venue == Venue.PAPER,
        wall=time.time,  # noqa: TID251  the venue's Date header is the machine's time, also in a rehearsal
    )
    return StreamTokens(login.pk, session.Login(way, login.user_name, login.api_key))


class StreamTokens(venues.StoredTokens):
    """The stored token for a thread that lives for days: on a connection that lives; without PostgreSQL NotSent."""

    def get(self) -> str | None:
        with _rows():
            return super().get()

    def renew(self, stale: str | None) -> str:
        with _rows():
            return super().renew(stale)


@contextmanager
def _rows() -> Iterator[None]:
    close_old_connections()
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        raise NotSent(f"PostgreSQL does not answer: {str(error).splitlines()[0]}") from error
