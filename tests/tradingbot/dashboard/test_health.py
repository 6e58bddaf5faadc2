from __future__ import annotations

import pytest
from django.db import connection

from tests.factories import NOW
from tradingbot.dashboard import health, status
from tradingbot.models import Account, ApiMetric, BarDay, Heartbeat
from tradingbot.operations import heartbeats


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """This process has not yet seen that the migrations are applied."""
    monkeypatch.setattr(health, "_migrated", False)


@pytest.fixture
def alive(day) -> None:
    for name in status.REQUIRED:
        heartbeats.beat(name)


def test_health_is_for_everybody_and_soon_one_query(client, db, django_assert_num_queries):
    assert client.get("/health").json() == {"ok": True, "problem": ""}
    with django_assert_num_queries(1):
        assert client.get("/health").status_code == 200


def test_a_migration_that_waits_is_no_health(client, db):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tradingbot'")
    for page in ("/health", "/status"):
        response = client.get(page)
        assert response.status_code == 503
        assert "not applied: run manage.py migrate" in response.content.decode()


def test_status_is_good_when_everything_answers(client, alive):
    response = client.get("/status")
    report = response.json()
    assert (response.status_code, report["ok"], report["missing"]) == (200, True, [])
    assert (report["database"], report["redis"], report["session"]) == (True, True, "2026-11-18")
    assert report["trading_states"] == {"active": 1}
    assert report["orders"] == {"working": 2}
    assert report["streams"] == {"paper": {"state": "polling", "problems": [], "data_age_seconds": None}}
    assert set(report["queues"]) == {"critical", "high", "normal", "low", "background"}


def test_status_names_what_is_missing(client, alive):
    Heartbeat.objects.filter(name="worker-high").delete()
    Account.objects.update(reconciled_at=None)
    BarDay.objects.update(covered_until=NOW.replace(hour=13))
    response = client.get("/status")
    assert response.status_code == 503
    assert response.json()["missing"] == [
        "worker-high: never gave a sign of life",
        "MNQ: no closed bar for 3600 s",
        "1 account(s) not reconciled with the venue",
    ]


def test_status_says_that_redis_is_gone(client, alive, settings):
    from tradingbot import queues

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    queues.redis.cache_clear()
    try:
        response = client.get("/status")
    finally:
        queues.redis.cache_clear()
    assert (response.status_code, response.json()["redis"]) == (503, False)
    assert response.json()["missing"] == ["Redis does not answer: ConnectionError"]


def test_accounts_are_shown_to_staff_only(client, panel, alive):
    assert "50KTC-1001" not in client.get("/status").content.decode()
    assert "50120.50" not in client.get("/status").content.decode()
    assert panel.get("/status").json()["accounts"][0]["balance"] == "50120.50"


def test_metrics_are_figures_without_names_of_accounts(client, alive, day):
    ApiMetric.objects.create(
        login=day.account.login, at=NOW, endpoint="Order/place", outcome="ok", calls=7, seconds=0.5, slowest=0.1
    )
    text = client.get("/metrics").content.decode()
    assert 'tradingbot_orders{status="working"} 2.0' in text
    assert 'tradingbot_api_calls_total{endpoint="Order/place",outcome="ok"} 7.0' in text
    assert 'tradingbot_bar_age_seconds{symbol="MNQ"} 0.0' in text
    assert "50KTC-1001" not in text
