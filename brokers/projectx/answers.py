"""What an answer proves."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from brokers.base import LoginFailed, ReadFailed, TagInUse
from brokers.projectx.codes import LOGIN, LOGOUT, PLACE, VALIDATE, Endpoint, PlaceCode

T = TypeVar("T")

REFUSALS = frozenset({400, 403, 404, 422})
"""HTTP statuses that prove that a mutation did nothing; 401 does too and is treated apart, no other does."""

KEPT = 2_000
"""Bytes of a body that are kept when it proves nothing."""

_SECRET = frozenset({LOGIN.path, LOGOUT.path, VALIDATE.path})
_JWT = re.compile(r"eyJ[\w-]+(\.[\w-]*)*")
_TAG_IN_USE = re.compile(r"\btag\b.*\bin use\b", re.IGNORECASE)


class _Problem(msgspec.Struct):
    title: str | None = None
    detail: str | None = None


def judge(endpoint: Endpoint[T], status: int, body: bytes) -> T:
    """Return what an answer brought.

    Raises LoginFailed for 401, `endpoint.refused` when it proves that nothing happened, `endpoint.lost` for anything
    else.
    """
    name, raw = endpoint.path, excerpt(endpoint, body)
    if status == 401:
        raise LoginFailed(f"{name}: HTTP 401, the venue does not accept our token")
    if status in REFUSALS and endpoint.lost is not ReadFailed:
        raise endpoint.refused(f"{name}: HTTP {status}{_text(endpoint, _problem(body))}")
    if status != 200:
        raise endpoint.lost(f"{name}: HTTP {status}{_text(endpoint, _problem(body))}", raw=raw)
    answer = None
    try:
        answer = msgspec.json.decode(body, type=endpoint.answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
    if answer is None:
        raise endpoint.lost(f"{name}: cannot read the answer: {reason}", raw=raw)
    code = answer.error_code
    if answer.success != (code == 0):
        raise endpoint.lost(f"{name}: success {answer.success} with code {code}", code=code, raw=raw)
    if answer.success:
        if answer.payload is None:
            raise endpoint.lost(f"{name}: the answer says success and brings nothing", raw=raw)
        return answer.payload
    meaning = endpoint.meaning(code)
    message = f"{name}: code {code} {meaning or 'which we do not know'}{_text(endpoint, answer.error_message)}"
    if meaning is None or code in endpoint.ambiguous:
        raise endpoint.lost(message, code=code, raw=raw)
    if endpoint.path == PLACE.path and code == PlaceCode.ORDER_REJECTED and _TAG_IN_USE.search(message):
        raise TagInUse(message, code=code)
    raise endpoint.refused(message, code=code)


def excerpt(endpoint: Endpoint[T], body: bytes) -> str:
    """Return the beginning of a body for whoever has to find out what happened; nothing of a login's."""
    if endpoint.path in _SECRET:
        return ""
    return _JWT.sub("…", body[:KEPT].decode(errors="replace").replace("\x00", "\ufffd"))


def _problem(body: bytes) -> str | None:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return problem.detail or problem.title


def _text(endpoint: Endpoint[T], text: str | None) -> str:
    """Return the venue's words, for which nobody vouches: one short printable line without tokens, none of a login."""
    if not text or endpoint.path in _SECRET:
        return ""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:1000])
    return f": {_JWT.sub('…', printable)[:200]}"
