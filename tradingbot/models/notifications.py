"""Messages to the trader: rows first, delivered by a worker."""

from __future__ import annotations

from django.db import models

from tradingbot.models.accounts import Account


class Notification(models.Model):
    """One message; sent to the configured channel or, without one, to the log."""

    class Kind(models.TextChoices):
        ORDER = "order", "order"
        FILL = "fill", "fill"
        POSITION = "position", "position"
        STRATEGY = "strategy", "strategy"
        RISK = "risk", "risk"
        SUMMARY = "summary", "daily summary"
        SYSTEM = "system", "system"

    class Level(models.TextChoices):
        INFO = "info", "info"
        WARNING = "warning", "warning"
        ALERT = "alert", "alert"

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        SENT = "sent", "sent"
        LOGGED = "logged", "logged (no channel configured)"
        FAILED = "failed", "failed"

    kind = models.CharField(max_length=16, choices=Kind)
    level = models.CharField(max_length=16, choices=Level, default=Level.INFO)
    account = models.ForeignKey(Account, models.CASCADE, null=True, blank=True, related_name="notifications")
    title = models.CharField(max_length=200)
    body = models.CharField(max_length=1000, blank=True)
    facts = models.JSONField(default=dict, blank=True, help_text="name and value pairs, shown as fields")
    key = models.CharField(max_length=120, null=True, blank=True, unique=True, help_text="said once for each key")
    at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True, help_text="machine time of the next attempt")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="machine time")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=["status", "not_before"])]

    def __str__(self) -> str:
        return self.title
