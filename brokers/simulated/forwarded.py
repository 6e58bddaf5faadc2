"""A market that another venue makes: its quotes and trades as they come, paper trading on live prices.

A price counts from the moment at which it came here, so an order never meets one from before it was accepted. Bars are
asked of the other venue. While nothing comes from there nothing is told here, and the last price stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from brokers.base import BarReport, BrokerError
from brokers.simulated.hubs_tape import Print, Tape
from brokers.simulated.market import LiveMarket, Market, NotTold
from brokers.simulated.products import Listing, product
from brokers.simulated.recording import RecordedWay, Recording
from market.bars import Bar, Bars, Timeframe, epoch
from market.contracts import Contract
from market.sessions import Session

_LETTERS = dict(enumerate("smhdwM", start=1))

AskBars = Callable[[str, Timeframe, datetime, datetime, int], list[BarReport]]
"""Closed bars of a contract in a window, at most so many of the newest; raises BrokerError."""


class ForwardedMarket(LiveMarket):
    """Some products at the prices that `forwarding.Forwarder` records, the rest from elsewhere."""

    def __init__(self, symbols: Iterable[str], otherwise: Market, ask_bars: AskBars) -> None:
        """Raises ValueError for an unknown symbol."""
        self.products = [product(symbol) for symbol in symbols]
        self.recordings: dict[str, Recording] = {}
        self._otherwise = otherwise
        self._ask_bars = ask_bars

    def recording(self, contract_id: str) -> Recording:
        return self.recordings.setdefault(contract_id, Recording())

    def is_live(self, listing: Listing) -> bool:
        return listing.product in self.products

    def minutes(self, listing: Listing, session: Session) -> Bars:
        """Return a session's minutes, of a forwarded contract as far as they were seen here."""
        if not self.is_live(listing):
            return self._otherwise.minutes(listing, session)
        groups: dict[int, list[Print]] = {}
        for one in self.recording(listing.contract.id).prints:
            if session.opens_at <= one.at < session.closes_at:
                groups.setdefault(epoch(one.at) // 60 * 60, []).append(one)
        return Bars.of([_made(opened_at, prints) for opened_at, prints in groups.items()])

    def way(self, listing: Listing, at: datetime) -> RecordedWay | None:
        return self.recording(listing.contract.id).way(at)

    def last(self, listing: Listing, at: datetime) -> int | None:
        return self.recording(listing.contract.id).last(at)

    def bars(self, listing: Listing, unit: int, number: int, start: datetime, end: datetime, limit: int) -> Bars:
        try:
            timeframe = Timeframe(f"{number}{_LETTERS[unit]}")
            told = self._ask_bars(listing.contract.id, timeframe, start, end, limit)
            return Bars.of([_read(report, listing.contract) for report in told])
        except (BrokerError, KeyError, ValueError) as error:
            raise NotTold(f"{listing.contract.id}, bars of {number} times unit {unit}: {error}") from error

    def tape(self, listing: Listing, at: datetime) -> Tape:
        return _ForwardedTape(self, listing, at, self.recording(listing.contract.id))


class _ForwardedTape(Tape):
    """Passes on what is recorded, from the moment at which somebody listens."""

    def __init__(self, market: Market, listing: Listing, at: datetime, recording: Recording) -> None:
        self._recording = recording
        self._told = recording.count
        super().__init__(market, listing, at)

    def run(self, now: datetime) -> list[Print]:
        found, self._told = self._recording.since(self._told), self._recording.count
        if found:
            self._last, self._up = found[-1].price, bool(found[-1].up)
        return [one for one in found if one.quantity]

    def _quote(self) -> dict[str, Any]:
        quote = self._recording.quote
        if quote is None:
            return {}
        model = {
            "symbolName": self.listing.display_name,
            "lastPrice": quote.last,
            "bestBid": quote.bid,
            "bestAsk": quote.ask,
            "open": quote.open,
            "high": quote.high,
            "low": quote.low,
            "volume": quote.volume,
        }
        return {name: value for name, value in model.items() if value is not None}


def _made(opened_at: int, prints: list[Print]) -> Bar:
    prices = [one.price for one in prints]
    volume = sum(one.quantity for one in prints)
    return Bar(opened_at, prices[0], max(prices), min(prices), prices[-1], volume)


def _read(report: BarReport, contract: Contract) -> Bar:
    """Return a told bar in ticks. Raises ValueError for a price off the grid."""
    opened, high, low, close = map(contract.ticks, (report.open, report.high, report.low, report.close))
    return Bar(epoch(report.opened_at), opened, high, low, close, report.volume)
