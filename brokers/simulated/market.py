"""Where the venue's prices come from, and what of them may be known at a given time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from brokers.simulated import hours
from brokers.simulated.path import MINUTE, path
from brokers.simulated.products import Listing
from market.bars import Bar, Bars, epoch, moment
from market.sessions import Session

_LOOK_BACK = timedelta(days=10)  # over holidays, for the last price


class NotTold(Exception):
    """A market that is asked elsewhere does not answer, or not what was asked."""


class Way(Protocol):
    """How the price goes through one minute; times in microseconds since it opened, prices in ticks."""

    @property
    def opened_at(self) -> int:
        """Return epoch seconds."""

    def price(self, at: int) -> int:
        """Return the price at `at`."""

    def piece(self, start: int, end: int) -> Bar:
        """Return the part between two times as a bar."""


class Market(Protocol):
    """A source of prices that knows each session whole, the part that is still to come too."""

    def minutes(self, listing: Listing, session: Session) -> Bars:
        """Return the 1-minute bars of a session, without minutes that had no trade; perhaps none at all."""


class LiveMarket(ABC):
    """A market of which some contracts are known only up to now, for them it says itself what there is."""

    @abstractmethod
    def minutes(self, listing: Listing, session: Session) -> Bars:
        """Do what `Market` says."""

    @abstractmethod
    def is_live(self, listing: Listing) -> bool:
        """Return whether the following is to be asked of a contract."""

    @abstractmethod
    def way(self, listing: Listing, at: datetime) -> Way | None:
        """Return what came of the minute in which `at` lies; None before the first price."""

    @abstractmethod
    def last(self, listing: Listing, at: datetime) -> int | None:
        """Return the newest price at `at`."""

    @abstractmethod
    def bars(self, listing: Listing, unit: int, number: int, start: datetime, end: datetime, limit: int) -> Bars:
        """Return closed bars, oldest first; may take seconds. Raises NotTold."""


def way(market: Market, listing: Listing, session: Session, at: datetime) -> Way | None:
    """Return how the price goes through the minute in which `at` lies, None when nothing trades in it."""
    if isinstance(market, LiveMarket) and market.is_live(listing):
        return market.way(listing, at)
    bar = minute(market, listing, session, at)
    return None if bar is None else path(bar)


def minute(market: Market, listing: Listing, session: Session, at: datetime) -> Bar | None:
    """Return the minute bar during which `at` lies, whole, None when nothing trades in it."""
    bars = market.minutes(listing, session)
    opened_at = epoch(at) // 60 * 60
    row = int(np.searchsorted(bars.opened_at, opened_at))
    if row == len(bars) or bars.opened_at[row] != opened_at:
        return None
    return next(iter(bars[row : row + 1]))


def last_price(market: Market, listing: Listing, at: datetime) -> int | None:
    """Return the newest price known at `at` in ticks, None when the contract has not traded in the ten days before."""
    if isinstance(market, LiveMarket) and market.is_live(listing):
        return market.last(listing, at)
    for session in reversed(list(hours.sessions(at - _LOOK_BACK, at))):
        bars = market.minutes(listing, session)
        row = int(np.searchsorted(bars.opened_at, epoch(at), side="right")) - 1
        if row >= 0:
            bar = next(iter(bars[row : row + 1]))
            return path(bar).price(min(offset(bar, at), MINUTE))
    return None


def offset(bar: Bar | Way, at: datetime) -> int:
    """Return the microseconds from the bar's opening to `at`."""
    return (at - moment(bar.opened_at)) // timedelta(microseconds=1)
