"""One-time codes of an authenticator app, as RFC 6238 has them: SHA-1, six digits, a new one every 30 seconds."""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime

STEP = 30  # seconds
_DIGITS = 6
_LEAST = 16  # bytes; RFC 4226 asks for 128 bits


def secret(text: str) -> bytes:
    """Return the key that `text` writes in base32. Raises ValueError for one that is none, or too short."""
    plain = text.replace(" ", "").upper().rstrip("=")
    try:
        key = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except binascii.Error as error:
        raise ValueError("it is not base32: letters A-Z and digits 2-7") from error
    if len(key) < _LEAST:
        raise ValueError(f"it has {len(key) * 8} bits: at least {_LEAST * 8} are needed, 26 characters")
    return key


def step_of(at: datetime) -> int:
    """Return the number of the 30 seconds that `at` lies in."""
    return int(at.timestamp()) // STEP


def code(key: bytes, step: int) -> str:
    """Return the code that an app shows in a step."""
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 0xF
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}d}"


def is_right(key: bytes, typed: str, *, at: datetime, after: datetime | None = None) -> bool:
    """Return whether `typed` is the code of `at`, of the step before it or of the next one.

    after   when a code was last taken: none that could have been that one is right again
    """
    spent = step_of(after) + 1 if after is not None else -1
    now = step_of(at)
    right = [code(key, step) for step in (now - 1, now, now + 1) if step > spent]
    return typed.isascii() and any(hmac.compare_digest(one, typed.strip()) for one in right)
