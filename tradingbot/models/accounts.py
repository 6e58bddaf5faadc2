"""Logins, accounts and what they held when."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from risk.rule_entries import SIZES
from tradingbot.models import fields


class Venue(models.TextChoices):
    PAPER = "paper", "paper (our own venue)"
    PROJECTX = "projectx", "ProjectX (TopstepX)"


class Stage(models.TextChoices):
    """What an account is to the firm; only the first three may trade."""

    PRACTICE = "practice", "Practice"
    COMBINE = "combine", "Trading Combine"
    EXPRESS = "express", "Express Funded"
    LIVE = "live", "Live Funded"
    UNKNOWN = "unknown", "Unknown"


class TradingState(models.TextChoices):
    ACTIVE = "active", "active"
    REDUCE_ONLY = "reduce_only", "reduce only"
    HALTED = "halted", "halted"


class Lock(models.TextChoices):
    """Which limit was reached; it says who may let entries leave again, and when."""

    NONE = "", "none"
    DAILY_LOSS = "daily_loss", "daily loss limit"
    MAXIMUM_LOSS = "maximum_loss", "maximum loss"


class BracketMode(models.TextChoices):
    """What the platform's Risk Settings say; the API does not tell. Entries carry their stop, which needs Auto OCO."""

    UNKNOWN = "unknown", "unknown"
    AUTO_OCO = "auto_oco", "Auto OCO Brackets"
    POSITION = "position", "Position Brackets"


class Sharing(models.TextChoices):
    """What happens when a second strategy wants a contract that another one of the account is at work in."""

    DENY = "deny", "the second is denied"
    NET = "net", "both may, their positions net"


