"""How well the stream delivers: judged every second by the age of its data, told to whoever else would poll."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime

from django.db import DatabaseError, InterfaceError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from brokers.projectx.hubs import Hub
from tradingbot.models import Contract, Login
from tradingbot.operations import notifications
from tradingbot.operations.streaming import state
from tradingbot.operations.streaming.desk import Desk
from tradingbot.operations.streaming.hinting import Hinter
from tradingbot.operations.streaming.market_side import MarketSide
from tradingbot.operations.streaming.threads import Threads
from tradingbot.operations.streaming.user_side import UserSide

_EVERY = 1.0
STALE = 5.0
"""Seconds without data after which a contract is polled; four quotes a second and more are usual."""
_SILENT = 15.0  # seconds without data of any contract in open hours after which a connection is made anew
_MOST_DOUBLINGS = 4
_DEGRADED_FOR = 10.0


class Health:
    """Judges one login's stream. `problems`: in sentences, empty while everything is delivered."""

    def __init__(
        self, login: Login, redis: Redis, threads: Threads, hinter: Hinter, *, now: Callable[[], datetime]
    ) -> None:
        self.problems: list[str] = ["not connected yet"]
        self.is_open = False
        self.contracts: list[Contract] = []
        self.gaps = 0
        self._login = login
        self._redis = redis
        self._threads = threads
        self._hinter = hinter
        self._now = now
        self._since: float | None = None
        self._told = False
        self._restarts = 0

    async def watch(self, user: Hub, market: Hub, heard: UserSide, seen: MarketSide, desk: Desk) -> None:
        """Say every second what is delivered, and restart a connection that brings nothing; until cancelled."""
        while True:
            now = time.monotonic()
            stale = seen.feed.ages.silent(now, STALE) if market.is_connected else None
            self.problems = [*self._user(user, heard), *self._market(stale, seen, now)]
            if self.is_open and market.is_connected:
                self._restart_silent(market, seen, now)
            await self._say(self.status(user, market, seen, desk), stale)
            with contextlib.suppress(DatabaseError, InterfaceError):
                await self._tell(now)
            await asyncio.sleep(_EVERY)

    async def leave(self) -> None:
        """Take back what was said: nothing is delivered from now on."""
        keys = [state.delivers_key(contract.pk) for contract in self.contracts]
        with contextlib.suppress(RedisError, OSError):
            await self._redis.delete(state.status_key(self._login.pk), *keys)

    def _user(self, user: Hub, heard: UserSide) -> list[str]:
        found = [] if user.is_connected else ["the user hub is not connected"]
        if user.is_connected and heard.agreed_at is None:
            found.append("not yet compared with the venue")
        return found + [f"{one.target} {one.argument} refused: {why}" for one, why in heard.refusals.items()]

    def _market(self, stale: set[str] | None, seen: MarketSide, now: float) -> list[str]:
        if not self.is_open:
            return []
        if stale is None:
            return ["the market hub is not connected"]
        names = {contract.broker_contract_id: contract.name for contract in self.contracts}
        return [f"no data of {names.get(key, key)} for {seen.feed.ages.age(key, now):.0f} s" for key in sorted(stale)]

    def _restart_silent(self, market: Hub, seen: MarketSide, now: float) -> None:
        """Make the connection anew when no contract has data, and more rarely each time that it does not help."""
        ages = seen.feed.ages
        if len(ages) and len(ages.silent(now, _SILENT * 2 ** min(self._restarts, _MOST_DOUBLINGS))) == len(ages):
            self._restarts += 1
            market.restart("it brings no data")
        elif not ages.silent(now, STALE):
            self._restarts = 0

    async def _say(self, status: state.Status, stale: set[str] | None) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(state.status_key(self._login.pk), state.encode(status), px=state.LASTS)
        for contract in self.contracts if stale is not None else []:
            if contract.broker_contract_id not in (stale or ()):
                pipeline.set(state.delivers_key(contract.pk), 1, px=state.LASTS)
        with contextlib.suppress(RedisError, OSError):
            await pipeline.execute()

    async def _tell(self, now: float) -> None:
        """Tell the trader when the stream has not delivered for a while, and when it does again."""
        if not self.problems:
            self._since = None
            if self._told:
                self._told = False
                await self._threads.run(self._threads.keeper, self._tell_back)
            return
        self._since = self._since or now
        if not self._told and now - self._since > _DEGRADED_FOR:
            self._told = True
            await self._threads.run(self._threads.keeper, self._tell_degraded)

    def _tell_degraded(self) -> None:
        notifications.notify(
            "system",
            f"{self._login}: the stream does not deliver",
            body=f"{'; '.join(self.problems)}. Everything is polled meanwhile, a little later than usual.",
            level="warning",
            now=self._now(),
        )

    def _tell_back(self) -> None:
        notifications.notify("system", f"{self._login}: the stream delivers again", now=self._now())

    def status(self, user: Hub, market: Hub, seen: MarketSide, desk: Desk) -> state.Status:
        """Return everything that is counted."""
        counts, now = seen.feed.counts, time.monotonic()
        ages = {c.name: round(seen.feed.ages.age(c.broker_contract_id, now), 3) for c in self.contracts}
        return state.Status(
            user=user.is_connected,
            market=market.is_connected,
            problems=self.problems,
            connects=user.connects + market.connects,
            events=desk.events,
            booked=desk.booked,
            unreadable=desk.unreadable + counts.unreadable,
            gaps=self.gaps,
            quotes=counts.quotes,
            trades=counts.trades,
            writes=counts.writes,
            minutes=seen.stored,
            corrected=seen.corrected,
            hints=self._hinter.published,
            ages={name: age for name, age in ages.items() if age < float("inf")},
            write=state.Spread.of(counts.seconds),
            hint=state.Spread.of(self._hinter.seconds),
            book=state.Spread.of(desk.seconds),
        )
