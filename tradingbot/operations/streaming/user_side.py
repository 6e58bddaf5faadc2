"""The user hub as the stream hears it: events to the desk, and agreement with the venue after every connect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime

from django.db import DatabaseError, InterfaceError
from msgspec import Raw

from brokers.base import BrokerError
from brokers.projectx.hubs import Subscription
from tradingbot.models import Account, Login
from tradingbot.operations import notifications, reconciliation, snapshots
from tradingbot.operations.streaming import state
from tradingbot.operations.streaming.desk import Desk, Received
from tradingbot.operations.streaming.hinting import Hinter
from tradingbot.operations.streaming.threads import Threads

log = logging.getLogger(__name__)

_AGAIN = 2.0


class UserSide:
    """Listens to the user hub. `agreed_at`: machine time since which nothing may have been missed."""

    def __init__(
        self, login: Login, desk: Desk, hinter: Hinter, threads: Threads, *, now: Callable[[], datetime]
    ) -> None:
        self.agreed_at: datetime | None = None
        self.refusals: dict[Subscription, str] = {}
        self._login = login
        self._desk = desk
        self._hinter = hinter
        self._threads = threads
        self._now = now
        self._round = 0

    def event(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        self._desk.give(Received(target, arguments, record, received))

    def unreadable(self, record: bytes) -> None:
        self._desk.give(Received("", [], record, time.monotonic()))

    def connected(self) -> None:
        self._round += 1
        self._threads.start(self._agree(self._round))

    def lost(self, reason: str) -> None:
        self.refusals.clear()
        self._round += 1

    def evicted(self) -> None:
        self._threads.start(self._freeze())

    def refused(self, subscription: Subscription, reason: str) -> None:
        self.refusals[subscription] = reason

    async def _agree(self, number: int) -> None:
        """Compare every account with the venue, then let entries leave; given up when the connection is another one."""
        while number == self._round:
            try:
                await self._threads.run(self._threads.reader, self._reconcile)
            except (BrokerError, DatabaseError, InterfaceError) as error:
                log.warning("%s: not yet in agreement with the venue: %s", self._login, str(error).splitlines()[0])
                await asyncio.sleep(_AGAIN)
            else:
                return

    def _reconcile(self) -> None:
        state.block_entries(self._login, "connected, comparing with the venue")
        for account in Account.objects.filter(login=self._login, enabled=True).select_related("login"):
            for difference in reconciliation.reconcile(account, now=self._now(), max_age=0):
                log.info("%s: %s", account, difference)
            self._hinter.give("critical.check_protection", caused_at=time.monotonic(), account_id=account.pk)
        state.allow_entries(self._login)
        self.agreed_at = snapshots.machine_now()

    async def _freeze(self) -> None:
        await self._threads.run(self._threads.keeper, self._block)

    def _block(self) -> None:
        """Let no entry leave: a person may be at work, and what we know may be old."""
        state.block_entries(self._login, "logged out by the venue because of another session")
        now = self._now()
        notifications.notify(
            "risk",
            f"{self._login}: logged out by the venue",
            body="Another session of this user took over. No entry is sent until we are logged in again, in a minute "
            "or later; positions and stops are watched by polling. Close the other session if it is not yours.",
            level="alert",
            key=f"evicted:{self._login.pk}:{now:%Y-%m-%d %H:%M}",
            now=now,
        )
