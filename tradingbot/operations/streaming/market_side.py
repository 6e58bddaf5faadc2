"""The market hub as the stream hears it: quotes kept, limits watched, minutes stored, told of and corrected."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import DatabaseError, InterfaceError
from msgspec import Raw
from redis.asyncio import Redis
from redis.exceptions import RedisError

from brokers.base import BrokerError
from brokers.projectx.hubs import Quote, Subscription
from market.bars import moment
from tradingbot.clock import clock, period
from tradingbot.models import Contract
from tradingbot.operations.orders.following import Goal
from tradingbot.operations.streaming import goals, minutes
from tradingbot.operations.streaming.candles import Closed
from tradingbot.operations.streaming.feed import Feed
from tradingbot.operations.streaming.hinting import Hinter
from tradingbot.operations.streaming.threads import Threads
from tradingbot.operations.streaming.watching import Watcher

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)
_CLOSE_EVERY = 0.05
_CORRECT_AFTER = 8.0  # market seconds after a minute's end: the venue's own bars are there by then
_AHEAD = 2.0  # market seconds by which the venue's clock may be ahead of ours


class MarketSide:
    """Listens to the market hub. `stored`: minutes made of trades; `corrected`: those the venue tells otherwise."""

    def __init__(self, redis: Redis, hinter: Hinter, threads: Threads, *, now: Callable[[], datetime]) -> None:
        self.feed = Feed(redis, now=now, on_quote=self._on_quote, on_trade=self._on_trade, on_minute=self._on_minute)
        self.watcher = Watcher()
        self.goals = goals.Goals()
        self.stored = self.corrected = 0
        self.refusals: dict[Subscription, str] = {}
        self._is_connected = False
        self._redis = redis
        self._hinter = hinter
        self._threads = threads
        self._now = now

    def watch(self, contracts: list[Contract]) -> None:
        """Take in data of exactly these contracts."""
        self.feed.watch(contracts, self._seen_from() if self._is_connected else None)

    def event(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        self.feed.event(target, arguments, received)

    def unreadable(self, record: bytes) -> None:
        self.feed.counts.unreadable += 1

    def connected(self) -> None:
        self._is_connected = True
        self.feed.begin(self._seen_from())

    def lost(self, reason: str) -> None:
        self._is_connected = False
        self.refusals.clear()
        self.feed.interrupt()

    def evicted(self) -> None:
        """The user hub hears it as well, and acts."""

    def refused(self, subscription: Subscription, reason: str) -> None:
        self.refusals[subscription] = reason

    async def close_minutes(self) -> None:
        """Hand out the minutes that are over, until cancelled."""
        while True:
            await asyncio.sleep(_CLOSE_EVERY)
            self.feed.close_minutes(time.monotonic())
            for contract, opened_at in self.feed.late():
                self._threads.start(self._correct(contract, opened_at))

    def _seen_from(self) -> float:
        return self._now().timestamp() + _AHEAD

    def _on_quote(self, contract: Contract, quote: Quote, received: float) -> None:
        for account_id in self.watcher.reached(quote.contract_id, quote.last, quote.bid, quote.ask):
            self._hinter.give("critical.check_limits", caused_at=received, account_id=account_id)

        self._on_trade(quote.contract_id, quote.last, received)

    def _on_trade(self, contract_id: str, price: Decimal | None, received: float) -> None:
        for entry_id, best in self.goals.price(contract_id, price, received):
            self._threads.start(self._tell_of_goal(entry_id, best, received))

    def follow(self, wanted: list[Goal]) -> None:
        """Hold prices against exactly these goals, and tell of those that the pace has kept back."""
        self.goals.watch(wanted)
        now = time.monotonic()
        for entry_id, best in self.goals.due(now):
            self._threads.start(self._tell_of_goal(entry_id, best, now))

    async def _tell_of_goal(self, entry_id: int, best: Decimal, caused_at: float) -> None:
        """Keep the best price, then hint: who takes the hint finds it."""
        try:
            await self._redis.set(goals.key(entry_id), str(best), px=goals.KEPT)
        except (RedisError, OSError) as error:
            log.warning("order #%s: its price is not kept, the next bar moves its stop: %s", entry_id, error)
            return
        self._hinter.give("critical.follow_price", caused_at=caused_at, order_id=entry_id)

    def _on_minute(self, contract: Contract, minute: Closed) -> None:
        self._threads.start(self._store(contract, minute, time.monotonic()))

    async def _store(self, contract: Contract, minute: Closed, settled_at: float) -> None:
        """Record a minute, let the strategies see it, and have it corrected a little later."""
        ends_at = moment(minute.opened_at) + _MINUTE
        while (early := (ends_at - self._now()).total_seconds()) > 0:  # the venue's clock is ahead of ours
            await asyncio.sleep(min(1.0, max(0.005, early / clock.speed)))
        try:
            whole = await self._threads.run(
                self._threads.bars, lambda: minutes.record(contract, minute, now=self._now())
            )
        except (DatabaseError, InterfaceError, ValueError) as error:
            log.warning("%s: the minute until %s is left to polling: %s", contract, ends_at, error)
            return
        self.stored += 1
        task = "normal.evaluate" if whole else "normal.bars_due"
        self._hinter.give(task, caused_at=settled_at, contract_id=contract.pk)
        await asyncio.sleep(period(_CORRECT_AFTER))
        await self._correct(contract, minute.opened_at)

    async def _correct(self, contract: Contract, opened_at: int) -> None:
        until = moment(opened_at) + _MINUTE
        try:
            self.corrected += await self._threads.run(
                self._threads.reader, lambda: minutes.correct(contract, until, now=self._now())
            )
        except (BrokerError, DatabaseError, InterfaceError, ValueError) as error:
            log.info("%s: the minute until %s is not corrected: %s", contract, until, error)
