"""Why something was done, or was not."""

from __future__ import annotations

from django.db import models

from tradingbot.models.accounts import Account
from tradingbot.models.contracts import Contract
from tradingbot.models.strategies import Strategy


class Outcome(models.TextChoices):
    ORDERED = "ordered", "ordered"
    DENIED = "denied", "denied"
    NO_SIGNAL = "no_signal", "no signal"
    MANAGED = "managed", "position managed"
    MISSED = "missed", "missed"
    FAILED = "failed", "failed"


class Decision(models.Model):
    """One signal, denial, or change of reason: its inputs, each rule with value, limit and verdict, and a sentence."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="decisions")
    strategy = models.ForeignKey(Strategy, models.CASCADE, null=True, blank=True, related_name="decisions")
    contract = models.ForeignKey(Contract, models.PROTECT, null=True, blank=True)
    session_date = models.DateField(db_index=True)
    at = models.DateTimeField()
    bar_closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome)
    code = models.CharField(max_length=40, help_text="coded reason, for example outside_window")
    sentence = models.CharField(max_length=500, help_text="the same in one plain sentence")
    inputs = models.JSONField(default=dict, blank=True, help_text="prices and figures that it was taken on")
    rules = models.JSONField(default=list, blank=True, help_text="[{rule, value, limit, verdict}]")
    config_version = models.CharField(max_length=16, help_text="hash of the parameters in force")
    requested_by = models.CharField(max_length=80, blank=True, help_text="who asked, for a manual order")

    class Meta:
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=["strategy", "session_date", "-at"])]

    def __str__(self) -> str:
        return self.sentence
