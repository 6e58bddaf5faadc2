from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.test import APIClient

from tests.factories import NOW
from tests.tradingbot.operations.fillings import Filling
from tradingbot.models import Account, Strategy

LISTS = ("accounts", "positions", "orders", "trades", "decisions", "strategies")


@pytest.mark.parametrize("name", LISTS)
def test_only_staff_may_look(db, name):
    stranger = APIClient()
    assert stranger.get(f"/api/v1/{name}/").status_code == 403
    stranger.force_authenticate(User.objects.create_user("eve"))
    assert stranger.get(f"/api/v1/{name}/").status_code == 403


@pytest.mark.parametrize(
    "path", ["orders/", "orders/1/cancel/", "strategies/overnight_range/start/", "emergency-stop/"]
)
def test_only_staff_may_act(day, path):
    stranger = APIClient()
    stranger.force_authenticate(User.objects.create_user("eve"))
    assert stranger.post(f"/api/v1/{path}", {"confirm": "flatten all"}).status_code == 403
    assert Account.objects.get().flatten_requested_at is None


def test_a_session_needs_the_csrf_token(day):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("ada"))
    assert browser.get("/api/v1/accounts/").status_code == 200
    assert browser.post("/api/v1/emergency-stop/", {"confirm": "flatten all"}).status_code == 403


def test_a_token_is_had_for_name_and_password(day, broker_queues):
    User.objects.create_superuser("ada", password="correct horse")
    client = APIClient()
    assert client.post("/api/v1/token/", {"username": "ada", "password": "wrong"}).status_code == 400
    token = client.post("/api/v1/token/", {"username": "ada", "password": "correct horse"}).json()["token"]
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get("/api/v1/accounts/").status_code == 200


def test_performance_of_an_account_and_of_a_strategy(api, account, contract):
    anna = Strategy.objects.create(name="anna", kind="overnight_range", account=account, symbol="MNQ")
    Filling(account, contract).turn(anna, "100", "150")
    whole = api.get("/api/v1/performance/", {"account": account.name}).json()
    assert (whole["figures"]["net"], whole["figures"]["trades"]) == ("98.78", 1)
    assert (whole["days"][0]["session_date"], whole["strategies"]["anna"]["win_rate"]) == ("2026-11-18", 1.0)
    assert api.get("/api/v1/performance/", {"strategy": "anna"}).json()["figures"] == whole["figures"]
    for wrong in ({}, {"account": "nobody"}, {"account": account.name, "strategy": "anna"}):
        assert api.get("/api/v1/performance/", wrong).status_code == 400
    assert APIClient().get("/api/v1/performance/").status_code == 403


def test_rows_are_written_for_machines(api, day):
    account = api.get("/api/v1/accounts/").json()["results"][0]
    assert (account["name"], account["balance"], account["day_profit"]) == ("50KTC-1001", "50120.50", "120.50")
    position = api.get("/api/v1/positions/").json()["results"][0]
    assert (position["symbol"], position["quantity"], position["average_price"]) == ("MNQ", 2, "20001.25")
    trade = api.get("/api/v1/trades/").json()["results"][0]
    assert (trade["direction"], trade["net"], trade["exit_role"]) == ("long", "18.52", "target")
    decision = api.get("/api/v1/decisions/", {"outcome": "ordered"}).json()["results"][0]
    assert decision["rules"][2]["note"] == "60 MNQ are 6.0 lots"
    strategy = api.get("/api/v1/strategies/overnight_range/").json()
    assert (strategy["enabled"], strategy["parameters"]["size"]) == (True, 3)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_few_queries(api, day, name, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):  # token, count, rows
        assert api.get(f"/api/v1/{name}/").status_code == 200


def test_a_strategy_is_stopped_and_started(api, day):
    assert api.post("/api/v1/strategies/overnight_range/stop/").json()["enabled"] is False
    assert not Strategy.objects.get().enabled
    assert api.post("/api/v1/strategies/overnight_range/start/").json()["enabled"] is True
    assert Strategy.objects.get().enabled
    assert api.post("/api/v1/strategies/unknown/start/").status_code == 404


def test_a_pinned_strategy_says_where_it_is_set(api, day, monkeypatch):
    monkeypatch.setenv("OVERNIGHT_ENABLED", "true")
    response = api.post("/api/v1/strategies/overnight_range/stop/")
    assert response.status_code == 409
    assert "OVERNIGHT_ENABLED" in response.json()["detail"]


@pytest.mark.parametrize("words", ["", "yes", "Flatten all"])
def test_the_emergency_stop_wants_its_words(api, day, words):
    response = api.post("/api/v1/emergency-stop/", {"confirm": words})
    assert (response.status_code, list(response.json())) == (400, ["confirm"])
    assert Account.objects.get().flatten_requested_at is None


def test_the_emergency_stop_asks_for_a_flatten_of_every_account(api, day):
    response = api.post("/api/v1/emergency-stop/", {"confirm": "flatten all"})
    assert (response.status_code, response.json()) == (202, {"accounts": ["50KTC-1001"]})
    account = Account.objects.get()
    assert (account.flatten_requested_at, account.trading_state) == (NOW, "halted")


def test_the_schema_is_complete_and_valid():
    problems = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, file="/dev/null", stderr=problems)
    assert problems.getvalue() == ""


def test_the_documentation_needs_no_other_server(day):
    browser = APIClient()
    assert browser.get("/api/docs/").status_code == 302
    browser.force_login(User.objects.create_user("ada", is_staff=True))
    page = browser.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/" in page
    assert "https://" not in page
