"""An account at a simulated venue whose prices a test writes minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from brokers.base import Lane, OrderReport, OutcomeUnknown, OverBudget, PlaceOrder
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import Listing
from market.bars import Bars, epoch
from market.contracts import Contract as Spec
from market.orders import OrderType, Side
from market.plans import Management
from market.sessions import Session, trade_date_of
from risk.gate import EntryRequest, EntrySide
from tests.factories import calendar_days
from tradingbot.models import Account, Contract, Decision, Login, Order, Strategy
from tradingbot.operations import accounts, bars, contracts, orders, protection, reconciliation, venues

START = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)  # 10:00 New York
PRICE = 84_000  # ticks: 21,000.00


class Prices:
    """A market of written minutes; a minute nobody wrote stands at the price before it in its session."""

    def __init__(self, price: int) -> None:
        self._start = price
        self._written: dict[int, tuple[int, int, int, int]] = {}
        self._drawn: dict[Session, Bars] = {}

    def write(self, opened_at: datetime, *, open: int, high: int, low: int, close: int) -> None:
        """Let the minute that opens then trade at these prices in ticks."""
        self._written[epoch(opened_at)] = (open, high, low, close)
        self._drawn.clear()

    def minutes(self, listing: Listing, session: Session) -> Bars:
        if session not in self._drawn:
            self._drawn[session] = self._draw(session)
        return self._drawn[session]

    def _draw(self, session: Session) -> Bars:
        at = np.arange(epoch(session.opens_at), epoch(session.closes_at), 60, np.int64)
        prices = np.full((4, len(at)), self._start, np.int64)
        for minute in sorted(self._written.keys() & set(at.tolist())):
            row = (minute - int(at[0])) // 60
            prices[:, row] = self._written[minute]
            prices[:, row + 1 :] = prices[3, row]
        return Bars(at, *prices, np.ones(len(at), np.int64))


class LosingBroker(SimulatedBroker):
    """The venue behind a wire that loses the answers of the next `lose` placements, with or without their effect.

    lose_cancels   cancels that do not arrive; open_lanes: those in which the budget has requests left
    """

    lose = 0
    reaches = True
    lose_cancels = 0
    open_lanes = frozenset(Lane)

    def place(self, order: PlaceOrder, **options: Any) -> int:
        if not self.lose:
            return super().place(order, **options)
        self.lose -= 1
        if self.reaches:
            super().place(order, **options)
        raise OutcomeUnknown("the connection was reset")

    def cancel(self, account_id: int, order_id: int) -> None:
        if self.lose_cancels:
            self.lose_cancels -= 1
            raise OutcomeUnknown("the connection was reset")
        super().cancel(account_id, order_id)

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        self._count(lane)
        return super().orders_in_flight(account_id, lane=lane)

    def orders_between(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[OrderReport]:
        self._count(lane)
        return super().orders_between(account_id, start, end, lane=lane)

    def _count(self, lane: Lane) -> None:
        if lane not in self.open_lanes:
            raise OverBudget(f"the request budget of lane {lane.name} is spent", retry_after=1.0)


@dataclass
class Desk:
    now: datetime
    prices: Prices
    venue: Venue
    broker: LosingBroker
    account: Account
    contract: Contract
    strategy: Strategy | None = None

    @classmethod
    def open(cls, *, behaviour: Behaviour | None = None, now: datetime = START, name: str = "50KTC-V2-1-1") -> Desk:
        prices = Prices(PRICE)
        venue = Venue(Ledger(":memory:"), prices, behaviour or Behaviour(segments=1))
        login = Login.objects.create(
            name="paper", venue="paper", base_url="http://127.0.0.1:1", user_name="demo", api_key="demo"
        )
        desk = cls.__new__(cls)
        desk.now, desk.prices, desk.venue, desk.strategy = now, prices, venue, None
        desk.broker = LosingBroker(venue, lambda: desk.now)
        venue.open_account(name, Decimal(50_000), now)
        venues.use(login, desk.broker)
        calendar_days()
        contracts.refresh(login, now=now)
        (desk.account,) = accounts.discover(login, now=now)
        desk.contract = Contract.objects.get(symbol="MNQ", active=True)
        desk.look()
        return desk

    @property
    def spec(self) -> Spec:
        return self.contract.spec

    def look(self) -> None:
        """Read bars, balance and orders as the tasks do."""
        bars.fetch(self.contract, now=self.now)
        self.account.refresh_from_db()
        accounts.refresh(self.account, now=self.now)
        reconciliation.reconcile(self.account, now=self.now, max_age=0)
        self.account.refresh_from_db()

    def settle(self) -> None:
        """Let fills be booked, pairs cancelled and stops checked, until nothing changes any more."""
        for _ in range(2):
            reconciliation.reconcile(self.account, now=self.now, max_age=0)
            protection.check(self.account, now=self.now, max_age=0)

    def minute(self, open_: int, high: int, low: int, close: int) -> None:
        """Let one minute pass with these prices, given in ticks from PRICE."""
        at = self.now.replace(second=0, microsecond=0)
        self.prices.write(at, open=PRICE + open_, high=PRICE + high, low=PRICE + low, close=PRICE + close)
        self.now = at + timedelta(minutes=1, seconds=3)
        self.venue.advance(self.now)

    def pair(self, *, quantity: int = 3, up: int = 20, down: int = -20, stop: int = 40, target: int = 60) -> Decision:
        """Ask for a breakout pair around PRICE."""
        request = EntryRequest(
            contract=self.spec,
            quantity=quantity,
            sides=(
                EntrySide(Side.BUY, OrderType.STOP, PRICE + up, stop, target),
                EntrySide(Side.SELL, OrderType.STOP, PRICE + down, stop, target),
            ),
            oco=True,
            reference=PRICE,
        )
        return self.ask(request)

    def ask(self, request: EntryRequest, management: Management | None = None) -> Decision:
        return orders.open(
            account=self.account,
            contract=self.contract,
            request=request,
            session_date=trade_date_of(self.now),
            now=self.now,
            strategy=self.strategy,
            requested_by="test",
            management=management,
        )

    def send(self, decision: Decision) -> list[Order]:
        """Send a decision's entries and return them, the buy first."""
        rows = list(decision.orders.filter(role="entry").order_by("-side"))
        for order in rows:
            orders.send(order, now=self.now)
            order.refresh_from_db()
        return rows

    def ledger(self) -> list[tuple[str, int, str]]:
        """Return the venue's own list of orders: tag, status number and side."""
        return [
            (str(order.tag), int(order.status), str(order.side))
            for order in self.venue.ledger.orders(self.account.broker_account_id)
        ]
