"""A venue on a market written by hand: every bar is in the test, so every fill can be worked out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import Listing
from brokers.simulated.records import Execution, Order, Position
from brokers.simulated.tickets import Close, Leg, Modify, OneOrder, PartialClose, Place
from market.bars import Bar, Bars, epoch
from market.sessions import Session

MNQ = "CON.F.US.MNQ.Z26"
START = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)  # a Wednesday, 09:30 New York
BUY, SELL = 0, 1
LIMIT, MARKET, STOP, TRAILING = 1, 2, 4, 5


class HandMarket:
    """The bars that a test adds, for every contract the same; prices in points of a quarter-point tick."""

    def __init__(self) -> None:
        self._bars: list[Bar] = []

    def add(self, opened_at: datetime, *prices: float) -> None:
        """Add a bar of open, high, low and close."""
        self._bars.append(Bar(epoch(opened_at), *(round(price * 4) for price in prices), volume=120))

    def minutes(self, listing: Listing, session: Session) -> Bars:
        return Bars.of(self._bars).between(session.opens_at, session.closes_at)


class Stage:
    """A venue with one account of $50,000, its clock and its market: 20,000 points at 09:30 New York."""

    def __init__(
        self, behaviour: Behaviour | None = None, *, start: datetime = START, ledger: str | Path = ":memory:"
    ) -> None:
        self.market = HandMarket()
        self.market.add(start - timedelta(minutes=1), 20000, 20000, 20000, 20000)
        self.at = start
        self.venue = Venue(Ledger(ledger), self.market, behaviour or Behaviour())
        self.account_id = self.venue.open_account("50KTC-V2-TEST-1", Decimal(50000), start).id
        self.venue.advance(start)

    def now(self) -> datetime:
        return self.at

    def bar(self, *prices: float) -> None:
        """Let one minute pass with this open, high, low and close."""
        self.market.add(self.at, *prices)
        self.wait(60)

    def move(self, start: float, end: float) -> None:
        """Let one minute pass in which the price goes straight from one level to another."""
        self.bar(start, max(start, end), min(start, end), end)

    def wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.venue.advance(self.at)

    def place(self, kind: int, side: int, size: int = 1, **more: Any) -> int:
        """Place an order; `sl` and `tp` are signed ticks, prices points."""
        legs = {name: more.pop(name, None) for name in ("sl", "tp")}
        prices = {name: Decimal(str(more.pop(name))) for name in list(more) if name.endswith("_price")}
        ticket = Place(
            account_id=more.pop("account_id", self.account_id),
            contract_id=more.pop("contract_id", MNQ),
            type=kind,
            side=side,
            size=size,
            stop_loss_bracket=None if legs["sl"] is None else Leg(ticks=legs["sl"], type=STOP),
            take_profit_bracket=None if legs["tp"] is None else Leg(ticks=legs["tp"], type=LIMIT),
            **prices,
            **more,
        )
        return self.venue.place(ticket, self.at)

    def modify(self, order_id: int, **values: Any) -> None:
        prices = {name: Decimal(str(value)) if name.endswith("_price") else value for name, value in values.items()}
        self.venue.modify(Modify(account_id=self.account_id, order_id=order_id, **prices), self.at)

    def cancel(self, order_id: int) -> None:
        self.venue.cancel(OneOrder(account_id=self.account_id, order_id=order_id), self.at)

    def close(self, size: int | None = None) -> None:
        if size is None:
            self.venue.close(Close(account_id=self.account_id, contract_id=MNQ), self.at)
        else:
            self.venue.close_part(PartialClose(account_id=self.account_id, contract_id=MNQ, size=size), self.at)

    def order(self, order_id: int) -> Order:
        found = self.venue.ledger.order(order_id)
        assert found is not None
        return found

    def legs(self, order_id: int) -> list[Order]:
        return self.venue.ledger.legs(order_id)

    @property
    def fills(self) -> list[Execution]:
        return self.venue.ledger.executions(self.account_id, None, None)

    @property
    def prices(self) -> list[float]:
        """The prices of all fills in points."""
        return [fill.price / 4 for fill in self.fills]

    @property
    def position(self) -> Position | None:
        return self.venue.ledger.position(self.account_id, MNQ)

    @property
    def balance(self) -> Decimal:
        return self.venue.account(self.account_id).balance
