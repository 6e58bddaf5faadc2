"""What the stream says of itself: health is the age of data, read by whoever would otherwise poll."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from redis import RedisError

from tradingbot.models import Contract, Heartbeat, Login
from tradingbot.operations import entry_blocks, leases
from tradingbot.queues import redis

log = logging.getLogger(__name__)

HEARTBEAT = "stream"
"""Name of the sign of life; the one that stands by adds `-standby`."""

LASTS = 3_000
"""Machine milliseconds for which a word of the stream counts; it is renewed every second."""

_WORDS = "stream:"


class Spread(msgspec.Struct):
    """How long the last ones took, in seconds; 0 before the first."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        ordered = sorted(seconds)
        if not ordered:
            return cls(0.0, 0.0)
        return cls(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)])


class Status(msgspec.Struct):
    """One login's stream since its process started.

    problems      in sentences, empty while everything is delivered
    gaps          executions that the check by REST found and the stream had not brought
    ages          seconds since the last data of each contract
    write, hint, book   from the frame to Redis, to the queue, to the booked row
    """

    user: bool
    market: bool
    problems: list[str]
    connects: int
    events: int
    booked: int
    unreadable: int
    gaps: int
    quotes: int
    trades: int
    writes: int
    minutes: int
    corrected: int
    hints: int
    ages: dict[str, float]
    write: Spread
    hint: Spread
    book: Spread


@dataclass(frozen=True, slots=True)
class Delivery:
    """One login's stream as people see it: `word` with its `tone` (good, warn, quiet), and one sentence.

    age      seconds since the oldest of the contracts' last data, None without any
    """

    login: Login
    word: str
    tone: str
    sentence: str
    age: float | None
    status: Status | None


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Status).decode


def status_key(login_id: int) -> str:
    return f"stream:{login_id}"


def delivers_key(contract_id: int) -> str:
    return f"stream:delivers:{contract_id}"


def read(login: Login) -> Status | None:
    """Return what the stream of `login` said in the last three seconds, None without one or without Redis."""
    try:
        stored: Any = redis().get(status_key(login.pk))
    except RedisError:
        return None
    return None if stored is None else _decode(stored)


def deliveries(logins: Iterable[Login]) -> list[Delivery]:
    """Return what each login's stream says of itself; one that says nothing has left everything to polling."""
    wanted = list(logins)
    try:
        said: list[Any] = list(redis().mget([status_key(login.pk) for login in wanted])) if wanted else []  # type: ignore[arg-type]
    except RedisError:
        return [Delivery(login, "not known", "warn", "Redis does not answer.", None, None) for login in wanted]
    is_run = None in said and Heartbeat.objects.filter(name=HEARTBEAT).exists()
    return [
        _delivery(login, None if stored is None else _decode(stored), is_run=is_run)
        for login, stored in zip(wanted, said, strict=True)
    ]


def _delivery(login: Login, status: Status | None, *, is_run: bool) -> Delivery:
    if status is None and is_run:
        return Delivery(login, "polling", "warn", "The stream is silent, everything is polled.", None, None)
    if status is None:
        return Delivery(login, "polling", "quiet", "No stream runs here, everything is polled.", None, None)
    age = max(status.ages.values(), default=None)
    if status.problems:
        sentence = f"Degraded to polling: {'; '.join(status.problems)}."
        return Delivery(login, "degraded", "warn", sentence, age, status)
    return Delivery(login, "delivers", "good", "Fills, quotes and minutes come as they happen.", age, status)


def delivers(contract: Contract) -> bool:
    """Return whether a stream brings the minutes of `contract` at the moment, so that nobody needs to poll for them."""
    try:
        return bool(redis().exists(delivers_key(contract.pk)))
    except RedisError:
        return False


def lease(login_id: int) -> str:
    """Return the name of the lease of the login's stream."""
    return f"stream:{login_id}"


def block_entries(login: Login, reason: str) -> None:
    """Let no entry of `login` leave until `allow_entries`, or until the lease of its stream has run out."""
    entry_blocks.put(login, _WORDS, reason)


def allow_entries(login: Login) -> None:
    """End a block of ours."""
    entry_blocks.put(login, _WORDS, "")


def end_orphaned_blocks() -> None:
    """Let entries leave that a stream kept back which is gone, once polling has compared every account since.

    One that was never compared keeps its own entries back.
    """
    for login in Login.objects.filter(entries_blocked__contains=_WORDS):
        gone_at = leases.ended_at(lease(login.pk))
        watched = login.accounts.filter(enabled=True)
        if gone_at is None or watched.filter(reconciled_at__lte=gone_at).exists():
            continue
        log.warning("%s: the stream that kept entries back is gone and all is compared, they may leave", login)
        allow_entries(login)
