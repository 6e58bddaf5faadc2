"""Who may use the venue: one user name and key, or any; tokens that live 24 hours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from brokers.simulated.ledger import Ledger

LIFETIME = timedelta(hours=24)
_HEADER = {"alg": "HS256", "typ": "JWT"}


class BadToken(Exception):
    """No token, or one that this venue did not give or that was ended."""


class ExpiredToken(BadToken):
    """A token of this venue that is too old."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The login that is accepted; None accepts any."""

    user: str | None = None
    key: str | None = None

    def accept(self, user: str, key: str) -> bool:
        """Return whether this is the login; user names are case-insensitive."""
        known = self.user is None or self.user.casefold() == user.casefold()
        return known and (self.key is None or hmac.compare_digest(self.key.encode(), key.encode()))


class Tokens:
    """Gives and checks tokens. They outlive a restart: key and ended ones are in the ledger.

    speed   market seconds a machine second; the 24 hours are the machine's, as the client counts them
    """

    def __init__(self, ledger: Ledger, now: Callable[[], datetime], *, speed: float = 1.0) -> None:
        self._ledger = ledger
        self._now = now
        self._lifetime = LIFETIME * speed
        secret = ledger.note("secret")
        self._secret = secret.encode() if secret is not None else self._new_secret()

    def give(self, user: str) -> str:
        expires = (self._now() + self._lifetime).timestamp()
        claims = {"sub": user, "jti": secrets.token_hex(8), "exp": int(expires)}
        body = f"{_pack(_HEADER)}.{_pack(claims)}"
        return f"{body}.{self._sign(body)}"

    def check(self, token: str | None) -> dict[str, Any]:
        """Return the claims of a token: `sub` the user, `jti` its id. Raises BadToken or ExpiredToken."""
        body, _, signature = (token or "").rpartition(".")
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode()):
            raise BadToken
        packed = body.partition(".")[2].encode()
        claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(packed + b"=" * (-len(packed) % 4)))
        if self._ledger.token_ended(claims["jti"]):
            raise BadToken
        if self._now().timestamp() >= claims["exp"]:
            raise ExpiredToken
        return claims

    def end(self, token_id: str) -> None:
        with self._ledger.transaction():
            self._ledger.end_token(token_id)

    def end_all(self) -> None:
        """Refuse every token that was given so far."""
        self._secret = self._new_secret()

    def _new_secret(self) -> bytes:
        secret = secrets.token_hex(32)
        with self._ledger.transaction():
            self._ledger.keep("secret", secret)
        return secret.encode()

    def _sign(self, body: str) -> str:
        return _text(hmac.new(self._secret, body.encode(), hashlib.sha256).digest())


def _pack(value: dict[str, Any]) -> str:
    return _text(msgspec.json.encode(value))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
