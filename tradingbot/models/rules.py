"""The firm's rules as rows, what an account has of its own, and the moments around which they differ."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from simple_history.models import HistoricalRecords

from risk.parameters import SPECS
from risk.rule_entries import Topic
from tradingbot.models import fields
from tradingbot.models.accounts import Account, Stage

OVERRIDABLE = [(name, name.replace("_", " ")) for name, spec in SPECS.items() if spec.override]


class Rule(models.Model):
    """One dated entry of the rulebook's file; only loading the file writes it."""

    topic = models.CharField(max_length=16, choices=[(topic.value, topic.value) for topic in Topic])
    firm = models.CharField(max_length=32)
    stage = models.CharField(max_length=16, choices=Stage, blank=True)
    size = models.PositiveSmallIntegerField(null=True, blank=True, help_text="thousands of dollars")
    event = models.CharField(max_length=32, blank=True, help_text="of a news rule")
    effective_from = models.DateField()
    effective_until = models.DateField(null=True, blank=True, help_text="last day; empty: until the next entry")
    source = models.CharField(max_length=300)
    checked_on = models.DateField(help_text="when the source was read")
    values = models.JSONField()
    loaded_at = models.DateTimeField(db_default=Now(), editable=False, help_text="machine time")
    history = HistoricalRecords()

    class Meta:
        ordering = ("topic", "firm", "stage", "size", "event", "-effective_from")
        constraints = [
            models.UniqueConstraint(
                fields=("topic", "firm", "stage", "size", "event", "effective_from"),
                name="rule_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        what = f"{self.get_stage_display()} {self.size}K" if self.stage else f"{self.topic} {self.event}".strip()
        return f"{self.firm} {what} from {self.effective_from}"


class RulebookLoad(models.Model):
    """One look at the rulebook's file; `problems` keep its entries out, and entries of orders too."""

    at = models.DateTimeField(db_default=Now(), editable=False, help_text="machine time")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the file")
    entries = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, blank=True, help_text="sentences; empty when the file is right")

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.digest[:12]} {len(self.problems)} problem(s)"


class RuleOverride(models.Model):
    """A parameter that is another for one account, from a day on; withdrawn, never deleted."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="overrides")
    parameter = models.CharField(max_length=32, choices=OVERRIDABLE)
    value = models.DecimalField(max_digits=16, decimal_places=4)
    effective_from = models.DateField()
    reason = models.CharField(max_length=200)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(help_text="when it was written")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.CharField(max_length=150, blank=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ("account", "parameter", "-effective_from", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=("account", "parameter", "effective_from"),
                name="override_once_a_day",
                condition=Q(withdrawn_at__isnull=True),
            ),
            models.CheckConstraint(name="override_not_negative", condition=Q(value__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.get_parameter_display()} {self.value.normalize():f} from {self.effective_from}"


class PersonalRules(models.Model):
    """What a trader sets for the own account besides the firm's rules; all of it may only stop, never allow."""

    class Action(models.TextChoices):
        HALT = "halt", "no new entries until the next session"
        FLATTEN = "flatten", "close everything and lock until the next session"

    class Governor(models.TextChoices):
        OFF = "off", "off: only shown"
        STOP = "stop", "stop: no entry once the day has made its cap"
        REDUCE = "reduce", "reduce: cut entries so that their targets stay under the cap"

    account = models.OneToOneField(Account, models.CASCADE, related_name="personal")
    daily_loss = fields.dollars(null=True, blank=True, help_text="dollars that a day may lose; empty: no such limit")
    trailing = models.BooleanField(default=False, help_text="the loss counts from the best result of the day")
    loss_action = models.CharField(max_length=8, choices=Action, default=Action.FLATTEN)
    daily_profit = fields.dollars(null=True, blank=True, help_text="dollars after which the day is done; empty: none")
    profit_action = models.CharField(max_length=8, choices=Action, default=Action.HALT)
    governor = models.CharField(
        max_length=8, choices=Governor, default=Governor.OFF, help_text="what happens near the consistency cap of a day"
    )
    governor_safety = fields.dollars(default=Decimal(50), help_text="dollars that the day's cap stays below the rule's")
    peak_date = models.DateField(null=True, blank=True, editable=False)
    peak = fields.dollars(default=Decimal(0), editable=False, help_text="best result of that session so far")
    history = HistoricalRecords(excluded_fields=["peak_date", "peak"])

    class Meta:
        verbose_name_plural = "personal rules"
        constraints = [
            models.CheckConstraint(
                name="personal_limits_positive",
                condition=(Q(daily_loss__isnull=True) | Q(daily_loss__gt=0))
                & (Q(daily_profit__isnull=True) | Q(daily_profit__gt=0))
                & Q(governor_safety__gte=0),
            )
        ]

    def __str__(self) -> str:
        return f"personal rules of {self.account}"


class NewsEvent(models.Model):
    """A scheduled release. The firm's own rule for its name holds whatever the action says."""

    class Kind(models.TextChoices):
        CPI = "cpi", "CPI"
        EMPLOYMENT = "employment", "employment report"
        FOMC = "fomc", "FOMC decision"
        EIA = "eia", "EIA oil inventories"
        OTHER = "other", "other"

    class Action(models.TextChoices):
        FIRM = "firm", "only what the firm's rules say"
        BLOCK = "block", "no new entries; working entries are cancelled"
        BREAKEVEN = "breakeven", "the same, and stops of winning positions go to the entry"
        FLATTEN = "flatten", "the same, and positions are closed before it"

    at = models.DateTimeField(help_text="of the release")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.OTHER)
    title = models.CharField(max_length=120)
    minutes_before = models.PositiveSmallIntegerField(default=5)
    minutes_after = models.PositiveSmallIntegerField(default=5)
    action = models.CharField(max_length=16, choices=Action, default=Action.BLOCK)
    symbols = models.CharField(
        max_length=200, blank=True, help_text="products that the action is for, like ES MES; empty: all"
    )
    source = models.CharField(max_length=120, help_text="who typed it, or the file it came from")

    class Meta:
        ordering = ("at", "title")
        constraints = [models.UniqueConstraint("at", "kind", "title", name="news_event_once")]

    def __str__(self) -> str:
        return f"{self.title} {self.at:%Y-%m-%d %H:%M} UTC"

    @property
    def starts_at(self) -> datetime:
        return self.at - timedelta(minutes=self.minutes_before)

    @property
    def ends_at(self) -> datetime:
        return self.at + timedelta(minutes=self.minutes_after)

    def is_for(self, symbol: str) -> bool:
        """Return whether the action is for a product; without named ones it is for all."""
        return not self.symbols or symbol in self.symbols.split()


class NewsStep(models.Model):
    """What was done on an account as an event's windows began; those that had begun by `done_at` are done."""

    event = models.ForeignKey(NewsEvent, models.CASCADE, related_name="steps")
    account = models.ForeignKey(Account, models.CASCADE, related_name="news_steps")
    at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-at",)
        constraints = [
            models.UniqueConstraint("event", "account", name="news_step_once"),
            models.CheckConstraint(
                name="news_step_done_after_claim", condition=Q(done_at__isnull=True) | Q(done_at__gte=F("at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} on {self.account}"


class Payout(models.Model):
    """Money that was paid out of an Express account: its cycle, day count and ratio begin again."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="payouts")
    session_date = models.DateField(help_text="first session without it")
    amount = fields.dollars()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("-session_date",)
        constraints = [models.UniqueConstraint("account", "session_date", name="payout_once_a_session")]

    def __str__(self) -> str:
        return f"{self.account} {self.session_date} {self.amount}"
