"""One login's stream: both hubs under a lease, what they bring booked and passed on; a second one stands by."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now
from redis.asyncio import Redis

from brokers.projectx.hubs import Hub, Pace, Subscription, hub_url
from brokers.projectx.session import Tokens
from tradingbot.clock import clock
from tradingbot.models import Account, Contract, Fill, Login, StreamEvent
from tradingbot.models.accounts import Venue
from tradingbot.operations import heartbeats, leases, sessions
from tradingbot.operations.orders import following
from tradingbot.operations.streaming import state, watching
from tradingbot.operations.streaming.desk import Desk
from tradingbot.operations.streaming.health import Health
from tradingbot.operations.streaming.hinting import Hinter
from tradingbot.operations.streaming.market_side import MarketSide
from tradingbot.operations.streaming.threads import Threads
from tradingbot.operations.streaming.user_side import UserSide

log = logging.getLogger(__name__)

LEASE = 15.0
KEPT = timedelta(days=7)
MOST_KEPT = 500_000
"""Raw events in the table; the oldest go first."""
_STANDBY_NAME = f"{state.HEARTBEAT}-standby"
_LOOK, _RENEW, _BEAT, _CLEAN, _STANDBY = 1.0, 5.0, 10.0, 3600.0, 2.0
_ARRIVES_WITHIN = timedelta(seconds=3)
_RESTART_GAP = 60.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be listened to, and how many executions did not come by the stream."""

    accounts: list[Account]
    contracts: list[Contract]
    watches: list[watching.Watch]
    goals: list[following.Goal]
    is_open: bool
    gaps: int


