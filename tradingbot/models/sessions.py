"""The exchange's calendar and what is to be done when."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from market.sessions import Session, regular_session
from tradingbot.models.accounts import Account
from tradingbot.models.contracts import Contract
from tradingbot.models.strategies import Strategy


class CalendarDay(models.Model):
    """One session of the exchange. A date without a row is not traded."""

    trade_date = models.DateField(unique=True, help_text="the date on which the session ends")
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    rth_opens_at = models.DateTimeField(help_text="09:30 New York")
    early_close = models.BooleanField(default=False)  # the session's, for lists to choose by
    source = models.CharField(max_length=80, help_text="where the row comes from; a person's name if edited")
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("trade_date",)
        constraints = [
            models.CheckConstraint(
                name="calendar_opens_before_closing", condition=models.Q(opens_at__lt=models.F("closes_at"))
            )
        ]

    def __str__(self) -> str:
        return f"{self.trade_date:%a %d %b %Y}"

    def clean(self) -> None:
        times = {"opens_at": self.opens_at, "closes_at": self.closes_at, "rth_opens_at": self.rth_opens_at}
        if None in (self.trade_date, *times.values()):
            return  # the field says so itself
        try:
            day = regular_session(self.trade_date)
        except ValueError as error:
            raise ValidationError({"trade_date": str(error)}) from error
        span = f"the session of {self.trade_date} lies between 18:00 of the evening before and 17:00, New York"
        wrong = {name: span for name, at in times.items() if not day.opens_at <= at <= day.closes_at}
        if not wrong and self.closes_at <= self.opens_at:
            wrong["closes_at"] = "the session would close before it opens"
        if wrong:
            raise ValidationError(wrong)

    @property
    def session(self) -> Session:
        return Session(self.trade_date, self.opens_at, self.closes_at, self.rth_opens_at)


class SessionStep(models.Model):
    """One thing to do once in a session, between `due_at` and `deadline`; the row is the claim, beat only ticks."""

    class Step(models.TextChoices):
        PREPARE = "prepare", "prepare the session"
        CAPTURE = "capture", "capture the overnight range"
        CUTOFF = "cutoff", "cancel entries that still work"
        FLATTEN = "flatten", "flatten"
        VERIFY = "verify", "verify flat"
        REPORT = "report", "report the day"

    class State(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        DONE = "done", "done"
        MISSED = "missed", "missed"

    account = models.ForeignKey(Account, models.CASCADE, related_name="steps")
    strategy = models.ForeignKey(Strategy, models.CASCADE, null=True, blank=True, related_name="steps")
    contract = models.ForeignKey(Contract, models.PROTECT, null=True, blank=True, help_text="fixed for the session")
    session_date = models.DateField()
    step = models.CharField(max_length=16, choices=Step)
    due_at = models.DateTimeField()
    deadline = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="machine time")
    done_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("due_at",)
        indexes = [models.Index(fields=["state", "due_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=("account", "strategy", "session_date", "step"), name="session_step_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="session_step_due_before_deadline", condition=models.Q(due_at__lte=models.F("deadline"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.session_date} {self.step} {self.strategy or self.account}"
