"""Calls to the venue are counted beside the way of an order, kept as rows and told by command and page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from brokers.base import Lane
from brokers.projectx import Call, Outcome
from tests.factories import LoginFactory
from tests.tradingbot.browsing import words
from tradingbot.models import ApiMetric, Sample
from tradingbot.operations import api_figures, budgets, latencies, metrics
from tradingbot.operations.tallies import Tally
from tradingbot.queues import redis

PLACE, QUERY = "/api/Order/place", "/api/Order/v2/query"


@pytest.fixture(autouse=True)
def count_anew(broker_queues):
    budgets.of.cache_clear()
    yield
    metrics.settle()
    budgets.of.cache_clear()


def call(endpoint: str, seconds: float, outcome: Outcome = Outcome.DONE, lane: Lane = Lane.PLACE) -> Call:
    return Call(endpoint, lane, seconds, outcome, 200, None)


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 0.02), (0.98, 0.02), (0.99, 0.1), (1.0, 0.085)],
    ids=["half", "98 of 100", "99 of 100", "all"],
)
def test_a_quantile_is_the_bound_of_its_bucket_and_never_above_the_slowest(share: float, expected: float):
    buckets = latencies.nothing()
    for seconds in [0.011] * 98 + [0.083, 0.085]:
        buckets[latencies.bucket(seconds)] += 1
    slowest = 0.085 if share == 1.0 else 9.0
    assert latencies.quantile(buckets, share, slowest=slowest) == expected


def test_what_took_longer_than_every_bound_is_told_by_the_slowest():
    buckets = latencies.nothing()
    buckets[latencies.bucket(40.0)] += 1
    assert latencies.quantile(buckets, 0.99, slowest=40.0) == 40.0
    assert latencies.quantile(latencies.nothing(), 0.99, slowest=0.0) is None


def test_calls_become_rows_and_figures(db):
    login = LoginFactory()
    observe = metrics.observer(login.pk)
    for one in (call(PLACE, 0.031), call(PLACE, 0.2, Outcome.UNKNOWN), call(QUERY, 0.004, lane=Lane.RECONCILE)):
        observe(one)
    assert metrics.settle()
    assert metrics.snapshot() == 3
    assert metrics.snapshot() == 3  # the same rows again
    place, query = api_figures.calls(within=timedelta(hours=1))
    assert (place.endpoint, place.calls, place.error_rate, place.slowest) == (PLACE, 2, 0.5, 0.2)
    assert (place.p50, place.p99, query.p99) == (0.05, 0.2, 0.004)
    assert ApiMetric.objects.filter(source="shared").count() == 3
    assert {sample.name for sample in Sample.objects.all()} >= {"cache.memory", "cache.database", "cache.venue"}


def test_the_budget_page_is_told_by_whoever_counts_and_nothing_that_was_never_sent(panel, monkeypatch):
    monkeypatch.setattr("tradingbot.clock.clock.anchor", None)
    login = LoginFactory()
    observe = metrics.observer(login.pk)
    for outcome in (Outcome.DONE, Outcome.REFUSED, Outcome.OVER_BUDGET):
        budgets.of(login.pk).take(Lane.PLACE, wait=False)
        observe(call(PLACE, 0.03, outcome))
    assert metrics.settle()
    assert "Entries 2 128" in words(panel.get("/admin/budgets/"))


def test_without_redis_nothing_waits_and_nothing_fails(db, settings):
    login = LoginFactory()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    for kept in (metrics._redis, metrics._count, budgets.of):
        kept.cache_clear()
    try:
        metrics.observer(login.pk)(call(PLACE, 0.03))
        assert metrics.settle(5)
    finally:
        for kept in (metrics._redis, metrics._count):
            kept.cache_clear()


def test_guard_adds_its_calls_to_rows_of_its_own(db):
    login = LoginFactory()
    tally = Tally(ApiMetric.GUARD)
    observe = tally.observer(login.pk)
    observe(call(QUERY, 0.02))
    assert tally.flush() == 1
    observe(call(QUERY, 0.3))
    observe(call(QUERY, 0.1, Outcome.READ_FAILED))
    assert (tally.flush(), tally.flush()) == (2, 0)
    done = ApiMetric.objects.filter(source="guard", outcome="done")
    assert sum(row.calls for row in done) == 2
    assert max(row.slowest for row in done) == 0.3
    (figures,) = api_figures.calls(within=timedelta(hours=1))
    assert (figures.calls, figures.errors) == (3, 1)


def test_what_guard_could_not_write_is_written_later(transactional_db):
    login = LoginFactory()
    tally = Tally(ApiMetric.GUARD)
    tally.observer(login.pk)(call(QUERY, 0.02))
    with transaction.atomic():
        transaction.set_rollback(True)  # PostgreSQL takes nothing any more in this transaction
        with pytest.raises(transaction.TransactionManagementError):
            tally.flush()
    assert tally.flush() == 1
    assert ApiMetric.objects.get().calls == 1


def test_the_page_tells_calls_cache_and_streams(panel):
    text = words(panel.get("/admin/figures/"))
    assert "No call to the venue has been counted" in text
    assert "No login is enabled yet" in text
    login = LoginFactory()
    buckets = latencies.nothing()
    buckets[latencies.bucket(0.04)] = 10
    ApiMetric.objects.create(
        login=login, at=Now(), endpoint=PLACE, outcome="done", calls=10, seconds=0.4, slowest=0.045, buckets=buckets
    )
    redis().hset("bars:reads", mapping={"memory": 8, "database": 1, "venue": 1})
    text = words(panel.get("/admin/figures/"))
    assert f"{PLACE} 10 none 45 ms 45 ms 45 ms done 10" in text
    assert "90.0 % of the days of bars were there" in text
    assert "paper polling" in text
