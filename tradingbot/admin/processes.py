"""Who is alive, who holds which right, and how the venue answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.safestring import SafeString

from brokers.projectx import Outcome
from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import ApiMetric, Heartbeat, Lease, Sample
from tradingbot.operations import heartbeats, latencies
from tradingbot.templatetags import exchange

_SILENT = timedelta(seconds=heartbeats.SILENT_AFTER)


def _age(row: Any) -> SafeString:
    return exchange.badge(exchange.age(row.age), "good" if row.age < _SILENT else "bad")


def _outcome(row: ApiMetric) -> SafeString:
    return exchange.badge(row.outcome, "good" if row.outcome == Outcome.DONE else "warn")


def _milliseconds(seconds: float) -> SafeString:
    return exchange.number(exchange.milliseconds(seconds))


def _within(row: ApiMetric) -> SafeString:
    seconds = latencies.quantile(row.buckets, 0.99, slowest=row.slowest)
    return exchange.number("–") if seconds is None else _milliseconds(seconds)


PID = columns.column("pid_shown", "pid", lambda row: row.pid, order="pid")
AGE = columns.column("age", "last sign of life", _age, order="at")
OUTCOME = columns.column("outcome_word", "outcome", _outcome, order="outcome")
MEAN = columns.column("num_mean", "mean", lambda row: _milliseconds(row.seconds / row.calls))
WITHIN = columns.column("num_within", "99 % within", _within)
SLOWEST = columns.column("num_slowest", "slowest", lambda row: _milliseconds(row.slowest), order="slowest")


@admin.register(Heartbeat)
class HeartbeatAdmin(FactAdmin):
    list_display = ("name", AGE, "at", "host", PID, "note")
    titles = {"at": "machine time"}
    fields = (("name", AGE, "at"), ("host", PID), "note")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Heartbeat]:
        age = ExpressionWrapper(Now() - F("at"), output_field=DurationField())
        rows: QuerySet[Heartbeat] = super().get_queryset(request).annotate(age=age)
        return rows


@admin.register(Lease)
class LeaseAdmin(FactAdmin):
    list_display = ("name", "holder", "fence", "expires_at")
    fields = (("name", "holder"), ("fence", "expires_at"))


@admin.register(ApiMetric)
class ApiMetricAdmin(FactAdmin):
    list_display = ("at", "login", "endpoint", OUTCOME, "calls", MEAN, WITHIN, SLOWEST, "source")
    list_select_related = ("login",)
    list_filter = ("login", "endpoint", "outcome", "source")
    titles = {"at": "five minutes from (machine time)"}
    fields = (("at", "login"), ("endpoint", OUTCOME), ("calls", MEAN, WITHIN, SLOWEST), "source")


@admin.register(Sample)
class SampleAdmin(FactAdmin):
    list_display = ("at", "login", "name", "value")
    list_select_related = ("login",)
    list_filter = ("login", "name")
    titles = {"at": "machine time"}
    fields = (("at", "login"), ("name", "value"))