class Stream:
    """The stream of one login. `run` returns when it is stopped and raises when it cannot go on.

    tokens   of the login, asked in a thread of their own
    """

    def __init__(
        self, login: Login, tokens: Tokens, *, now: Callable[[], datetime] = clock.now, pace: Pace | None = None
    ) -> None:
        self._login = login
        self._lease = state.lease(login.pk)
        self._now = now
        self._threads = Threads()
        self._redis = Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
        self._hinter = Hinter()
        self.desk = Desk(login, self._hinter, now=now)
        self.heard = UserSide(login, self.desk, self._hinter, self._threads, now=now)
        self.seen = MarketSide(self._redis, self._hinter, self._threads, now=now)
        self.health = Health(login, self._redis, self._threads, self._hinter, now=now)
        self._restarted_at = float("-inf")
        plain, pace = login.venue == Venue.PAPER, pace or Pace()
        self.user = Hub(
            hub_url(login.base_url, "user", plain_http=plain),
            tokens,
            self.heard,
            pace=pace,
            executor=self._threads.tokens,
            rests=lambda: not self.health.is_open,
        )
        self.market = Hub(
            hub_url(login.base_url, "market", plain_http=plain),
            tokens,
            self.seen,
            pace=pace,
            executor=self._threads.tokens,
            rests=lambda: not self.health.is_open,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Lead while the lease is ours, stand by while it is another's, until `stop`."""
        self._hinter.start()
        self.desk.start()
        try:
            while not stop.is_set():
                fence = await self._threads.run(self._threads.keeper, self._take_lease)
                if fence is not None:
                    log.info("%s: this stream leads, fence %s", self._login, fence)
                    await self._lead(fence, stop)
                else:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _STANDBY)
        finally:
            with contextlib.suppress(DatabaseError, InterfaceError):
                await self._threads.run(self._threads.keeper, lambda: heartbeats.leave(_STANDBY_NAME))
            await asyncio.to_thread(self.desk.stop)
            await asyncio.to_thread(self._hinter.stop)
            await self._redis.aclose()
            await asyncio.to_thread(self._threads.close)

    async def _lead(self, fence: int, stop: asyncio.Event) -> None:
        self.desk.fence = fence
        self._follow(await self._threads.run(self._threads.keeper, self._look))
        parts = (
            self._keep(fence),
            self.user.run(),
            self.market.run(),
            self.seen.feed.write(),
            self.seen.close_minutes(),
            self.health.watch(self.user, self.market, self.heard, self.seen, self.desk),
            stop.wait(),
        )
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._threads.cancel()
            await self.health.leave()
            self.desk.fence = None
            with contextlib.suppress(DatabaseError, InterfaceError):
                await self._threads.run(self._threads.keeper, lambda: leases.give_back(self._lease, fence))

    def _take_lease(self) -> int | None:
        try:
            fence = leases.take(self._lease, seconds=LEASE)
            if fence is None:
                heartbeats.beat(_STANDBY_NAME, note="stands by")
            else:
                heartbeats.beat(state.HEARTBEAT, note="connecting")
                heartbeats.leave(_STANDBY_NAME)
        except (DatabaseError, InterfaceError) as error:
            log.warning("no lease: %s", str(error).splitlines()[0])
            return None
        return fence

    async def _keep(self, fence: int) -> None:
        """Renew the lease, show life, follow what is wanted; returns when the lease is another's."""
        renewed = beaten = cleaned = float("-inf")
        while True:
            now = time.monotonic()
            try:
                if now - renewed >= _RENEW:
                    if not await self._threads.run(self._threads.keeper, lambda: self._renew(fence)):
                        log.warning("%s: another stream leads", self._login)
                        return
                    renewed = now
                if now - beaten >= _BEAT:
                    await self._threads.run(self._threads.keeper, self._beat)
                    beaten = now
                if now - cleaned >= _CLEAN:
                    await self._threads.run(self._threads.keeper, self._clean_up)
                    cleaned = now
                self._follow(await self._threads.run(self._threads.keeper, self._look))
            except (DatabaseError, InterfaceError) as error:
                log.warning("PostgreSQL does not answer: %s", str(error).splitlines()[0])
            await asyncio.sleep(_LOOK)

    def _renew(self, fence: int) -> bool:
        if not leases.renew(self._lease, fence, seconds=LEASE):
            return False
        self.heard.hold_block()
        return True

    def _beat(self) -> None:
        heartbeats.beat(state.HEARTBEAT, note="; ".join(self.health.problems) or "both hubs deliver")

    def _clean_up(self) -> None:
        StreamEvent.objects.filter(received_at__lt=Now() - KEPT).delete()
        newest = StreamEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
        if newest is not None:
            StreamEvent.objects.filter(pk__lte=newest - MOST_KEPT).delete()

    def _look(self) -> _Wanted:
        now = self._now()
        accounts = Account.objects.filter(login=self._login, enabled=True, login__enabled=True).order_by("pk")
        return _Wanted(
            accounts=list(accounts),
            contracts=[c for c in sessions.contracts_in_use(now=now) if c.venue == self._login.venue],
            watches=watching.watches(self._login, now=now),
            goals=following.goals(self._login, now=now),
            is_open=clock.started() and sessions.current(now) is not None,
            gaps=self._missed(),
        )

    def _missed(self) -> int:
        """Return how many executions others have booked and the stream has not brought, since it last agreed."""
        if self.heard.agreed_at is None:
            return 0
        booked = Fill.objects.filter(
            account__login=self._login, booked_at__gt=self.heard.agreed_at, booked_at__lt=Now() - _ARRIVES_WITHIN
        )
        return sum(key not in self.desk.booking.seen for key in booked.values_list("broker_trade_id", flat=True))

    def _follow(self, wanted: _Wanted) -> None:
        of_accounts = [
            Subscription(f"Subscribe{what}", account.broker_account_id)
            for account in wanted.accounts
            for what in ("Orders", "Trades", "Positions")
        ]
        self.user.want([Subscription("SubscribeAccounts"), *of_accounts])
        self.market.want(
            [
                Subscription(f"SubscribeContract{what}", contract.broker_contract_id)
                for contract in wanted.contracts
                for what in ("Trades", "Quotes")
            ]
        )
        self.seen.watch(wanted.contracts)
        self.seen.watcher.watch(wanted.watches)
        self.seen.follow(wanted.goals)
        self.health.contracts, self.health.is_open = wanted.contracts, wanted.is_open
        if wanted.gaps and time.monotonic() - self._restarted_at > _RESTART_GAP:
            self._restarted_at = time.monotonic()
            self.health.gaps += wanted.gaps
            log.warning("%s: %d execution(s) were not brought by the user hub", self._login, wanted.gaps)
            self.user.restart("it does not bring what happens")
