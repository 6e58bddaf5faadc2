"""What the hubs told us, word for word."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from tradingbot.models.accounts import Login


class StreamEvent(models.Model):
    """One event of a user hub as it came, kept for a week; what it changed stands in orders and fills."""

    login = models.ForeignKey(Login, models.CASCADE, related_name="stream_events")
    fence = models.BigIntegerField(help_text="of the stream's lease")
    received_at = models.DateTimeField(db_default=Now(), editable=False, help_text="machine time")
    target = models.CharField(max_length=40)
    record = models.TextField(help_text="the whole message")
    problem = models.CharField(max_length=200, blank=True, help_text="why it could not be read")

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["received_at"], name="stream_event_received")]

    def __str__(self) -> str:
        return f"{self.target} #{self.pk}"
