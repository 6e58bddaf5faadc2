"""The market hub's side: newest quotes to Redis, trades into minutes; runs in the loop and never waits for anybody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Raw
from redis.asyncio import Redis
from redis.exceptions import RedisError

from brokers.base import ReadFailed
from brokers.projectx.hubs import Ages, MarketDecoder, Quote
from brokers.projectx.hubs.market import QUOTE, TRADE, MarketTrade, trades
from market.contracts import Contract as Spec
from tradingbot.clock import period
from tradingbot.models import Contract
from tradingbot.operations import quotes
from tradingbot.operations.streaming.candles import MINUTE, Closed, Minutes

log = logging.getLogger(__name__)

_KEPT = int(quotes.KEPT * 1000)
_PAUSE = 0.5
_APART = 0.005  # machine seconds between two writes: under a flood one takes the newest of many quotes along
_SETTLE = 0.25  # market seconds for trades on their way after a minute's end
_MOST_AHEAD = timedelta(minutes=1)  # of our clock; a later time would end minutes that nobody has seen


@dataclass(slots=True)
class Counts:
    """What came and what became of it since the process started; seconds from frame to Redis of the last writes."""

    quotes: int = 0
    trades: int = 0
    writes: int = 0
    unreadable: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=1000))


class Feed:
    """Quotes and trades of the watched contracts.

    now         market time
    on_quote    told of every quote with the time of its frame
    on_trade    told of every trade: its contract's id at the venue, its price, the time of its frame
    on_minute   told of every minute that is over and was seen whole
    """

    def __init__(
        self,
        redis: Redis,
        *,
        now: Callable[[], datetime],
        on_quote: Callable[[Contract, Quote, float], None],
        on_trade: Callable[[str, Decimal, float], None],
        on_minute: Callable[[Contract, Closed], None],
    ) -> None:
        self.ages = Ages()
        self.counts = Counts()
        self._redis = redis
        self._now = now
        self._on_quote = on_quote
        self._on_trade = on_trade
        self._on_minute = on_minute
        self._decoder = MarketDecoder()
        self._contracts: dict[str, Contract] = {}
        self._specs: dict[str, Spec] = {}
        self._minutes: dict[str, Minutes] = {}
        self._changed: dict[str, tuple[Quote, float]] = {}
        self._filled = asyncio.Event()
        self._told_at = float("-inf")
        self._believed = now()  # what is not later needs no look at the clock

    def watch(self, contracts: list[Contract], at: float | None) -> None:
        """Watch exactly these; new ones are seen whole from epoch second `at` on, None while not connected."""
        self._believed = self._now()  # our clock may have been set back
        self._contracts = {contract.broker_contract_id: contract for contract in contracts}
        self._specs = {key: contract.spec for key, contract in self._contracts.items()}
        self.ages.watch(self._contracts, time.monotonic())
        for key in self._contracts.keys() - self._minutes.keys():
            self._minutes[key] = Minutes(settle=period(_SETTLE))
            if at is not None:
                self._minutes[key].begin(at)
        for key in self._minutes.keys() - self._contracts.keys():
            del self._minutes[key]

    def begin(self, at: float) -> None:
        """All subscriptions stand: from epoch second `at` on everything is seen."""
        self._decoder = MarketDecoder()
        self.ages.restart(time.monotonic())
        for minutes in self._minutes.values():
            minutes.begin(at)

    def interrupt(self) -> None:
        """The connection is gone: what forms now was not seen whole."""
        for minutes in self._minutes.values():
            minutes.interrupt()

    def event(self, target: str, arguments: list[Raw], received: float) -> None:
        """Take one event of the hub; one that cannot be read is counted and left out."""
        try:
            if target == QUOTE:
                self._quote(self._decoder.quote(arguments), received)
            elif target == TRADE:
                for trade in trades(arguments):
                    self._trade(trade, received)
        except (ReadFailed, ValueError) as error:
            self.counts.unreadable += 1
            if received - self._told_at > 60:
                self._told_at = received
                log.warning("a market event is left out: %s", error)

    def _quote(self, quote: Quote, received: float) -> None:
        self.counts.quotes += 1
        contract = self._contracts.get(quote.contract_id)
        if contract is None:
            return
        self._believe(quote.at)
        self.ages.saw(quote.contract_id, received)
        self._minutes[quote.contract_id].saw(quote.at.timestamp(), received)
        self._changed[quote.contract_id] = (quote, received)
        self._filled.set()
        self._on_quote(contract, quote, received)

    def _trade(self, trade: MarketTrade, received: float) -> None:
        self.counts.trades += 1
        spec = self._specs.get(trade.contract_id)
        if spec is None:
            return
        self._believe(trade.at)
        self.ages.saw(trade.contract_id, received)
        at, minutes = trade.at.timestamp(), self._minutes[trade.contract_id]
        try:
            minutes.trade(at, spec.ticks(trade.price), trade.quantity, trade.side)
        except ValueError:
            minutes.begin(at + MINUTE)  # a price off the grid: this minute is for the venue to tell
            raise
        minutes.saw(at, received)
        self._on_trade(trade.contract_id, trade.price, received)

    def _believe(self, at: datetime) -> None:
        """Raise ValueError for an event from the future."""
        if at <= self._believed:
            return
        self._believed = self._now() + _MOST_AHEAD
        if at > self._believed:
            raise ValueError(f"it is of {at:%Y-%m-%d %H:%M:%S} UTC, our clock says {self._now():%Y-%m-%d %H:%M:%S}")

    def close_minutes(self, now: float) -> None:
        """Hand out the minutes that are over; `now` is time.monotonic()."""
        for key, contract in self._contracts.items():
            for closed in self._minutes[key].closed(now):
                self._on_minute(contract, closed)

    def late(self) -> list[tuple[Contract, int]]:
        """Return the minutes of which a trade came too late, each once, by when they opened."""
        found = [(self._contracts[key], at) for key, minutes in self._minutes.items() for at in minutes.late]
        for minutes in self._minutes.values():
            minutes.late.clear()
        return found

    async def write(self) -> None:
        """Write the newest quotes to Redis until cancelled; what comes while Redis is busy replaces what waits."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            changed, self._changed = self._changed, {}
            pipeline = self._redis.pipeline(transaction=False)
            for key, (quote, _) in changed.items():
                venue = self._contracts[key].venue if key in self._contracts else ""
                pipeline.set(quotes.key(venue, key), quotes.pack(quote.at, quote.last, quote.bid, quote.ask), px=_KEPT)
            try:
                await pipeline.execute()
            except (RedisError, OSError) as error:
                log.warning("quotes are not written: %s", error)
                await asyncio.sleep(_PAUSE)
                continue
            done = time.monotonic()
            self.counts.writes += len(changed)
            self.counts.seconds.extend(done - received for _, received in changed.values())
            await asyncio.sleep(_APART)
