"""The way to a venue: one client a process and login; token and request budget are shared by all processes."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db.models.functions import Now

from brokers.base import Broker, BrokerError, NotSent
from brokers.budget import SharedBudget
from brokers.projectx import client, gateway, session
from brokers.projectx.brackets import BracketSign
from tradingbot.clock import clock
from tradingbot.models import Login
from tradingbot.models.accounts import Venue
from tradingbot.operations import leases, places

log = logging.getLogger(__name__)

_REREAD = 60.0  # seconds after which a process looks at the stored token again
_REFRESH_IN_BREAK = timedelta(hours=2)
_REFRESH_AFTER = timedelta(hours=23, minutes=30)
_USELESS_AFTER = timedelta(hours=24)
"""Machine time. One of the last break is 23 h 40 old when the next begins, so it is exchanged after the flat time."""
_INTO_BREAK = timedelta(minutes=20)
_WAIT = 6.0

_connections: dict[int, tuple[str, Broker]] = {}


def connect(login: Login) -> Broker:
    """Return this process's client of `login`, made anew after a fork or when the login's settings changed."""
    key = _key(login)
    kept = _connections.get(login.pk)
    if kept is None or kept[0] != key:
        places.check(login)
        kept = _connections[login.pk] = (key, _make(login))
    return kept[1]


def make_with(make: Callable[[Login], Broker]) -> None:
    """Let `make` build this process's clients from now on: guard has a budget of its own, and no Redis to share one."""
    global _make  # noqa: PLW0603  one decision a process
    _make = make


def use(login: Login, broker: Broker) -> None:
    """Let `broker` stand for `login` in this process: the simulated venue without a wire, for tests and simulation."""
    _connections[login.pk] = (_key(login), broker)


def forget() -> None:
    """Drop every client of this process."""
    _connections.clear()


def renew_token(login: Login) -> bool:
    """Exchange the login's token for a fresh one; False where its client has none of its own, or the venue refuses.

    The old one goes on while it is valid.
    """
    tokens = getattr(connect(login), "tokens", None)
    return isinstance(tokens, StoredTokens) and tokens.exchange()


def _key(login: Login) -> str:
    secret = hashlib.sha256(f"{login.user_name}\0{login.api_key}".encode()).hexdigest()
    return f"{os.getpid()} {login.base_url} {secret}"


def _client(login: Login) -> Broker:
    from tradingbot.operations import breakers, metrics  # count in Redis

    way = gateway.Gateway(
        login.base_url,
        SharedBudget(settings.REDIS_URL, f"login-{login.pk}", wall=time.time, speed=clock.speed),  # noqa: TID251
        observe=metrics.observer(login.pk),
        plain_http=login.venue == Venue.PAPER,
        wall=time.time,  # noqa: TID251  the venue's Date header is the machine's time, also in a rehearsal
        breaker=breakers.SharedBreaker(login.pk),
    )
    tokens = StoredTokens(login.pk, session.Login(way, login.user_name, login.api_key))
    return client.ProjectX(way, tokens, bracket_sign=BracketSign(settings.PROJECTX_BRACKET_TICKS))


_make = _client


class StoredTokens:
    """The token in the login's row, encrypted; renewed by one process at a time under a lease."""

    def __init__(self, login_id: int, login: session.Login) -> None:
        self._row = Login.objects.filter(pk=login_id)
        self._lease = f"token:{login_id}"
        self._login = login
        self._token: str | None = None
        self._read_at = 0.0

    def get(self) -> str | None:
        """Return the stored token, exchanged first in the daily break or before it expires, by whoever comes first."""
        if self._token is None or time.monotonic() - self._read_at > _REREAD:
            self._token, self._read_at = self._stored(_USELESS_AFTER), time.monotonic()
            if self._token is not None and self._stored(_REFRESH_IN_BREAK) is None and self._is_due():
                self.exchange()
        return self._token

    def _is_due(self) -> bool:
        from tradingbot.operations import sessions  # which asks us for clients

        now = clock.now()
        is_break = all(sessions.current(at) is None for at in (now, now - _INTO_BREAK))
        return is_break or self._stored(_REFRESH_AFTER) is None

    def renew(self, stale: str | None) -> str:
        """Return a token that is not `stale`, from the row if another process was faster, else by a fresh login."""
        give_up = time.monotonic() + _WAIT
        while time.monotonic() < give_up:
            with leases.hold(self._lease, seconds=_WAIT * 2) as fence:
                if fence is not None:
                    stored = self._stored(_USELESS_AFTER)
                    return self._keep(stored if stored and stored != stale else self._login.login(), stored)
            time.sleep(0.05)
        raise NotSent("another process is logging in and does not finish")

    def exchange(self) -> bool:
        """Take a fresh token while the stored one still holds; False if another process is at it, or none is given."""
        token = self._stored(_USELESS_AFTER)
        if token is None:
            return False
        with leases.hold(self._lease, seconds=_WAIT * 2) as fence:
            if fence is None:
                return False
            for fresh in (partial(self._login.validate, token), self._login.login):
                try:
                    if self._keep(fresh(), token) != token:
                        return True
                except BrokerError as error:
                    log.info("the token was not exchanged, the old one goes on: %s", error)
        return False

    def _keep(self, token: str, stored: str | None) -> str:
        if token != stored:
            self._row.update(token=token, token_renewed_at=Now())
        self._token, self._read_at = token, time.monotonic()
        return token

    def _stored(self, younger_than: timedelta) -> str | None:
        return (
            self._row.filter(token_renewed_at__gt=Now() - younger_than).values_list("token", flat=True).first() or None
        )
