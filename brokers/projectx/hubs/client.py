"""A hub for as long as the process lives: connected again and again, with today's token and every subscription."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from msgspec import Raw

from brokers.base import BrokerError
from brokers.projectx.hubs.signalr import Connection, InvocationRefused, Lost, Timeouts
from brokers.projectx.session import Tokens

log = logging.getLogger(__name__)

LOGOUT = "GatewayLogout"
_MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Subscription:
    """One thing to be told of: the hub's method, and the account or contract."""

    target: str
    argument: int | str | None = None

    @property
    def arguments(self) -> tuple[int | str, ...]:
        return () if self.argument is None else (self.argument,)


@dataclass(frozen=True, slots=True)
class Pace:
    """Machine seconds.

    first, longest   pause before connecting again; it doubles from the one to the other, and half of it is chance
    steady           a connection that lived so long starts the pauses anew
    evicted          pause after a GatewayLogout; it doubles up to `evicted_longest` while they follow each other
    again            after which a refused subscription is asked for again
    token_every      how often the token is looked at; a new one is taken when `rests` says so, at the latest after
    token_latest     this time (outside the daily break it is exchanged half an hour before it ends)
    """

    first: float = 0.5
    longest: float = 30.0
    steady: float = 60.0
    evicted: float = 60.0
    evicted_longest: float = 900.0
    again: float = 60.0
    token_every: float = 60.0
    token_latest: float = 20 * 60.0
    timeouts: Timeouts = field(default_factory=Timeouts)


class Listener(Protocol):
    """Who is told; called in the event loop, so it must not block and must not raise."""

    def event(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        """Take one event; `received` is the time.monotonic() of its frame, `record` the whole message."""

    def unreadable(self, record: bytes) -> None:
        """Take a message that is no SignalR message."""

    def connected(self) -> None:
        """Every subscription is confirmed. What happened before is not sent again: read it by REST."""

    def lost(self, reason: str) -> None:
        """The connection has ended, or could not be made; it is tried again."""

    def evicted(self) -> None:
        """The venue has logged this session out because of another one: a person may be at work."""

    def refused(self, subscription: Subscription, reason: str) -> None:
        """The hub does not tell us of `subscription`."""


class Hub:
    """One hub of one login.

    url        of the hub, from `hub_url`
    tokens     of the login; asked in `executor`, they may go to the database and the venue
    rests      whether a planned reconnect does no harm now, e.g. while the market is closed
    """

    def __init__(
        self,
        url: str,
        tokens: Tokens,
        listener: Listener,
        *,
        pace: Pace = Pace(),
        executor: Executor | None = None,
        rests: Callable[[], bool] = lambda: True,
        negotiate: bool = False,
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._listener = listener
        self._pace = pace
        self._executor = executor
        self._rests = rests
        self._negotiate = negotiate
        self._wanted: dict[Subscription, None] = {}
        self._changed = asyncio.Event()
        self._connection: Connection | None = None
        self._token: str | None = None
        self._logouts = 0
        self._evicted = False
        self.is_connected = False
        self.connects = 0

    def want(self, subscriptions: list[Subscription]) -> None:
        """Be told of exactly these from now on, in this order; on an open connection the difference is asked for."""
        self._wanted = dict.fromkeys(subscriptions)
        self._changed.set()

    def restart(self, reason: str) -> None:
        """Give the present connection up and make another one."""
        if self._connection is not None:
            self._connection.end(reason)

    async def run(self) -> None:
        """Stay connected until cancelled; nothing that the venue or the network does ends it."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._once()
            except Lost as lost:
                reason, refused = str(lost), lost.refused_token
            except BrokerError as error:  # of the login
                reason, refused = str(error), False
            self._connection, self.is_connected = None, False
            self._listener.lost(reason)
            failures = 1 if time.monotonic() - began >= self._pace.steady else failures + 1
            if refused and not await self._renewed():
                failures = max(failures, 4)  # a login that is not taken is not hammered
            evicted, self._evicted = self._evicted, False
            pause = self._after_eviction() if evicted else self._pause(failures)
            log.info("%s: %s; again in %.1f s", self._url, reason, pause)
            await asyncio.sleep(pause)
            if evicted:
                await self._renewed()

    def _pause(self, failures: int) -> float:
        doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
        most = min(self._pace.first * 2.0**doublings, self._pace.longest)
        return random.uniform(most / 2, most)

    def _after_eviction(self) -> float:
        """A person may be working in the platform: come back slowly, and more slowly each time."""
        doublings = min(max(self._logouts - 1, 0), _MOST_DOUBLINGS)
        return min(self._pace.evicted * 2.0**doublings, self._pace.evicted_longest)

    async def _renewed(self) -> bool:
        try:
            await self._ask(partial(self._tokens.renew, self._token))
        except BrokerError as error:
            log.warning("%s: no new token: %s", self._url, error)
            return False
        return True

    async def _once(self) -> None:
        """Connect, subscribe, listen; raises Lost at the end, or the login's BrokerError."""
        self._token = await self._ask(self._tokens.get) or await self._ask(partial(self._tokens.renew, self._token))
        connection = await Connection.open(
            self._url, self._token, timeouts=self._pace.timeouts, negotiate=self._negotiate
        )
        self._connection = connection
        self.connects += 1
        others = [asyncio.create_task(self._subscribe(connection)), asyncio.create_task(self._watch_token(connection))]
        try:
            await connection.listen(self._take, self._listener.unreadable)
        finally:
            for task in others:
                task.cancel()
            for task in others:
                with suppress(asyncio.CancelledError, Lost, BrokerError):
                    await task

    def _take(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        if target == LOGOUT:
            if not self._evicted:
                self._evicted = True
                self._logouts += 1
                self._listener.evicted()
                self.restart("logged out by the venue")
            return
        self._listener.event(target, arguments, record, received)

    async def _subscribe(self, connection: Connection) -> None:
        """Keep the connection's subscriptions those that are wanted; a refused one is asked for again later."""
        active: set[Subscription] = set()
        refused: dict[Subscription, float] = {}
        started = time.monotonic()
        while True:
            self._changed.clear()
            wanted = self._wanted
            for gone in active - wanted.keys():
                active.discard(gone)
                with suppress(InvocationRefused):
                    await connection.invoke(f"Un{gone.target[0].lower()}{gone.target[1:]}", *gone.arguments)
            for new in [one for one in wanted if one not in active]:
                if time.monotonic() < refused.get(new, 0.0):
                    continue
                try:
                    await connection.invoke(new.target, *new.arguments)
                except InvocationRefused as refusal:
                    refused[new] = time.monotonic() + self._pace.again
                    self._listener.refused(new, str(refusal))
                else:
                    active.add(new)
            if not self.is_connected:
                self.is_connected = True
                self._listener.connected()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.again):
                    await self._changed.wait()
            if time.monotonic() - started > self._pace.steady:
                self._logouts = 0

    async def _watch_token(self, connection: Connection) -> None:
        """Make a connection on a replaced token anew before the old one ends: the hub reads it at connect time only."""
        replaced_at: float | None = None
        while True:
            await asyncio.sleep(self._pace.token_every)
            with suppress(BrokerError):
                token = await self._ask(self._tokens.get)
                if not token or token == self._token:
                    continue
                replaced_at = replaced_at or time.monotonic()
                if self._rests() or time.monotonic() - replaced_at > self._pace.token_latest:
                    connection.end("a new token is there")
                    return

    async def _ask(self, call: Callable[[], str | None]) -> str:
        """Run a call that may block in the executor."""
        token = await asyncio.get_running_loop().run_in_executor(self._executor, call)
        return token or ""
