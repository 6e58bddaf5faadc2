"""Who is alive, who holds what, and what the venue last said."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from tradingbot.models.accounts import Account, Login


class Heartbeat(models.Model):
    """The last sign of life of a process or queue, in the machine's time."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField(db_default=Now())
    host = models.CharField(max_length=120, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """An exclusive right for a time; every write under it carries the fence, which grows with each holder."""

    name = models.CharField(max_length=120, primary_key=True)
    holder = models.CharField(max_length=120)
    fence = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(help_text="machine time")

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """What the venue last said of an account: positions, orders in flight, fills since the session's start."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="snapshot")
    started_at = models.DateTimeField(null=True, help_text="machine time at which the read began")
    market_at = models.DateTimeField(null=True, help_text="market time at which the read began")
    data = models.BinaryField(default=bytes, help_text="operations.snapshots")

    def __str__(self) -> str:
        return str(self.account)


class ApiMetric(models.Model):
    """Calls to a venue in five minutes, by endpoint and outcome; guard counts its own."""

    SHARED, GUARD = "shared", "guard"

    login = models.ForeignKey(Login, models.CASCADE, related_name="metrics")
    at = models.DateTimeField(help_text="machine time at which the five minutes began")
    endpoint = models.CharField(max_length=60)
    outcome = models.CharField(max_length=24)
    source = models.CharField(max_length=12, default=SHARED, help_text="guard, or all other processes together")
    calls = models.PositiveIntegerField()
    seconds = models.FloatField(help_text="sum of durations")
    slowest = models.FloatField(help_text="seconds")
    buckets = models.JSONField(default=list, help_text="calls by duration, operations.latencies")

    class Meta:
        ordering = ("-at", "endpoint")
        constraints = [models.UniqueConstraint("login", "at", "endpoint", "outcome", "source", name="api_metric_once")]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.outcome} {self.calls}"


class Sample(models.Model):
    """What something had counted at a moment: the cache of bars since ever, a stream since its start."""

    at = models.DateTimeField(help_text="machine time", db_index=True)
    login = models.ForeignKey(Login, models.CASCADE, null=True, blank=True, related_name="samples")
    name = models.CharField(max_length=40)
    value = models.FloatField()

    class Meta:
        ordering = ("-at", "name")

    def __str__(self) -> str:
        return f"{self.name} {self.value:g}"
