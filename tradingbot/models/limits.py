"""What a person allows one strategy, in typed columns; empty means that the rule is off."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from market.sessions import NEW_YORK
from risk import windows
from tradingbot.models import fields


class StrategyLimits(models.Model):
    """The limits of a strategy beside those of its account, and whether one of them stopped it."""

    max_positions = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="positions and working entries at once"
    )
    max_entries_a_day = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="in a session; a pair of entries is one"
    )
    max_signals_a_day = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="in a session, denied ones too"
    )
    min_reward_risk = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="target over stop, each as a distance from the entry; an entry without a target is refused",
    )
    max_risk_dollars = fields.dollars(
        null=True,
        blank=True,
        help_text="loss of one trade at its stop, with costs and slippage; reduces the size",
    )
    max_stop_points = fields.price(null=True, blank=True, help_text="distance from the entry to its stop, points")
    entry_windows = models.CharField(
        max_length=120, blank=True, help_text="for example 09:30-11:00, 14:00-15:30; empty: whenever the account may"
    )
    entry_zone = models.CharField(
        max_length=40, blank=True, help_text="time zone of the windows; empty: America/New_York"
    )
    daily_loss_share = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="percent of the account's daily loss limit that it may use; refused on an account without one",
    )
    daily_loss_dollars = fields.dollars(
        null=True, blank=True, help_text="loss in a session at which it stands still until the next one"
    )
    drawdown_dollars = fields.dollars(
        null=True, blank=True, help_text="fall from its best total at which it stands still until a person releases it"
    )
    loss_streak = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="losing trades in a row before it pauses"
    )
    cooldown_minutes = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="the pause after such a streak, from its last exit; empty: an hour",
    )
    buffer_dollars = fields.dollars(
        null=True, blank=True, help_text="room to the maximum loss below which its size is 1"
    )
    stopped_reason = models.CharField(max_length=200, blank=True, editable=False, help_text="until a person releases")
    stopped_at = models.DateTimeField(null=True, blank=True, editable=False)
    results_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="the drawdown counts trades from here on; empty: all"
    )

    LIMITS = (
        "max_positions",
        "max_entries_a_day",
        "max_signals_a_day",
        "min_reward_risk",
        "max_risk_dollars",
        "max_stop_points",
        "entry_windows",
        "entry_zone",
        "daily_loss_share",
        "daily_loss_dollars",
        "drawdown_dollars",
        "loss_streak",
        "cooldown_minutes",
        "buffer_dollars",
    )

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                name="%(class)s_limits_positive",
                condition=(Q(max_risk_dollars__isnull=True) | Q(max_risk_dollars__gt=0))
                & (Q(max_stop_points__isnull=True) | Q(max_stop_points__gt=0))
                & (Q(daily_loss_dollars__isnull=True) | Q(daily_loss_dollars__gt=0))
                & (Q(drawdown_dollars__isnull=True) | Q(drawdown_dollars__gt=0))
                & (Q(buffer_dollars__isnull=True) | Q(buffer_dollars__gt=0)),
            )
        ]

    def windows(self) -> windows.Windows:
        """Return when it may enter. Raises ValueError that says how a window or a zone is written."""
        return windows.parse(self.entry_windows, self.entry_zone or NEW_YORK)

    def clean_limits(self) -> None:
        """Raise ValidationError for a window or zone that cannot be read, and for an amount that is not positive."""
        wrong: dict[str, str] = {}
        try:
            self.windows()
        except ValueError as error:
            wrong["entry_windows"] = str(error)
        for name in ("max_risk_dollars", "max_stop_points", "daily_loss_dollars", "drawdown_dollars", "buffer_dollars"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                wrong[name] = "write an amount above 0, or leave it empty to switch the rule off"
        if wrong:
            raise ValidationError(wrong)
