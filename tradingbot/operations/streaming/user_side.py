"""The user hub as the stream hears it: events to the desk, and agreement with the venue after every connect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import DatabaseError, InterfaceError
from django.db.models import Exists, OuterRef, Q
from msgspec import Raw

from brokers.base import BrokerError
from brokers.projectx.hubs import Subscription
from market.orders import LIVE
from tradingbot.models import Account, Login, Order, Position
from tradingbot.operations import notifications, reconciliation, snapshots
from tradingbot.operations.streaming import state
from tradingbot.operations.streaming.desk import Desk, Received
from tradingbot.operations.streaming.hinting import Hinter
from tradingbot.operations.streaming.threads import Threads

log = logging.getLogger(__name__)

_AGAIN, _LONGEST = 2.0, 30.0
"""Seconds until accounts that could not be read are asked again: twice as long each time, up to the longest."""


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
        self._connected = False
        self._block = ""

    def event(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        self._desk.give(Received(target, arguments, record, received))

    def unreadable(self, record: bytes) -> None:
        self._desk.give(Received("", [], record, time.monotonic()))

    def connected(self) -> None:
        self._round += 1
        self._connected = True
        self._block = "connected, comparing with the venue"
        self._threads.start(self._agree(self._round))

    def lost(self, reason: str) -> None:
        self.refusals.clear()
        self.agreed_at, self._connected = None, False

    def evicted(self) -> None:
        """Keep entries back until the next connection has been compared: a person may be at work."""
        self._round += 1
        self._block = "logged out by the venue because of another session"
        self._threads.start(self._freeze())

    def refused(self, subscription: Subscription, reason: str) -> None:
        self.refusals[subscription] = reason

    def hold_block(self) -> None:
        """Say again why entries must wait, if they must: others end the block of a stream that seems to be gone."""
        if self._block:
            state.block_entries(self._login, self._block)

    async def _agree(self, number: int) -> None:
        """Compare every account with the venue, then let entries leave; given up for the next connection's turn.

        An account that cannot be read keeps its own entries back, and those of all only while none can be read; it is
        asked more and more rarely. A connection that is lost meanwhile ends nothing: what REST compares is compared,
        polling goes on from there.
        """
        failed: set[int] | None = None
        allowed, pause = False, _AGAIN
        while number == self._round:
            try:
                await self._threads.run(self._threads.keeper, self.hold_block)
                accounts = await self._threads.run(self._threads.reader, partial(self._accounts, failed))
                failed = await self._threads.run(self._threads.reader, partial(self._reconcile, accounts))
                if number != self._round:
                    return
                if not allowed and (not failed or len(failed) < len(accounts)):
                    self._block = ""
                    await self._threads.run(self._threads.keeper, partial(self._allow, failed))
                    allowed = True
                if not failed:
                    compared_at = await self._threads.run(self._threads.reader, snapshots.machine_now)
                    self.agreed_at = compared_at if self._connected else None
                    return
            except (DatabaseError, InterfaceError) as error:
                log.warning("%s: not yet in agreement with the venue: %s", self._login, str(error).splitlines()[0])
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)

    def _accounts(self, only: set[int] | None) -> list[Account]:
        """Return what is to be compared: accounts that may trade or have something open, of `only` if that is given."""
        live = Order.objects.filter(account=OuterRef("pk"), status__in=LIVE)
        held = Position.objects.filter(account=OuterRef("pk")).exclude(quantity=0, broker_quantity=0)
        accounts = Account.objects.filter(
            Q(can_trade=True) | Exists(live) | Exists(held), login=self._login, enabled=True
        )
        return list((accounts if only is None else accounts.filter(pk__in=only)).select_related("login"))

    def _reconcile(self, accounts: list[Account]) -> set[int]:
        """Compare accounts with the venue; returns those that cannot be read."""
        failed = set()
        for account in accounts:
            try:
                differences = reconciliation.reconcile(account, now=self._now(), max_age=0)
            except BrokerError as error:
                log.warning("%s: not yet in agreement with the venue: %s", account, str(error).splitlines()[0])
                failed.add(account.pk)
                continue
            for difference in differences:
                log.info("%s: %s", account, difference)
            self._hinter.give("critical.check_protection", caused_at=time.monotonic(), account_id=account.pk)
        return failed

    def _allow(self, unread: set[int]) -> None:
        if self._block:  # a logout may have come since
            return
        Account.objects.filter(pk__in=unread).update(reconciled_at=None)
        state.allow_entries(self._login)

    async def _freeze(self) -> None:
        await self._threads.run(self._threads.keeper, self._tell_evicted)

    def _tell_evicted(self) -> None:
        self.hold_block()
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
