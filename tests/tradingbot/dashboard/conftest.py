from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

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
def panel(db) -> Client:
    """A browser in which a superuser is logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def onlooker(db) -> Client:
    """A browser of a staff member without any permission."""
    client = Client()
    client.force_login(User.objects.create_user("otto", is_staff=True))
    return client
