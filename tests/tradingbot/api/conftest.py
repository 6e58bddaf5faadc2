from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.factories import NOW
from tests.tradingbot.days import Day, traded
from tradingbot.clock import Anchor, clock


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch, tmp_path):
    """Market time stands at 09:20 New York."""
    monkeypatch.setattr(clock, "anchor", Anchor(NOW, 30.0))
    monkeypatch.setattr(clock, "_file", tmp_path / "clock.json")
    monkeypatch.setattr(clock, "_origin", None)


@pytest.fixture
def day(db) -> Day:
    return traded()


@pytest.fixture
def api(db) -> APIClient:
    """A client with the token of a staff member."""
    client = APIClient()
    token = Token.objects.create(user=User.objects.create_user("ada", is_staff=True))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token.key}")
    return client
