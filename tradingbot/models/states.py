"""Who may trade, over all accounts, and the record of every change of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from tradingbot.models.accounts import Account, TradingState


class OverallState(models.Model):
    """The one row that binds every account beside its own state. Without it no entry leaves."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    trading_state = models.CharField(max_length=16, choices=TradingState, default=TradingState.ACTIVE)
    reason = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=120, blank=True)
    at = models.DateTimeField(null=True, blank=True, help_text="market time of the last change")

    class Meta:
        constraints = [models.CheckConstraint(name="overall_state_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.get_trading_state_display()


class StateChange(models.Model):
    """One change of who may trade: append-only, written with the change. Without an account: of all of them."""

    class Kind(models.TextChoices):
        STATE = "state", "trading state"
        FLATTEN = "flatten", "flatten"
        ARMING = "arming", "arming"
        STRATEGY = "strategy", "strategy"

    account = models.ForeignKey(Account, models.CASCADE, null=True, blank=True, related_name="state_changes")
    kind = models.CharField(max_length=16, choices=Kind)
    at = models.DateTimeField(help_text="market time")
    machine_at = models.DateTimeField(db_default=Now(), editable=False)
    before = models.CharField(max_length=40)
    after = models.CharField(max_length=40)
    by = models.CharField(max_length=120)
    reason = models.CharField(max_length=300, blank=True)
    until = models.DateTimeField(null=True, blank=True, help_text="when it ends by itself; empty: by a person")

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["account", "-machine_at"], name="state_change_newest")]

    def __str__(self) -> str:
        return f"{self.account or 'all accounts'}: {self.before} → {self.after}"
