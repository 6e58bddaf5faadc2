"""Who may do what over the API: what the panel lets them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.forms.models import model_to_dict
from rest_framework.test import APIClient

from tradingbot.models import Account, Decision, Order, OverallState, Strategy

PAGES = {
    "accounts/": "view_account",
    "accounts/{account}/": "view_account",
    "accounts/{account}/permit/": "view_account",
    "trading-state/": "view_account",
    "positions/": "view_position",
    "orders/": "view_order",
    "trades/": "view_trade",
    "decisions/": "view_decision",
    "strategies/overnight_range/": "view_strategy",
    "performance/?account=50KTC-1001": "view_dayresult",
}
ENTRY = {"symbol": "MNQ", "side": "buy", "quantity": 1, "type": "limit", "price": "19990", "stop_loss": "19970"}
ACTS: dict[str, tuple[dict[str, Any], str]] = {
    "orders/": (ENTRY, "add_order"),
    "orders/{target}/cancel/": ({}, "change_order"),
    "strategies/overnight_range/start/": ({}, "change_strategy"),
    "strategies/overnight_range/stop/": ({}, "change_strategy"),
    "emergency-stop/": ({"confirm": "flatten all"}, "change_account"),
    "trading-state/": ({"trading_state": "halted", "reason": "news"}, "change_account"),
    "accounts/{account}/trading-state/": ({"trading_state": "active", "override": "50KTC-1001"}, "change_account"),
}


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def staff_with(*permissions: str) -> APIClient:
    user = User.objects.create_user("sam", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return client_of(user)


def address(path: str, day) -> str:
    return "/api/v1/" + path.format(account=day.account.pk, target=day.target.pk)


def written() -> list[Any]:
    return [
        Decision.objects.count(),
        *map(model_to_dict, (*Order.objects.order_by("pk"), Account.objects.get(), OverallState.objects.get())),
        Strategy.objects.values("enabled").get(),
    ]


@pytest.mark.parametrize("path", PAGES)
def test_who_may_only_look_reads_everything(day, viewer, path):
    assert client_of(viewer).get(address(path, day)).status_code == 200


@pytest.mark.parametrize("path", ACTS)
def test_who_may_only_look_changes_nothing(day, viewer, path):
    Account.objects.update(trading_state="halted", lock="daily_loss")
    before = written()
    response = client_of(viewer).post(address(path, day), ACTS[path][0], format="json")
    assert response.status_code == 403, response.json()
    assert written() == before


@pytest.mark.parametrize("path", PAGES)
def test_staff_without_a_permission_sees_nothing(day, path):
    assert staff_with().get(address(path, day)).status_code == 403


@pytest.mark.parametrize(("path", "permission"), PAGES.items())
def test_one_permission_shows_what_it_names(day, path, permission):
    assert staff_with(permission).get(address(path, day)).status_code == 200


@pytest.mark.parametrize(("path", "permission"), [(path, act[1]) for path, act in ACTS.items()])
def test_one_permission_does_what_it_names(day, path, permission):
    response = staff_with(permission).post(address(path, day), ACTS[path][0], format="json")
    assert response.status_code in (200, 201, 202, 422), response.json()  # 422: the gate was asked


def test_whoever_may_change_an_account_may_look_at_it_as_in_the_panel(day):
    assert staff_with("change_account").get("/api/v1/accounts/").status_code == 200


def test_permissions_without_being_staff_are_none(day, viewer):
    User.objects.filter(pk=viewer.pk).update(is_staff=False)
    assert client_of(viewer).get("/api/v1/accounts/").status_code == 403


def test_passwords_cannot_be_guessed_for_a_token(db, broker_queues):
    User.objects.create_superuser("ada", password="correct horse")

    def attempt(password: str, **headers: str) -> int:
        body = {"username": "ada", "password": password}
        return APIClient().post("/api/v1/token/", body, **headers).status_code

    assert [attempt(f"guess {n}") for n in range(6)] == [400] * 5 + [429]
    assert attempt("correct horse") == 429
    assert attempt("guess 7", HTTP_X_FORWARDED_FOR="10.1.2.3") == 429  # whatever a client writes there
    assert attempt("correct horse", REMOTE_ADDR="10.1.2.3") == 200
    cache.clear()  # what every web process counts in
    assert attempt("correct horse") == 200
