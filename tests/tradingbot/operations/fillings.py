"""Executions reported by hand, without a venue: what a strategy, a person and nobody did to one position."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.base import FillReport
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import trade_date_of
from tests.factories import NOW
from tradingbot.models import Account, Contract, DayResult, Order, Strategy, Trade
from tradingbot.operations import fills

FEE, COMMISSION = Decimal("0.36"), Decimal("0.25")  # MNQ, a side


@dataclass
class Filling:
    """The executions of an account in one contract; `at` moves a minute with each."""

    account: Account
    contract: Contract
    at: datetime = NOW
    reports: list[FillReport] = field(default_factory=list)

    def order(self, role: Role, side: Side, quantity: int, *, strategy: Strategy | None = None, **values) -> Order:
        """Write an order that works at the venue."""
        number = 9_000 + Order.objects.count()
        defaults = {
            "session_date": trade_date_of(self.at),
            "tag": f"t-{number}",
            "type": OrderType.MARKET,
            "status": OrderStatus.WORKING,
            "broker_order_id": number,
            "stop_ticks": 40 if role is Role.ENTRY else None,
            "created_at": self.at,
            "updated_at": self.at,
        }
        return Order.objects.create(
            account=self.account, contract=self.contract, role=role, side=side, quantity=quantity, strategy=strategy,
            **(defaults | values),
        )  # fmt: skip

    def report(self, side: Side, quantity: int, price: str, *, order: Order | None = None, **values) -> FillReport:
        """Return an execution of a new minute that is not booked yet."""
        self.at += timedelta(minutes=1)
        made = {
            "id": 5_000 + len(self.reports),
            "account_id": self.account.broker_account_id,
            "contract_id": self.contract.broker_contract_id,
            "order_id": order.broker_order_id if order else 77,
            "at": self.at,
            "side": side,
            "quantity": quantity,
            "price": Decimal(price),
            "fees": FEE * quantity,
            "commissions": COMMISSION * quantity,
            "profit": None,
            "voided": False,
        }
        self.reports.append(FillReport(**(made | values)))
        return self.reports[-1]

    def book(self, report: FillReport) -> bool:
        return fills.record(self.account, report, now=self.at)

    def fill(self, side: Side, quantity: int, price: str, **values) -> FillReport:
        """Book an execution of a new minute; returns its report."""
        report = self.report(side, quantity, price, **values)
        assert self.book(report)
        return report

    def entry(self, side: Side, quantity: int, price: str, strategy: Strategy | None = None) -> Order:
        order = self.order(Role.ENTRY, side, quantity, strategy=strategy)
        self.fill(side, quantity, price, order=order)
        return order

    def leg(self, entry: Order, price: str, quantity: int | None = None, role: Role = Role.STOP) -> Order:
        """Fill a leg of an entry."""
        side, size = Side(entry.side).opposite, quantity or entry.quantity
        order = self.order(role, side, size, strategy=entry.strategy, parent=entry, type=OrderType.STOP)
        self.fill(side, size, price, order=order)
        return order

    def turn(self, strategy: Strategy | None, bought: str, sold: str, quantity: int = 1) -> Decimal:
        """Buy and sell; return the net result."""
        before = sum(self.nets(), Decimal(0))
        self.leg(self.entry(Side.BUY, quantity, bought, strategy), sold)
        return sum(self.nets(), Decimal(0)) - before

    def nets(self, strategy: Strategy | None = None) -> list[Decimal]:
        rows = Trade.objects.filter(account=self.account).order_by("exited_at", "pk")
        return [row.net for row in (rows.filter(strategy=strategy) if strategy else rows)]

    def days(self) -> list[tuple[str, int, Decimal]]:
        rows = DayResult.objects.filter(account=self.account).order_by("session_date", "strategy")
        return [(row.strategy.name if row.strategy else "by hand", row.trades, row.net) for row in rows]
