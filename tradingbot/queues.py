"""How messages get onto the queues: one `apply_async` for all of them, with bounds, shedding and coalescing.

PostgreSQL holds the truth, a message is only a hint: dropping one of a low queue costs until the next tick. Critical
and high work is never dropped (failure modes, I16).
"""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from typing import Any

from celery import Task as CeleryTask
from django.conf import settings
from redis import Redis, RedisError

from brokers.base import BrokerError
from tradingbot.deadlines import running

log = logging.getLogger(__name__)

LIMITS: dict[str, tuple[int | None, int | None]] = {
    "critical": (25, 30),
    "high": (55, 60),
    "normal": (110, 120),
    "low": (290, 300),
    "background": (None, None),
}
"""Soft and hard time limit of a task in seconds, by queue."""

SHED_ABOVE = {"background": 1000, "low": 1200, "normal": 1400}
"""Messages waiting on all queues together above which a queue takes no new ones."""

_COUNT_AGE = 0.1


class Task(CeleryTask):
    """Base of every task: limits from its queue, shedding when too much waits, one deadline a run."""

    throws = (BrokerError,)  # a venue that does not answer is one line, not a traceback every five seconds

    @classmethod
    def on_bound(cls, app: Any) -> None:
        cls.soft_time_limit, cls.time_limit = LIMITS[queue_of(cls.name)]

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Publish a message; None instead of a result if its queue takes no more."""
        return super().apply_async(args, kwargs, **options) if takes(self.name) else None

    def before_start(self, task_id: str, args: Any, kwargs: dict[str, Any]) -> None:
        running.started = time.monotonic()
        running.limit = self.soft_time_limit
        _forget(self.name, kwargs)

    def after_return(self, *_: Any) -> None:
        running.limit = None

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: dict[str, Any], einfo: Any) -> None:
        if isinstance(exc, self.throws):
            log.warning("%s %s: %s", self.name, kwargs or "", exc)


class _Waiting:
    """How many messages wait on all queues, counted at most every 100 ms a process."""

    def __init__(self) -> None:
        self._counted_at = float("-inf")
        self._count = 0

    def count(self) -> int:
        if time.monotonic() - self._counted_at >= _COUNT_AGE:
            try:
                self._count = sum(waiting().values())
            except RedisError:
                self._count = 0  # nothing can be published either, which says so itself
            self._counted_at = time.monotonic()
        return self._count

    def forget(self) -> None:
        self._counted_at = float("-inf")


_waiting = _Waiting()


def queue_of(task_name: str) -> str:
    """Return the queue of `tradingbot.tasks.<queue>.<task>`."""
    return task_name.rsplit(".", 2)[-2]


def takes(task_name: str) -> bool:
    """Return whether the queue of a task takes one more message now; a refusal is logged."""
    limit = SHED_ABOVE.get(queue_of(task_name))
    if limit is None or (count := _waiting.count()) <= limit:
        return True
    log.warning("%s dropped: %d messages wait, its queue takes no more above %d", task_name, count, limit)
    return False


def waiting() -> dict[str, int]:
    """Return how many messages wait on each queue. Raises redis.RedisError without Redis."""
    pipeline = redis().pipeline(transaction=False)
    for name in LIMITS:
        pipeline.llen(name)
    return dict(zip(LIMITS, pipeline.execute(), strict=True))


def hint(task: Any, *, expires: float = 30.0, **ids: int) -> bool:
    """Publish `task` with `ids`; False if the same hint waits already, its queue takes no more, or Redis is gone.

    expires   machine seconds after which nobody starts it any more
    """
    milliseconds = max(1, int(expires * 1000))
    try:
        if not redis().set(_key(task.name, ids), os.getpid(), nx=True, px=milliseconds):
            return False
    except RedisError:
        log.debug("no Redis to coalesce %s, publishing it anyway", task.name)
    try:
        return task.apply_async(kwargs=ids, expires=expires) is not None
    except (task.OperationalError, OSError) as error:
        log.warning("hint %s %s not published, the next tick finds the row: %s", task.name, ids, error)
        return False


@cache
def redis() -> Redis:
    """Return this process's client of the broker's server; it gives up within a second."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, health_check_interval=10)


def _key(name: str, ids: dict[str, Any]) -> str:
    return f"hint:{name}:" + ",".join(f"{key}={ids[key]}" for key in sorted(ids))


def _forget(name: str, ids: dict[str, Any]) -> None:
    """Let the next hint through: what changes from now on is not seen by this run."""
    try:
        redis().delete(_key(name, ids))
    except RedisError:
        log.debug("no Redis to forget the hint of %s", name)
