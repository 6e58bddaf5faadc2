"""Calls to the venue: counted in Redis in stretches of five minutes, kept as rows from then on.

Counting has a thread of its own: whoever places an order does not wait for it.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django.db.models.functions import Now

from brokers.projectx.gateway import Call
from tradingbot.models import ApiMetric, Login, Sample
from tradingbot.operations import breakers, budgets, latencies
from tradingbot.operations.bars import counting
from tradingbot.operations.streaming import state

log = logging.getLogger(__name__)

_STRETCH = 300
_MOST_WAITING = 5_000
_COUNT = """
local at = tonumber(redis.call('TIME')[1])
local key = KEYS[1] .. (at - at % tonumber(ARGV[3]))
redis.call('HINCRBY', key, ARGV[1] .. '|calls', 1)
redis.call('HINCRBYFLOAT', key, ARGV[1] .. '|seconds', ARGV[2])
redis.call('HINCRBY', key, ARGV[1] .. '|' .. ARGV[4], 1)
local slowest = tonumber(redis.call('HGET', key, ARGV[1] .. '|slowest') or '0')
if tonumber(ARGV[2]) > slowest then redis.call('HSET', key, ARGV[1] .. '|slowest', ARGV[2]) end
redis.call('EXPIRE', key, ARGV[3] * 12)
"""


def observer(login_id: int) -> Callable[[Call], None]:
    """Return what a gateway tells its calls to; a call that cannot be counted goes on uncounted."""

    def observe(call: Call) -> None:
        _recorder().give(login_id, call)

    return observe


def settle(seconds: float = 1.0) -> bool:
    """Wait until every call that was told is counted, for so long at most; True if it is."""
    return _recorder().settle(seconds)


class _Recorder:
    """Counts what it is given in a thread of its own, which starts with the first call."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[int, Call] | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        atexit.register(self.settle, 0.5)

    def give(self, login_id: int, call: Call) -> None:
        if self._waiting.qsize() < _MOST_WAITING:
            self._start()
            self._waiting.put((login_id, call))

    def settle(self, seconds: float) -> bool:
        if self._thread is None:
            return True
        done = threading.Event()
        self._waiting.put(done)
        return done.wait(seconds)

    def _start(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        while True:
            given = self._waiting.get()
            if isinstance(given, threading.Event):
                given.set()
                continue
            login_id, call = given
            try:
                self._count(login_id, call)
            except redis.RedisError as error:
                log.debug("%s was not counted: %s", call.endpoint, error)
            except Exception:  # whatever it is, the next calls are counted
                log.exception("%s was not counted", call.endpoint)

    def _count(self, login_id: int, call: Call) -> None:
        if call.left:
            budgets.of(login_id).note(call.lane)
            breakers.count(login_id, failed=call.failed)
        names = f"{call.endpoint}|{call.outcome}"
        _count()(
            keys=[f"api:{login_id}:"],
            args=[names, f"{call.seconds:.6f}", _STRETCH, f"b{latencies.bucket(call.seconds)}"],
        )


def _recorder() -> _Recorder:
    return _of_process(os.getpid())  # a fork has neither the thread nor what waits


@cache
def _of_process(pid: int) -> _Recorder:
    return _Recorder()


def snapshot() -> int:
    """Write every counted stretch into its rows, the running one too, and one sample of each other count.

    Returns how many rows of calls were written. Raises RedisError.
    """
    client, written = _redis(), 0
    logins = set(Login.objects.values_list("pk", flat=True))
    for key in client.scan_iter("api:*"):
        _, login_id, second = key.decode().split(":")
        if int(login_id) not in logins:
            continue
        at = datetime.fromtimestamp(int(second), UTC)
        figures: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: {"buckets": latencies.nothing()})
        for name, value in client.hgetall(key).items():  # type: ignore[union-attr]
            endpoint, outcome, figure = name.decode().split("|")
            if figure.startswith("b"):
                figures[endpoint, outcome]["buckets"][int(figure[1:])] = int(value)
            else:
                figures[endpoint, outcome][figure] = float(value)
        for (endpoint, outcome), values in figures.items():
            names: dict[str, Any] = {"login_id": int(login_id), "at": at, "endpoint": endpoint, "outcome": outcome}
            ApiMetric.objects.update_or_create(**names, source=ApiMetric.SHARED, defaults=values)
            written += 1
    _sample()
    return written


def _sample() -> None:
    """Keep what the cache of bars and the streams have counted so far."""
    rows = [Sample(at=Now(), name=f"cache.{source}", value=number) for source, number in counting.counts().items()]
    for login in Login.objects.filter(enabled=True):
        status = state.read(login)
        if status is not None:
            rows += [Sample(at=Now(), login=login, name=name, value=value) for name, value in _of_stream(status)]
    Sample.objects.bulk_create(rows)


def _of_stream(status: state.Status) -> list[tuple[str, float]]:
    return [
        ("stream.messages", status.events + status.quotes + status.trades),
        ("stream.booked", status.booked),
        ("stream.unreadable", status.unreadable),
        ("stream.gaps", status.gaps),
        ("stream.connects", status.connects),
        ("stream.data_age", max(status.ages.values(), default=0.0)),
    ]


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.25, socket_connect_timeout=0.25)


@cache
def _count() -> Any:
    return _redis().register_script(_COUNT)
