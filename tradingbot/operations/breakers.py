"""A circuit breaker for each login: a venue that fails again and again is left alone for seconds, by all processes.

Five requests without a usable answer, in a row and of whichever process, open it: reads and entries then wait for 2 s,
after each further failure twice as long, 15 s at most (machine time). After that it is half open: one read is tried,
and the first answer of any kind closes it. Cancels, closes, stops and the question what became of an order are always
sent, and guard has no breaker at all. It is counted in Redis by the thread that counts calls; without Redis it is shut.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

import redis
from django.conf import settings

from brokers.base import CircuitOpen, Lane
from tradingbot.models import Login
from tradingbot.operations import entry_blocks, notifications

log = logging.getLogger(__name__)

WAITS = frozenset({Lane.PLACE, Lane.RECONCILE, Lane.BARS})
"""Lanes that the breaker keeps back."""
FAILURES = 5
FIRST, LONGEST = 2.0, 15.0
"""Seconds of the first pause and of the longest."""
_LOOK = 1.0  # seconds for which a process believes what it last read
_TRIAL = 3.0  # seconds that a trial may take before another one is made
_KEPT = 600
_WORDS = "venue:"
_REASON = "it has failed several times in a row, entries wait until it answers"
_COUNT = """
local time = redis.call('TIME')
local at = tonumber(time[1]) + tonumber(time[2]) / 1e6
if ARGV[1] == '0' then return redis.call('DEL', KEYS[1], KEYS[2]) end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('EXPIRE', KEYS[1], ARGV[5])
local ends = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if failures < tonumber(ARGV[2]) or at < ends then return 0 end
local trips = redis.call('HINCRBY', KEYS[1], 'trips', 1)
local pause = math.min(tonumber(ARGV[3]) * 2 ^ (trips - 1), tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'until', at + pause)
redis.call('DEL', KEYS[2])
return 0
"""
_LEFT = """
local ends = redis.call('HGET', KEYS[1], 'until')
if not ends then return '' end
local time = redis.call('TIME')
return tostring(tonumber(ends) - tonumber(time[1]) - tonumber(time[2]) / 1e6)
"""


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class SharedBreaker:
    """The breaker of a login as one process sees it, at most a second old."""

    def __init__(self, login_id: int) -> None:
        self._login_id = login_id
        self._read_at = float("-inf")
        self._until: float | None = None  # monotonic; None while closed

    def check(self, lane: Lane) -> None:
        """Raise CircuitOpen when a request of `lane` is to wait. An entry never waits for Redis to be asked."""
        if lane not in WAITS:
            return
        if lane is not Lane.PLACE:
            self._read()
        if self._until is None or time.monotonic() - self._read_at > LONGEST:
            return
        left = self._until - time.monotonic()
        if left > 0:
            raise CircuitOpen(f"the venue has failed {FAILURES} times in a row, it is left alone for {left:.1f} s")
        if lane is Lane.PLACE or not self._may_try():
            raise CircuitOpen("the venue has failed several times in a row, another request finds out how it does")

    def _read(self) -> None:
        if time.monotonic() - self._read_at < _LOOK:
            return
        try:
            left = _left(self._login_id)
        except redis.RedisError:
            left = None
        self._read_at = time.monotonic()
        self._until = None if left is None else self._read_at + left

    def _may_try(self) -> bool:
        try:
            taken = _redis().set(_trial(self._login_id), 1, nx=True, px=int(_TRIAL * 1000))
        except redis.RedisError:
            return True
        return bool(taken)


def count(login_id: int, *, failed: bool) -> None:
    """Count an answer of the venue, or that there was none. Raises RedisError."""
    arguments = [int(failed), FAILURES, FIRST, LONGEST, _KEPT]
    _script(_COUNT)(keys=[_key(login_id), _trial(login_id)], args=arguments)


def state(login: Login) -> State | None:
    """Return how the breaker of `login` stands, None while Redis cannot be asked."""
    try:
        left = _left(login.pk)
    except redis.RedisError:
        return None
    return State.CLOSED if left is None else State.OPEN if left > 0 else State.HALF_OPEN


def sync(*, now: datetime) -> None:
    """Let no entry of a login be decided or sent while its breaker is not closed, and tell when that changes."""
    for login in Login.objects.filter(enabled=True):
        stands = state(login)
        if stands is None or not entry_blocks.put(login, _WORDS, "" if stands is State.CLOSED else _REASON):
            continue
        fails = stands is not State.CLOSED
        words = "the venue does not answer" if fails else "the venue answers again"
        body = "Reads and entries wait for seconds at a time; cancels, closes and stops are sent all the same."
        notifications.notify(
            "system", f"{login}: {words}", body=body if fails else "", level="warning" if fails else "info", now=now
        )
        log.warning("%s: %s", login, words)


def _key(login_id: int) -> str:
    return f"breaker:{login_id}"


def _trial(login_id: int) -> str:
    return f"breaker:{login_id}:trial"


def _left(login_id: int) -> float | None:
    """Return seconds until the breaker is half open, below zero when it is, None when it is closed."""
    said: Any = _script(_LEFT)(keys=[_key(login_id)])
    return float(said) if said else None


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.25, socket_connect_timeout=0.25)


@cache
def _script(text: str) -> Any:
    return _redis().register_script(text)
