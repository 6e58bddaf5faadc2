"""The market as a stream: what is printed and quoted while the price travels through its minutes.

The prints of a minute add up to exactly the bar that the history tells, as far as its volume allows a print for each
turn of the price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from brokers.simulated import hours, wire
from brokers.simulated.market import Market, last_price, minute, offset
from brokers.simulated.path import MINUTE, path
from brokers.simulated.products import Listing
from market.bars import Bar, epoch, moment
from market.sessions import Session

_LONGEST = timedelta(hours=2)  # what lies further back than this is not printed, the quote jumps there
_LEVELS = 5
BEST_ASK, BEST_BID, ASK, BID, RESET = 3, 4, 1, 2, 6


@dataclass(frozen=True, slots=True)
class Print:
    """One trade; price in ticks, `up` when the buyer took the offer, None if nobody told."""

    at: datetime
    price: int
    quantity: int
    up: bool | None


class Tape:
    """One contract's prints and quotes from a moment on."""

    def __init__(self, market: Market, listing: Listing, at: datetime) -> None:
        self._market = market
        self.listing = listing
        self._at = at
        self._session: Session | None = None
        self._last = last_price(market, listing, at)
        self._up = True
        self._day: dict[str, int] = {}
        self._shown: dict[str, Any] = {}
        self._begin(at)

    def run(self, now: datetime) -> list[Print]:
        """Return what was printed since the last call, and move on to `now`."""
        if now - self._at > _LONGEST:
            self._at, self._last = now, last_price(self._market, self.listing, now)
            self._begin(now)
            return []
        found = list(self._prints(now))
        for one in found:
            self._count(one.price, one.quantity)
        return found

    def quote(self, now: datetime, *, whole: bool = False) -> dict[str, Any]:
        """Return what changed in the quote since the last call, all of it if `whole`; empty when nothing did."""
        model = self._quote()
        changed = model if whole else {name: value for name, value in model.items() if self._shown.get(name) != value}
        if not whole:
            self._shown = model
        if not changed:
            return {}
        stamps = {"lastUpdated": wire.stamp(now), "timestamp": wire.stamp(now)}
        return {"symbol": self.listing.symbol_id, **changed, **stamps, "contract": self.listing.contract.id}

    def trades(self, prints: list[Print]) -> list[dict[str, Any]]:
        """Return prints as a trade event carries them."""
        price = self.listing.contract.price
        return [
            {
                "symbolId": self.listing.symbol_id,
                "contractId": self.listing.contract.id,
                "price": price(one.price),
                "timestamp": wire.stamp(one.at),
                "type": None if one.up is None else 0 if one.up else 1,
                "volume": one.quantity,
            }
            for one in prints
        ]

    def depth(self, now: datetime, *, whole: bool = False) -> list[dict[str, Any]]:
        """Return the book around the last price: best levels, and all of them after a reset if `whole`."""
        if self._last is None:
            return []
        bid, ask = self._best()
        rows = [self._level(BEST_BID, bid, now), self._level(BEST_ASK, ask, now)]
        if whole:
            rows = [self._level(RESET, 0, now, 0), *rows]
            for away in range(1, _LEVELS):
                rows += [self._level(BID, bid - away, now), self._level(ASK, ask + away, now)]
        return rows

    def _level(self, kind: int, price: int, now: datetime, volume: int | None = None) -> dict[str, Any]:
        return {
            "contractId": self.listing.contract.id,
            "timestamp": wire.stamp(now),
            "type": kind,
            "price": self.listing.contract.price(price),
            "volume": price % 9 + 1 if volume is None else volume,
            "currentVolume": 0,
        }

    def _best(self) -> tuple[int, int]:
        last = self._last or 0
        return (last - 1, last) if self._up else (last, last + 1)

    def _quote(self) -> dict[str, Any]:
        if self._last is None:
            return {}
        price = self.listing.contract.price
        bid, ask = self._best()
        model: dict[str, Any] = {
            "symbolName": self.listing.display_name,
            "lastPrice": price(self._last),
            "bestBid": price(bid),
            "bestAsk": price(ask),
        }
        if self._day:
            opened = self._day["open"]
            model |= {name: price(self._day[name]) for name in ("open", "high", "low")}
            model |= {
                "change": price(self._last - opened),
                "changePercent": round((self._last - opened) / opened, 6) if opened else 0,
                "volume": self._day["volume"],
            }
        return model

    def _begin(self, at: datetime) -> None:
        """Know the session's open, high, low and volume so far."""
        self._session, self._day = hours.session_at(at), {}
        if self._session is None:
            return
        bars = self._market.minutes(self.listing, self._session)
        closed = bars[: int(np.searchsorted(bars.opened_at, epoch(at) // 60 * 60))]
        for bar in closed:
            self._count(bar.open, 0)
            self._count(bar.high, 0)
            self._count(bar.low, bar.volume)

    def _count(self, price: int, quantity: int) -> None:
        day = self._day or {"open": price, "high": price, "low": price, "volume": 0}
        self._day = {
            "open": day["open"],
            "high": max(day["high"], price),
            "low": min(day["low"], price),
            "volume": day["volume"] + quantity,
        }

    def _prints(self, now: datetime) -> Iterator[Print]:
        while self._at < now:
            if self._session is None or not self._session.opens_at <= self._at < self._session.closes_at:
                self._begin(self._at)
            if self._session is None:
                self._at = now
                return
            opened_at = moment(epoch(self._at) // 60 * 60)
            ends_at = opened_at + timedelta(minutes=1)
            until = min(now, ends_at)
            bar = minute(self._market, self.listing, self._session, self._at)
            if bar is not None:
                start, end = offset(bar, self._at), offset(bar, until)
                found = _turns(bar, start, end)
                if found is None:
                    return  # not enough volume yet for a print: later, in one piece with what comes
                yield from self._spread(opened_at, start, end, found, path(bar).piece(start, end).volume)
            self._at = until

    def _spread(self, opened_at: datetime, start: int, end: int, prices: list[int], volume: int) -> Iterator[Print]:
        """Yield one print a price, evenly over the piece, with the volume shared out."""
        share, rest = divmod(max(volume, len(prices)), len(prices))
        for number, price in enumerate(prices, start=1):
            if self._last is not None and price != self._last:
                self._up = price > self._last
            self._last = price
            at = opened_at + timedelta(microseconds=start + (end - start) * number // len(prices) - 1)
            yield Print(at, price, share + (rest if number == len(prices) else 0), self._up)


def _turns(bar: Bar, start: int, end: int) -> list[int] | None:
    """Return the prices at which the way through a piece of the minute turns, its end included.

    None while the piece has less volume than turns and the minute goes on.
    """
    piece = path(bar).piece(start, end)
    near_high = piece.high - piece.open <= piece.open - piece.low
    corners = [piece.high, piece.low] if near_high else [piece.low, piece.high]
    prices = [piece.open] if start == 0 else []
    for price in (*corners, piece.close):
        if price != (prices[-1] if prices else piece.open):
            prices.append(price)
    if not prices:
        prices = [piece.close]
    return prices if piece.volume >= len(prices) or end >= MINUTE else None
