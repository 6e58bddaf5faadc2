"""Fills, the positions they add up to, and the trades they close."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models.functions import Now

from market.orders import Role, Side
from tradingbot.models import fields
from tradingbot.models.accounts import Account
from tradingbot.models.contracts import Contract
from tradingbot.models.orders import Order
from tradingbot.models.strategies import Strategy

_SIDES = [(s.value, s.name.lower()) for s in Side]


class Fill(models.Model):
    """One execution, booked once by the venue's id."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="fills")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="fills")
    order = models.ForeignKey(Order, models.PROTECT, null=True, blank=True, related_name="fills")
    broker_trade_id = models.BigIntegerField()
    broker_order_id = models.BigIntegerField()
    session_date = models.DateField()
    at = models.DateTimeField(help_text="when it happened at the venue")
    booked_at = models.DateTimeField(db_default=Now(), editable=False, help_text="machine time")
    side = models.SmallIntegerField(choices=_SIDES)
    quantity = models.PositiveIntegerField(help_text="contracts")
    price = fields.price()
    fees = fields.dollars(help_text="exchange and NFA")
    commissions = fields.dollars()
    estimated = models.BooleanField(
        default=False, help_text="commissions by our table of costs, until the venue tells them"
    )
    voided = models.BooleanField(default=False, help_text="busted by the venue; counts for nothing")

    class Meta:
        ordering = ("-at", "-broker_trade_id")
        indexes = [models.Index(fields=["account", "contract", "at"])]
        constraints = [
            models.UniqueConstraint("account", "broker_trade_id", name="fill_booked_once"),
            models.CheckConstraint(name="fill_has_quantity", condition=models.Q(quantity__gt=0)),
        ]

    def __str__(self) -> str:
        return (
            f"{Side(self.side).name.lower()} {self.quantity} {self.contract.symbol} at {self.contract.text(self.price)}"
        )

    @property
    def worse_by(self) -> Any:
        """Return by how many points it filled worse than its order intended, None where that is not known."""
        intended = self.order.intended if self.order else None
        return None if intended is None else (self.price - intended) * self.side


class Position(models.Model):
    """The signed sum of an account's fills in a contract, beside what the venue says."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="positions")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="positions")
    quantity = models.IntegerField(default=0, help_text="contracts, negative when short")
    average_price = fields.price(default=Decimal(0))
    opened_at = models.DateTimeField(null=True, blank=True)
    booked_from = models.DateTimeField(
        null=True, blank=True, help_text="trades of earlier fills are settled: nothing of them was open any more"
    )
    broker_quantity = models.IntegerField(default=0, help_text="as the venue says; it rules for stops and flatten")
    broker_seen_at = models.DateTimeField(null=True, blank=True, help_text="machine time")
    exposed_since = models.DateTimeField(null=True, blank=True, help_text="machine time: when the exposure was known")
    unprotected_since = models.DateTimeField(null=True, blank=True, help_text="machine time: no full stop since")
    differs_since = models.DateTimeField(null=True, blank=True, help_text="machine time: our sum is not the venue's")
    close_sent_at = models.DateTimeField(null=True, blank=True, help_text="machine time of the last close request")

    class Meta:
        ordering = ("account", "contract")
        constraints = [models.UniqueConstraint("account", "contract", name="position_once")]

    def __str__(self) -> str:
        return f"{self.account} {self.quantity:+d} {self.contract.symbol}"

    def open_profit(self, price: Decimal) -> Decimal:
        """Return dollars of the open position at `price`, before costs."""
        return Decimal((price - self.average_price) * self.quantity * self.contract.spec.point_value)


class Trade(models.Model):
    """One closed round turn, first in, first out among the fills of its strategy (of nobody: by hand).

    Where no fill closed it, its contracts were set off against those of another strategy when the session ended.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="trades")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="trades")
    strategy = models.ForeignKey(Strategy, models.PROTECT, null=True, blank=True, related_name="trades")
    entry_fill = models.ForeignKey(Fill, models.PROTECT, related_name="opened")
    exit_fill = models.ForeignKey(Fill, models.PROTECT, related_name="closed")
    session_date = models.DateField(help_text="of the exit")
    direction = models.SmallIntegerField(choices=[(s.value, "long" if s is Side.BUY else "short") for s in Side])
    quantity = models.PositiveIntegerField()
    entry_price = fields.price()
    exit_price = fields.price()
    entered_at = models.DateTimeField()
    exited_at = models.DateTimeField()
    gross = fields.dollars()
    fees = fields.dollars()
    commissions = fields.dollars()
    net = fields.dollars(help_text="gross less fees and commissions")
    exit_role = models.CharField(max_length=16, choices=[(r.value, r.value) for r in Role], default=Role.EXTERNAL)

    class Meta:
        ordering = ("-exited_at", "-pk")
        indexes = [models.Index(fields=["account", "session_date"])]
        constraints = [models.UniqueConstraint("entry_fill", "exit_fill", name="trade_once")]

    def __str__(self) -> str:
        return f"{self.quantity} {self.contract.symbol} {self.net:+}"

    @property
    def slippage(self) -> Any:
        """Return dollars that entry and exit together filled worse than intended, None while neither is known."""
        known = [fill.worse_by for fill in (self.entry_fill, self.exit_fill) if fill.worse_by is not None]
        return sum(known, Decimal(0)) * self.quantity * self.contract.spec.point_value if known else None

    @property
    def points(self) -> Any:
        return (self.exit_price - self.entry_price) * self.direction
