"""The bar cache: packed days of closed 1-minute bars, the source of truth for every other timeframe."""

from __future__ import annotations

from django.db import models

from market.bars import Bars, unpack
from tradingbot.models.contracts import Contract


class BarDay(models.Model):
    """The closed 1-minute bars of one contract and session, written by `operations.bars.record` alone."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="days")
    trade_date = models.DateField()
    data = models.BinaryField(help_text="market.bars.pack")
    count = models.PositiveIntegerField(help_text="bars in data")
    covered_until = models.DateTimeField(
        help_text="no bar before it is missing: a minute without a bar had no trade there"
    )
    complete = models.BooleanField(default=False, help_text="the whole session is covered")
    source = models.CharField(max_length=40, help_text="venue, stream or the imported file")
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-trade_date", "contract")
        constraints = [models.UniqueConstraint("contract", "trade_date", name="bar_day_once")]

    def __str__(self) -> str:
        return f"{self.contract} {self.trade_date}"

    @property
    def bars(self) -> Bars:
        return unpack(bytes(self.data))


class BarHour(models.Model):
    """Second bars as the venue gave them: one row an hour, kept 30 days."""

    contract = models.ForeignKey(Contract, models.CASCADE, related_name="hours")
    seconds = models.PositiveSmallIntegerField(help_text="length of a bar")
    opened_at = models.DateTimeField()
    data = models.BinaryField(help_text="market.bars.pack")
    covered_until = models.DateTimeField()

    class Meta:
        ordering = ("-opened_at",)
        constraints = [models.UniqueConstraint("contract", "seconds", "opened_at", name="bar_hour_once")]

    def __str__(self) -> str:
        return f"{self.contract} {self.seconds}s {self.opened_at:%Y-%m-%d %H:00}"

    @property
    def bars(self) -> Bars:
        return unpack(bytes(self.data))
