"""Configured strategies and the overnight ranges they stand on."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from simple_history.models import HistoricalRecords

import strategies
from strategies.parameters import ParameterError, parse
from tradingbot.models import fields
from tradingbot.models.accounts import Account
from tradingbot.models.contracts import Contract
from tradingbot.models.limits import StrategyLimits


class Strategy(StrategyLimits):
    """One strategy at work: exactly one account and one product."""

    name = models.SlugField(unique=True)
    kind = models.CharField(max_length=40, help_text="which plan it follows")
    account = models.ForeignKey(Account, models.PROTECT, related_name="strategies")
    symbol = models.CharField(max_length=16, help_text="root of the product, for example MNQ")
    enabled = models.BooleanField(default=False)
    follow_ticks = models.BooleanField(
        default=False,
        help_text="stops follow every price of the stream; off: closed minutes, as in a backtest",
    )
    parameters = models.JSONField(default=dict, blank=True)
    halted_on = models.DateField(null=True, blank=True, help_text="the session for which it stands still")
    halt_reason = models.CharField(max_length=200, blank=True)
    last_evaluated_at = models.DateTimeField(null=True, blank=True, help_text="close of the newest bar it has seen")
    last_run_at = models.DateTimeField(null=True, blank=True, help_text="machine time of the last evaluation")
    last_reason = models.CharField(max_length=300, blank=True, help_text="what the last evaluation said")
    evaluations = models.PositiveIntegerField(default=0)
    history = HistoricalRecords(excluded_fields=["last_evaluated_at", "last_run_at", "last_reason", "evaluations"])

    class Meta(StrategyLimits.Meta):
        abstract = False
        ordering = ("name",)
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.kind not in strategies.STRATEGIES:
            raise ValidationError({"kind": f"{self.kind!r} is not one of {', '.join(strategies.STRATEGIES)}"})
        try:
            self.typed_parameters()
        except ParameterError as error:
            raise ValidationError({"parameters": list(error.errors.values())}) from error
        self.clean_limits()

    def typed_parameters(self) -> Any:
        """Return the parameters as the strategy's dataclass. Raises ParameterError naming each wrong one."""
        return _typed(self.kind, json.dumps(self.parameters, default=str))


@lru_cache(maxsize=256)  # frozen; looked at twice for every bar
def _typed(kind: str, parameters: str) -> Any:
    return parse(strategies.STRATEGIES[kind].parameters, json.loads(parameters))


class OvernightRange(models.Model):
    """High and low of a contract between the session's open and the capture, checked against the bars it is made of."""

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="ranges")
    session_date = models.DateField()
    high = fields.price()
    low = fields.price()
    bars = models.PositiveIntegerField(help_text="1-minute bars in it")
    expected_bars = models.PositiveIntegerField(help_text="minutes between open and capture")
    complete = models.BooleanField(help_text="every minute was fetched; minutes without a trade count as fetched")
    captured_at = models.DateTimeField()

    class Meta:
        ordering = ("-session_date", "contract")
        constraints = [
            models.UniqueConstraint("contract", "session_date", name="range_one_a_day"),
            models.CheckConstraint(name="range_high_above_low", condition=models.Q(high__gte=models.F("low"))),
        ]

    def __str__(self) -> str:
        return f"{self.contract} {self.session_date} {self.low.normalize():f}–{self.high.normalize():f}"
