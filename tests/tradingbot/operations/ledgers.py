"""An account at a simulated venue, set up in milliseconds: one contract, a calendar of ordinary days, no bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.base import AccountReport, FillReport, PlaceOrder
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import front, product
from market.orders import OrderType, Side
from tests.factories import calendar_days
from tests.tradingbot.operations.orders.desk import PRICE, START, Desk, Prices
from tradingbot.models import Contract, Login
from tradingbot.operations import accounts, venues


class PayingBroker(SimulatedBroker):
    """A venue that has paid `paid` dollars out: they are missing in the balances that it tells."""

    paid = Decimal(0)

    def accounts(self) -> list[AccountReport]:
        return [replace(report, balance=report.balance - self.paid) for report in super().accounts()]


class BusyBroker(SimulatedBroker):
    """A venue at which somebody buys and sells a contract before every answer about executions."""

    def fills(self, account_id: int, *args: Any, **options: Any) -> list[FillReport]:
        contract_id = front(product("MNQ"), self._now().date()).contract.id
        for side in Side:
            tag = f"busy-{len(self._venue.ledger.orders(account_id))}"
            self.place(PlaceOrder(account_id, contract_id, tag, side, OrderType.MARKET, 1))
        return super().fills(account_id, *args, **options)


def open_desk(name: str = "50KTC-V2-1-1", balance: int = 50_000, now: datetime = START) -> Desk:
    """Return a desk whose account has been discovered and read once."""
    prices = Prices(PRICE)
    venue = Venue(Ledger(":memory:"), prices, Behaviour(segments=1))
    login = Login.objects.create(
        name="paper", venue="paper", base_url="http://127.0.0.1:1", user_name="demo", api_key="demo"
    )
    desk = Desk.__new__(Desk)
    desk.now, desk.prices, desk.venue, desk.strategy = now, prices, venue, None
    desk.broker = PayingBroker(venue, lambda: desk.now)
    venue.open_account(name, Decimal(balance), now)
    venues.use(login, desk.broker)
    calendar_days()
    spec = front(product("MNQ"), now.date()).contract
    desk.contract = Contract.objects.create(
        venue="paper",
        broker_contract_id=spec.id,
        symbol="MNQ",
        name="MNQZ6",
        tick_size=spec.tick_size,
        tick_value=spec.tick_value,
        seen_at=now,
    )
    (desk.account,) = accounts.discover(login, now=now)
    accounts.refresh(desk.account, now=now)
    return desk


def trade(desk: Desk, points: int, *, quantity: int = 1) -> Decimal:
    """Buy and sell at the venue by hand, with a gain or loss of `points`; return the net result in dollars."""
    for side, at in ((Side.BUY, 0), (Side.SELL, points * 4)):
        desk.minute(at, at, at, at)
        order = PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag=f"by-hand-{desk.now.isoformat()}",
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
        )
        desk.broker.place(order)
    desk.minute(0, 0, 0, 0)
    return Decimal(points * 2 * quantity) - Decimal("1.22") * quantity


def go(desk: Desk, to: datetime) -> None:
    """Let the venue's market run to another time."""
    desk.now = to
    desk.venue.advance(to)
