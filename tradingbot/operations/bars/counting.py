"""How often the bar cache had what was asked for; counted in the process, added up in Redis when it is there."""

from __future__ import annotations

import logging
import time
from collections import Counter
from enum import StrEnum

log = logging.getLogger(__name__)

KEY = "bars:reads"
_EVERY = 1.0


class Source(StrEnum):
    """Where a day of bars came from; the first two are hits, the last a miss."""

    MEMORY = "memory"
    DATABASE = "database"
    VENUE = "venue"


_pending: Counter[Source] = Counter()
_next_flush = 0.0
_alone = False


def keep_alone() -> None:
    """Leave Redis out of it in this process: guard has none."""
    global _alone  # noqa: PLW0603  one decision a process
    _alone = True


def count(source: Source, number: int = 1) -> None:
    """Count `number` days (or calls to the venue). Without Redis they are added later."""
    global _next_flush  # noqa: PLW0603  one counter a process
    _pending[source] += number
    if time.monotonic() >= _next_flush:
        _next_flush = time.monotonic() + _EVERY
        _flush()


def counts() -> dict[Source, int]:
    """Return the days read from memory and database and the calls to the venue, of all processes. Raises RedisError."""
    from tradingbot.queues import redis

    _flush()
    stored: dict[bytes, bytes] = redis().hgetall(KEY)  # type: ignore[assignment]
    return {source: int(stored.get(source.value.encode(), 0)) for source in Source}


def _flush() -> None:
    taken = dict(_pending)
    if not taken or _alone:
        return
    from redis import RedisError

    from tradingbot.queues import redis

    try:
        pipeline = redis().pipeline(transaction=False)
        for source, number in taken.items():
            pipeline.hincrby(KEY, source.value, number)
        pipeline.execute()
    except RedisError as error:
        log.debug("reads of bars are counted later: %s", error)
        return
    _pending.subtract(taken)
