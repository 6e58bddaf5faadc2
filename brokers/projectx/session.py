"""Who we are at the venue: logging in, and the token that every other request carries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from brokers.base import BrokerError, Lane, LoginFailed
from brokers.projectx.codes import LOGIN, LOGOUT, VALIDATE
from brokers.projectx.gateway import Gateway
from brokers.projectx.requests import LoginRequest, Nothing

log = logging.getLogger(__name__)

HOUR = 3600.0
REFRESH_AFTER = 20 * HOUR
"""Age of a token from which on it is exchanged for a fresh one; the venue's tokens live 24 hours."""
USELESS_AFTER = 24 * HOUR
REFRESH_PAUSE = 60.0
REFUSAL_PAUSE = 15.0
"""Seconds during which a refused key is not tried again: the venue may lock a login that hammers."""


class Tokens(Protocol):
    """Where the token of one login lives; one place for all processes that share the login.

    Both methods raise what `Login` raises: NotSent when the venue could not be asked, LoginFailed when it said no.
    """

    def get(self) -> str | None:
        """Return the current token, None when there is none."""

    def renew(self, stale: str | None) -> str:
        """Return a token that is not `stale`: a newer one of someone else or of a fresh login. One login at a time."""


class Login:
    """The two ways to a token. Nothing of them appears in errors or logs."""

    def __init__(self, gateway: Gateway, user_name: str, api_key: str) -> None:
        self._gateway = gateway
        self._request = LoginRequest(user_name, api_key)
        self._refusal: LoginFailed | None = None
        self._refused_until = 0.0

    def login(self) -> str:
        """Return a token for the key. Earlier tokens stay valid."""
        if self._refusal and time.monotonic() < self._refused_until:
            raise LoginFailed(str(self._refusal), code=self._refusal.code)
        deadline = time.monotonic() + self._gateway.timeouts.login
        try:
            token = self._gateway.call(LOGIN, self._request, lane=Lane.CANCEL, deadline=deadline)
        except LoginFailed as refusal:
            self._refusal, self._refused_until = refusal, time.monotonic() + REFUSAL_PAUSE
            raise
        self._refusal = None
        return token

    def validate(self, token: str) -> str:
        """Return a fresh token for one that has not expired; after any failure log in afresh."""
        deadline = time.monotonic() + self._gateway.timeouts.login
        return self._gateway.call(VALIDATE, Nothing(), lane=Lane.CANCEL, token=token, deadline=deadline)

    def logout(self, token: str) -> None:
        """End a session; its token is refused from then on, those of other logins are not."""
        deadline = time.monotonic() + self._gateway.timeouts.login
        self._gateway.call(LOGOUT, Nothing(), lane=Lane.CANCEL, token=token, deadline=deadline)


class MemoryTokens:
    """The token of a login that one process uses. `clock` counts seconds and never goes back."""

    def __init__(self, login: Login, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._login = login
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._since = 0.0
        self._refresh_at = 0.0

    def get(self) -> str | None:
        """Return the token; an old one is exchanged by the first caller to come, the others go on with it."""
        token, now = self._token, self._clock()
        if token is None or now >= self._since + USELESS_AFTER:
            return None
        if now >= self._refresh_at and self._lock.acquire(blocking=False):
            try:
                return self._refresh(token, now) if self._token == token else self._token
            finally:
                self._lock.release()
        return token

    def renew(self, stale: str | None) -> str:
        with self._lock:
            if self._token is not None and self._token != stale and self._clock() < self._since + USELESS_AFTER:
                return self._token
            return self._keep(self._login.login())

    def _refresh(self, token: str, now: float) -> str:
        self._refresh_at = now + REFRESH_PAUSE
        try:
            return self._keep(self._login.validate(token))
        except BrokerError:
            log.info("the token could not be exchanged, logging in afresh")
        try:
            return self._keep(self._login.login())
        except BrokerError as error:
            log.warning("the old token stays in use, the next try is in %s s: %s", REFRESH_PAUSE, error)
        return token

    def _keep(self, token: str) -> str:
        self._token, self._since = token, self._clock()
        self._refresh_at = self._since + REFRESH_AFTER
        return token
