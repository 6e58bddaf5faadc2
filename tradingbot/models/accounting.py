"""What the trades of a session came to, and where they do not explain the balance."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q

from market.performance import Day
from tradingbot.models import fields
from tradingbot.models.accounts import Account
from tradingbot.models.strategies import Strategy


class DayResult(models.Model):
    """The closed trades of one session of an account, by strategy; written anew whenever one of them changes."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="results")
    strategy = models.ForeignKey(
        Strategy, models.PROTECT, null=True, blank=True, related_name="results", help_text="empty: by hand"
    )
    session_date = models.DateField()
    trades = models.PositiveIntegerField(help_text="entries, however many pieces they were closed in")
    won = models.PositiveIntegerField()
    lost = models.PositiveIntegerField()
    gross = fields.dollars()
    costs = fields.dollars(help_text="fees and commissions")
    net = fields.dollars()
    gain = fields.dollars(help_text="of the won trades")
    loss = fields.dollars(help_text="of the lost trades, negative")
    low = fields.dollars(help_text="worst sum of closed trades at any time of the session, never above 0")
    risk = fields.dollars(help_text="what the entries would have lost at their first stop")
    risked = models.PositiveIntegerField(help_text="entries of which the risk is known")
    held = models.PositiveIntegerField(help_text="seconds in which a position was open")

    class Meta:
        ordering = ("-session_date", "account", "strategy")
        constraints = [
            models.UniqueConstraint(
                fields=("account", "strategy", "session_date"), name="result_once_a_day", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.strategy or 'by hand'} {self.session_date} {self.net:+}"

    @property
    def day(self) -> Day:
        """Return the figures as the arithmetic needs them."""
        return Day(
            session_date=self.session_date,
            trades=self.trades,
            won=self.won,
            lost=self.lost,
            gross=self.gross,
            costs=self.costs,
            net=self.net,
            gain=self.gain,
            loss=self.loss,
            low=self.low,
            risk=self.risk,
            risked=self.risked,
            held=self.held,
        )


class AccountingDifference(models.Model):
    """A session whose trades do not explain the change of the balance to the cent; open until explained or closed."""

    class Cause(models.TextChoices):
        MISSING_FILL = "missing_fill", "fills of the venue are not booked"
        VOIDED = "voided", "a fill was voided"
        COSTS = "costs", "costs are not what was booked"
        PAYOUT = "payout", "payout"
        ADJUSTMENT = "adjustment", "adjustment by the firm"

    account = models.ForeignKey(Account, models.PROTECT, related_name="differences")
    session_date = models.DateField()
    at = models.DateTimeField()
    expected = fields.dollars(help_text="change of the balance by what is booked")
    seen = fields.dollars(help_text="change of the balance at the venue")
    difference = fields.dollars(help_text="seen less expected, less what earlier open differences explain")
    cause = models.CharField(max_length=16, choices=Cause, help_text="suspected")
    detail = models.CharField(max_length=500, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=300, blank=True, help_text="why it was closed")

    class Meta:
        ordering = ("-session_date", "account")
        constraints = [
            models.UniqueConstraint("account", "session_date", name="difference_once_a_day"),
            models.CheckConstraint(name="difference_not_zero", condition=~Q(difference=Decimal(0))),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.session_date} {self.difference:+}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None
