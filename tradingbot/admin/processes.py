"""Who is alive, who holds which right, and how the venue answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.safestring import SafeString

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import ApiMetric, Heartbeat, Lease
from tradingbot.operations import heartbeats
from tradingbot.templatetags import exchange

_SILENT = timedelta(seconds=heartbeats.SILENT_AFTER)


def _age(row: Any) -> SafeString:
    return exchange.badge(exchange.age(row.age), "good" if row.age < _SILENT else "bad")


def _outcome(row: ApiMetric) -> SafeString:
    return exchange.badge(row.outcome, "good" if row.outcome == "ok" else "warn")


def _milliseconds(seconds: float) -> SafeString:
    return exchange.number(f"{1000 * seconds:,.0f} ms")


AGE = columns.column("age", "last sign of life", _age, order="at")
OUTCOME = columns.column("outcome_word", "outcome", _outcome, order="outcome")
MEAN = columns.column("num_mean", "mean", lambda row: _milliseconds(row.seconds / row.calls))
SLOWEST = columns.column("num_slowest", "slowest", lambda row: _milliseconds(row.slowest), order="slowest")


@admin.register(Heartbeat)
class HeartbeatAdmin(FactAdmin):
    list_display = ("name", AGE, "at", "host", "pid", "note")
    titles = {"at": "machine time"}
    fields = (("name", AGE, "at"), ("host", "pid"), "note")

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
    list_display = ("at", "login", "endpoint", OUTCOME, "calls", MEAN, SLOWEST)
    list_select_related = ("login",)
    list_filter = ("login", "endpoint", "outcome")
    titles = {"at": "five minutes from (machine time)"}
    fields = (("at", "login"), ("endpoint", OUTCOME), ("calls", MEAN, SLOWEST))
