"""Listens to another venue's market hub and records what comes, for `forwarded.ForwardedMarket`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from msgspec import Raw

from brokers.base import ReadFailed
from brokers.projectx.hubs import MarketDecoder, Quote, Subscription
from brokers.projectx.hubs.market import QUOTE, TRADE, trades
from brokers.simulated.forwarded import ForwardedMarket
from brokers.simulated.hubs_tape import Print
from brokers.simulated.products import front, listed
from market.orders import Side
from market.sessions import trade_date_of

log = logging.getLogger(__name__)

_LOOK = 1.0


class Forwarder:
    """A listener of the other venue's market hub; `now` is market time, here and there. In the venue's own loop."""

    def __init__(self, market: ForwardedMarket, now: Callable[[], datetime]) -> None:
        self.left_out = 0
        self._market = market
        self._now = now
        self._decoder = MarketDecoder()

    def wanted(self) -> list[Subscription]:
        """Return what is to be listened to: the current months, and each month that somebody has asked for."""
        months = [front(one, trade_date_of(self._now())).contract.id for one in self._market.products]
        ids = dict.fromkeys([*months, *self._market.recordings])
        return [Subscription(f"SubscribeContract{what}", key) for key in ids for what in ("Trades", "Quotes")]

    async def follow(self, want: Callable[[list[Subscription]], None]) -> None:
        """Say what is wanted, again and again, until cancelled."""
        while True:
            want(self.wanted())
            await asyncio.sleep(_LOOK)

    def event(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        try:
            if target == QUOTE:
                self._take(self._decoder.quote(arguments))
            elif target == TRADE:
                for trade in trades(arguments):
                    price = listed(trade.contract_id).contract.ticks(trade.price)
                    up = None if trade.side is None else trade.side is Side.BUY
                    one = Print(self._now(), price, trade.quantity, up)
                    self._market.recording(trade.contract_id).add(one)
        except (ReadFailed, ValueError) as error:
            self.left_out += 1
            log.info("left out: %s", error)

    def _take(self, quote: Quote) -> None:
        recording = self._market.recording(quote.contract_id)
        if recording.quote is None and not recording.prints and quote.last is not None:
            price = listed(quote.contract_id).contract.ticks(quote.last)
            recording.add(Print(self._now(), price, 0, up=None))  # a price before the first trade
        recording.quote = quote

    def unreadable(self, record: bytes) -> None:
        self.left_out += 1

    def connected(self) -> None:
        self._decoder = MarketDecoder()
        log.warning("prices are forwarded")

    def lost(self, reason: str) -> None:
        log.warning("no prices are forwarded: %s", reason)

    def evicted(self) -> None:
        log.warning("the other venue has logged us out because of another session")

    def refused(self, subscription: Subscription, reason: str) -> None:
        log.warning("%s %s is refused: %s", subscription.target, subscription.argument, reason)
