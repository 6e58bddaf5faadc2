"""Calls to the venue: counted in Redis in stretches of five minutes, kept as rows from then on."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import redis
from django.conf import settings

from brokers.projectx.gateway import Call
from tradingbot.models import ApiMetric

log = logging.getLogger(__name__)

_STRETCH = 300
_COUNT = """
local at = tonumber(redis.call('TIME')[1])
local key = KEYS[1] .. (at - at % tonumber(ARGV[3]))
redis.call('HINCRBY', key, ARGV[1] .. '|calls', 1)
redis.call('HINCRBYFLOAT', key, ARGV[1] .. '|seconds', ARGV[2])
local slowest = tonumber(redis.call('HGET', key, ARGV[1] .. '|slowest') or '0')
if tonumber(ARGV[2]) > slowest then redis.call('HSET', key, ARGV[1] .. '|slowest', ARGV[2]) end
redis.call('EXPIRE', key, ARGV[3] * 12)
"""


def observer(login_id: int) -> Callable[[Call], None]:
    """Return what a gateway tells its calls to; a call that cannot be counted goes on uncounted."""

    def observe(call: Call) -> None:
        try:
            _count()(
                keys=[f"api:{login_id}:"], args=[f"{call.endpoint}|{call.outcome}", f"{call.seconds:.6f}", _STRETCH]
            )
        except redis.RedisError as error:
            log.debug("%s was not counted: %s", call.endpoint, error)

    return observe


def snapshot() -> int:
    """Write every counted stretch into its rows, the running one too; returns how many rows were written."""
    client, written = _redis(), 0
    for key in client.scan_iter("api:*"):
        _, login_id, second = key.decode().split(":")
        at = datetime.fromtimestamp(int(second), UTC)
        figures: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
        for name, value in client.hgetall(key).items():  # type: ignore[union-attr]
            endpoint, outcome, figure = name.decode().split("|")
            figures[endpoint, outcome][figure] = float(value)
        for (endpoint, outcome), values in figures.items():
            ApiMetric.objects.update_or_create(
                login_id=int(login_id), at=at, endpoint=endpoint, outcome=outcome, defaults=values
            )
            written += 1
    return written


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.25, socket_connect_timeout=0.25)


@cache
def _count() -> Any:
    return _redis().register_script(_COUNT)