class Login(models.Model):
    """One user at one venue; its accounts share a token and a rate budget."""

    name = models.SlugField(unique=True)
    venue = models.CharField(max_length=16, choices=Venue)
    base_url = models.URLField(help_text="for example https://api.topstepx.com")
    user_name = models.CharField(max_length=120)
    api_key = fields.EncryptedTextField(help_text="stored encrypted, never shown again")
    token = fields.EncryptedTextField(blank=True, default="", editable=False)
    token_renewed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="machine time")
    entries_blocked = models.CharField(
        max_length=500, blank=True, help_text="why no entry may be sent, empty if it may"
    )
    clock_skew = models.FloatField(
        null=True, blank=True, editable=False, help_text="seconds that the venue's clock is ahead of ours"
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Account(models.Model):
    """One trading account and the limits that bind it. None for a limit that the firm requires refuses entries."""

    login = models.ForeignKey(Login, models.PROTECT, related_name="accounts")
    broker_account_id = models.BigIntegerField()
    name = models.CharField(max_length=64)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.UNKNOWN)
    size = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        choices=[(size, f"{size}K") for size in SIZES],
        help_text="thousands of dollars; with the stage it decides which rules bind",
    )
    has_daily_loss_limit = models.BooleanField(
        "daily loss limit chosen", default=False, help_text="bought with the account (its name shows DLL)"
    )
    selected = models.BooleanField(default=False, help_text="the account that commands use without --account")
    enabled = models.BooleanField(default=True, help_text="watched and traded by us")
    can_trade = models.BooleanField(default=False, help_text="as the venue says")
    trading_state = models.CharField(max_length=16, choices=TradingState, default=TradingState.ACTIVE)
    state_reason = models.CharField(max_length=300, blank=True)
    state_until = models.DateTimeField(
        null=True, blank=True, help_text="when a lock ends by itself; empty: by a person"
    )
    lock = models.CharField(
        max_length=16,
        choices=Lock,
        blank=True,
        default=Lock.NONE,
        editable=False,
        help_text="the limit reached",
    )
    lock_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when the firm resets that limit; empty: never by itself"
    )
    armed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="real orders need it")
    armed_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when it disarms by itself; empty: when a person does"
    )
    bracket_mode = models.CharField(
        max_length=16,
        choices=BracketMode,
        default=BracketMode.UNKNOWN,
        help_text="as the platform shows it: Settings, Risk Settings. Real orders need Auto OCO Brackets",
    )
    permit_missing = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="what was told to be missing before entries may leave",
    )
    flatten_requested_at = models.DateTimeField(null=True, blank=True, help_text="set until the account is seen flat")
    flatten_reason = models.CharField(max_length=200, blank=True)
    flat_seen_at = models.DateTimeField(null=True, blank=True, help_text="machine time of the first read that was flat")

    start_balance = fields.dollars(null=True, blank=True, help_text="balance at the start of the account, dollars")
    maximum_loss = fields.dollars(null=True, blank=True, help_text="Maximum Loss Limit in dollars; required to trade")
    daily_loss_limit = fields.dollars(null=True, blank=True, help_text="optional, dollars below the session's start")
    max_lots = models.DecimalField(
        max_digits=6, decimal_places=1, null=True, blank=True, help_text="mini-equivalents; required to trade"
    )
    margin_percent = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="most margin of everything open and working, percent of equity; empty: no such rule",
    )
    product_percent = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="most lots of one product, percent of max lots; empty: no such rule",
    )
    group_percent = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="most lots of products that move together, percent of max lots; empty: no such rule",
    )
    taper_percent = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="sizes shrink in proportion once less than this percent of the maximum loss is left; empty: never",
    )
    sharing = models.CharField(
        "two strategies on one contract",
        max_length=8,
        choices=Sharing,
        default=Sharing.DENY,
        help_text="when a second strategy wants a contract that another one has orders or a position in",
    )
    max_strategies = models.PositiveSmallIntegerField(
        "most strategies at work",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="strategies that may have orders or positions at the same time; empty is no limit",
    )
    highest_eod_balance = fields.dollars(null=True, blank=True, help_text="highest balance at a session's end so far")

    balance = fields.dollars(null=True, blank=True, help_text="realised cash, dollars")
    balance_at = models.DateTimeField(null=True, blank=True)
    balance_read_at = models.DateTimeField(null=True, blank=True, help_text="machine time of the last read")
    session_date = models.DateField(null=True, blank=True, help_text="the session that session_start_balance is of")
    session_start_balance = fields.dollars(null=True, blank=True)
    reconciled_at = models.DateTimeField(null=True, blank=True, help_text="machine time; no entry before the first")
    history = HistoricalRecords(
        excluded_fields=[
            "balance",
            "balance_at",
            "balance_read_at",
            "reconciled_at",
            "session_start_balance",
            "flat_seen_at",
            "permit_missing",
        ]
    )

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint("login", "broker_account_id", name="account_once_a_login"),
            models.UniqueConstraint("selected", name="account_one_selected", condition=Q(selected=True)),
            models.CheckConstraint(
                name="account_limits_positive",
                condition=(Q(maximum_loss__isnull=True) | Q(maximum_loss__gt=0))
                & (Q(daily_loss_limit__isnull=True) | Q(daily_loss_limit__gt=0))
                & (Q(max_lots__isnull=True) | Q(max_lots__gt=0)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def venue(self) -> str:
        return self.login.venue

    @property
    def is_real(self) -> bool:
        """Return whether orders of this account are real ones."""
        return self.login.venue == Venue.PROJECTX

    @property
    def day_profit(self) -> Decimal | None:
        """Return realised dollars since the session began, None while unknown."""
        if self.balance is None or self.session_start_balance is None:
            return None
        return Decimal(self.balance - self.session_start_balance)


class Balance(models.Model):
    """What an account was worth at a moment."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="balances")
    at = models.DateTimeField(db_index=True)
    session_date = models.DateField()
    balance = fields.dollars(help_text="realised cash")
    open_profit = fields.dollars(help_text="of open positions at the newest price")
    floor = fields.dollars(null=True, help_text="equity at which the maximum loss is reached")
    end_of_day = models.BooleanField(default=False)
    booked = models.DecimalField(
        max_digits=18,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="of an end of day: what all fills booked until then had changed the balance by",
    )

    class Meta:
        ordering = ("-at",)
        indexes = [models.Index(fields=["account", "-at"])]
        constraints = [
            models.UniqueConstraint(
                "account", "session_date", name="balance_one_end_of_day", condition=Q(end_of_day=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.at:%Y-%m-%d %H:%M} {self.equity}"

    @property
    def equity(self) -> Any:
        return self.balance + self.open_profit
