"""The newest quote of each contract, kept in Redis by the stream; gone a minute after the last one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec
from redis import RedisError

from tradingbot.models import Contract
from tradingbot.queues import redis

KEPT = 60.0
"""Machine seconds; what is left of them tells a quote's age, so that no two clocks are compared."""


class _Stored(msgspec.Struct):
    at: datetime
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Stored).decode


@dataclass(frozen=True, slots=True)
class Latest:
    """A quote in points with its age in machine seconds; `at` is the venue's time of it."""

    at: datetime
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    age: float


def key(venue: str, broker_contract_id: str) -> str:
    return f"quote:{venue}:{broker_contract_id}"


def pack(at: datetime, last: Decimal | None, bid: Decimal | None, ask: Decimal | None) -> bytes:
    """Return a quote as it is stored under its key for KEPT seconds."""
    return _encode(_Stored(at, last, bid, ask))


def latest(contract: Contract, *, max_age: float = 5.0) -> Latest | None:
    """Return the newest quote, None without one that is at most `max_age` machine seconds old or without Redis."""
    name = key(contract.venue, contract.broker_contract_id)
    try:
        pipeline = redis().pipeline(transaction=False)
        pipeline.get(name)
        pipeline.pttl(name)
        stored, left = pipeline.execute()
    except RedisError:
        return None
    if stored is None or left < 0:
        return None
    age = KEPT - left / 1000
    quote = _decode(stored)
    return Latest(quote.at, quote.last, quote.bid, quote.ask, age) if age <= max_age else None
