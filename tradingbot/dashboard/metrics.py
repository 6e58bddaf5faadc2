"""Figures for Prometheus, read from PostgreSQL when asked for: they are those of all processes."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from redis import RedisError

from tradingbot.clock import now
from tradingbot.models import Account, ApiMetric, BarDay, Login, Notification, Order
from tradingbot.operations import breakers, heartbeats
from tradingbot.queues import waiting


def metrics(request: HttpRequest) -> HttpResponse:
    """Return counts and ages; no names or numbers of accounts."""
    registry = CollectorRegistry()
    registry.register(_Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Figures:
    def collect(self) -> Iterator[Metric]:
        yield _gauge("heartbeat_age_seconds", "machine time since the last sign of life", "process", _ages())
        yield _gauge("queue_waiting", "messages that wait", "queue", _waiting())
        yield _gauge("accounts", "accounts by trading state", "state", _by(Account, "trading_state"))
        yield _gauge("orders", "orders by status, all sessions", "status", _by(Order, "status"))
        yield _gauge("notifications", "notifications by status", "status", _by(Notification, "status"))
        yield _gauge("bar_age_seconds", "market time since the newest closed minute", "symbol", _bar_ages())
        yield _gauge("circuit_open", "0 closed, 1 open or half open", "login", _breakers())
        yield from _calls()


def _gauge(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    gauge = GaugeMetricFamily(f"tradingbot_{name}", text, labels=[label])
    for value, figure in values.items():
        gauge.add_metric([value], figure)
    return gauge


def _ages() -> dict[str, float]:
    return {sign.name: sign.age for sign in heartbeats.overview()}


def _waiting() -> dict[str, float]:
    try:
        return {**waiting()}
    except RedisError:
        return {}


def _breakers() -> dict[str, float]:
    stands = {login.name: breakers.state(login) for login in Login.objects.filter(enabled=True)}
    return {name: float(state is not breakers.State.CLOSED) for name, state in stands.items() if state is not None}


def _by(model: type[Account | Order | Notification], field: str) -> dict[str, float]:
    return dict(model._default_manager.values_list(field).annotate(Count("pk")).order_by())


def _bar_ages() -> dict[str, float]:
    newest = BarDay.objects.filter(contract__active=True).order_by("contract__symbol", "-trade_date")
    rows = newest.distinct("contract__symbol").values_list("contract__symbol", "covered_until")
    return {symbol: (now() - until).total_seconds() for symbol, until in rows}


def _calls() -> Iterator[Metric]:
    calls = CounterMetricFamily("tradingbot_api_calls", "calls to the venue", labels=["endpoint", "outcome"])
    seconds = CounterMetricFamily("tradingbot_api_seconds", "time spent in them", labels=["endpoint", "outcome"])
    rows = ApiMetric.objects.values_list("endpoint", "outcome").annotate(Sum("calls"), Sum("seconds")).order_by()
    for endpoint, outcome, count, spent in rows:
        calls.add_metric([endpoint, outcome], count)
        seconds.add_metric([endpoint, outcome], spent)
    yield calls
    yield seconds
