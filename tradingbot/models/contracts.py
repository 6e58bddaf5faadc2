"""Contracts as a venue lists them."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from market.contracts import Contract as Spec
from tradingbot.models import fields


class Contract(models.Model):
    """One expiry of a product at a venue; looked up there, never built by hand."""

    venue = models.CharField(max_length=16, help_text="paper or projectx")
    broker_contract_id = models.CharField(max_length=64)
    symbol = models.CharField(max_length=16, help_text="root of the product, for example MNQ")
    name = models.CharField(max_length=32, help_text="for example MNQZ6")
    description = models.CharField(max_length=200, blank=True)
    tick_size = fields.price(help_text="points")
    tick_value = fields.price(help_text="dollars a contract")
    active = models.BooleanField(default=True, help_text="the month that the venue lists as current")
    seen_at = models.DateTimeField(help_text="when the venue last listed it")

    class Meta:
        ordering = ("symbol", "-active", "name")
        constraints = [
            models.UniqueConstraint("venue", "broker_contract_id", name="contract_once_a_venue"),
            models.UniqueConstraint("venue", "symbol", name="contract_one_active", condition=models.Q(active=True)),
            models.CheckConstraint(
                name="contract_ticks_positive", condition=models.Q(tick_size__gt=0, tick_value__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def spec(self) -> Spec:
        """Return the contract in the market's vocabulary."""
        return Spec(self.broker_contract_id, self.symbol, self.tick_size.normalize(), self.tick_value.normalize())

    def text(self, price: Decimal | None) -> str:
        """Return a price with the decimals of this contract's tick, a dash for none."""
        if price is None:
            return "–"
        exponent = self.tick_size.normalize().as_tuple().exponent
        return f"{price:,.{max(0, -int(exponent))}f}"
