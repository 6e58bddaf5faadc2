"""What is kept for a time only."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models.functions import Now

from tradingbot.models import ApiMetric, Notification, Sample
from tradingbot.operations import bars

METRICS_KEPT = timedelta(days=7)
NOTIFICATIONS_KEPT = timedelta(days=90)


def clean_up(*, now: datetime) -> dict[str, int]:
    """Delete figures after 7 days, bars of seconds after 30, messages after 90. Returns how many of each."""
    messages = Notification.objects.exclude(status=Notification.Status.PENDING)
    return {
        "metrics": ApiMetric.objects.filter(at__lt=Now() - METRICS_KEPT).delete()[0],
        "samples": Sample.objects.filter(at__lt=Now() - METRICS_KEPT).delete()[0],
        "seconds": bars.forget(now=now),
        "notifications": messages.filter(at__lt=now - NOTIFICATIONS_KEPT).delete()[0],
    }
