"""Simulations that were asked for or kept, so that their results can be compared."""

from __future__ import annotations

from django.db import models

from tradingbot.models import fields
from tradingbot.models.contracts import Contract


class Backtest(models.Model):
    """One simulation: what was asked, how far it is, what came out; written by `operations.backtests` alone.

    Stamps are machine time: a simulation has nothing to do with the market's clock.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    strategy = models.CharField(max_length=40, help_text="kind")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="backtests")
    parameters = models.JSONField(default=dict, help_text="what differs from the defaults")
    first = models.DateField(null=True, blank=True, help_text="first session; all that are cached if empty")
    last = models.DateField(null=True, blank=True, help_text="last session; all that are cached if empty")
    slippage = models.PositiveSmallIntegerField(default=1, help_text="ticks on market and stop orders")
    policy = models.PositiveSmallIntegerField(
        default=0,
        choices=[(0, "pessimistic"), (1, "optimistic"), (2, "detail")],
        help_text="how a bar that reached two prices is read",
    )
    firm = models.CharField(max_length=20, blank=True, default="combine-50", help_text="rules that judge the result")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(help_text="machine time")
    state = models.CharField(max_length=12, default=State.QUEUED, choices=State.choices)
    cancel_requested = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True, blank=True, help_text="machine time")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="machine time")
    beat_at = models.DateTimeField(null=True, blank=True, help_text="machine time of the last sign of life")
    progress = models.PositiveSmallIntegerField(default=0, help_text="percent")
    reason = models.CharField(max_length=300, blank=True, help_text="why it failed")
    trades = models.PositiveIntegerField(null=True, blank=True)
    net = fields.dollars(null=True, blank=True, help_text="dollars after costs")
    max_drawdown = fields.dollars(null=True, blank=True, help_text="dollars")
    win_rate = models.FloatField(null=True, blank=True)
    profit_factor = models.FloatField(null=True, blank=True)
    sharpe = models.FloatField(null=True, blank=True)
    outcome = models.CharField(max_length=12, blank=True, help_text="passed, breached or neither")
    document = models.JSONField(default=dict, blank=True, help_text="everything but the single trades")
    page = models.BinaryField(default=b"", help_text="the report, gzip")

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["state"], name="backtest_state")]

    def __str__(self) -> str:
        return f"#{self.pk} {self.strategy} {self.contract}"


class Search(models.Model):
    """One search for parameters and the best that it found; written by `operations.backtests` alone."""

    strategy = models.CharField(max_length=40, help_text="kind")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="searches")
    axes = models.JSONField(help_text="the values that were tried, by parameter")
    method = models.CharField(max_length=12)
    objective = models.CharField(max_length=12, help_text="what was made large")
    first = models.DateField(help_text="first session that was looked at")
    last = models.DateField(help_text="last session that was looked at")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(help_text="machine time")
    evaluated = models.PositiveIntegerField(help_text="parameter sets")
    best = models.JSONField(default=dict, blank=True, help_text="parameters, empty where nothing could be judged")
    score = models.FloatField(null=True, blank=True, help_text="objective of the best")
    net = fields.dollars(null=True, blank=True, help_text="dollars of the best, in the sessions it was chosen on")
    trades = models.PositiveIntegerField(null=True, blank=True)
    walked_net = fields.dollars(null=True, blank=True, help_text="dollars of the walk-forward; empty without one")
    efficiency = models.FloatField(null=True, blank=True, help_text="objective walked forward over that where chosen")
    passes = models.FloatField(null=True, blank=True, help_text="probability under the account's rules")
    breaches = models.FloatField(null=True, blank=True, help_text="probability under the account's rules")
    held_out = models.PositiveIntegerField(help_text="newest sessions that the search did not look at")
    held_out_net = fields.dollars(null=True, blank=True, help_text="dollars in them; empty while they are locked")
    document = models.JSONField(help_text="everything that was found")

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "searches"

    def __str__(self) -> str:
        return f"#{self.pk} {self.strategy} {self.contract}"
