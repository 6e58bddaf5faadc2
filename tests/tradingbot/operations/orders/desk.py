"""An account at a simulated venue whose prices a test writes minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.base import OutcomeUnknown, PlaceOrder
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import Listing
from market.bars import Bar, Bars, epoch
from market.contracts import Contract as Spec
from market.orders import OrderType, Side
from market.plans import Management
from market.sessions import Session, trade_date_of
from risk.gate import EntryRequest, EntrySide
from tradingbot.models import Account, Contract, Decision, Login, Order, Strategy
from tradingbot.operations import accounts, bars, calendar, contracts, orders, reconciliation, venues

START = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)  # 10:00 New York
PRICE = 84_000  # ticks: 21,000.00


class Prices:
    """A market of given minutes; a minute nobody wrote stands at the price before it."""

    def __init__(self, price: int) -> None:
        self.start = price
        self.minutes_of: dict[int, tuple[int, int, int, int]] = {}

    def minutes(self, listing: Listing, session: Session) -> Bars:
        price, rows = self.start, []
        for at in range(epoch(session.opens_at), epoch(session.closes_at), 60):
            open_, high, low, close = self.minutes_of.get(at, (price, price, price, price))
            rows.append(Bar(at, open_, high, low, close, 1))
            price = close
        return Bars.of(rows)


class LosingBroker(SimulatedBroker):
    """The venue behind a wire that loses the answers of the next `lose` placements, with or without their effect."""

    lose = 0
    reaches = True

    def place(self, order: PlaceOrder, **options: Any) -> int:
        if not self.lose:
            return super().place(order, **options)
        self.lose -= 1
        if self.reaches:
            super().place(order, **options)
        raise OutcomeUnknown("the connection was reset")


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
        calendar.ensure_calendar(now=now)
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

    def minute(self, open_: int, high: int, low: int, close: int) -> None:
        """Let one minute pass with these prices, given in ticks from PRICE."""
        at = self.now.replace(second=0, microsecond=0)
        self.prices.minutes_of[epoch(at)] = (PRICE + open_, PRICE + high, PRICE + low, PRICE + close)
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
