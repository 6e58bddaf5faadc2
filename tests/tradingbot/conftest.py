"""What panel, API, commands and operations are tried on: a standing clock, a traded day, an account at a venue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client

from tests.factories import NOW
from tests.tradingbot.days import Day, traded
from tests.tradingbot.operations.ledgers import open_desk
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.clock import Anchor, clock
from tradingbot.operations import venues


@pytest.fixture
def standing_clock(monkeypatch, tmp_path) -> None:
    """Market time stands at 09:20 New York until `clock.start`, then it runs at 30x."""
    monkeypatch.setattr(clock, "anchor", Anchor(NOW, 30.0))
    monkeypatch.setattr(clock, "_file", tmp_path / "clock.json")
    monkeypatch.setattr(clock, "_origin", None)


@pytest.fixture
def database(transactional_db) -> str:
    """The address of the test's own database, for another process."""
    parameters = connections["default"].get_connection_params()
    host, port = parameters.get("host", "localhost"), parameters.get("port", 5432)
    user, password = parameters.get("user", ""), parameters.get("password", "")
    return f"postgres://{user}:{password}@{host}:{port}/{parameters['dbname']}"


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


@pytest.fixture
def viewer(db) -> User:
    """A staff member who may look at everything and change nothing."""
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return viewer


@pytest.fixture
def looking(viewer) -> Client:
    """The browser of somebody who may look at everything and change nothing."""
    client = Client()
    client.force_login(viewer)
    return client


@pytest.fixture
def desk(db) -> Iterator[Desk]:
    """An account that was read once, at a venue whose price has stood for a minute."""
    desk = open_desk()
    desk.minute(0, 0, 0, 0)
    desk.look()
    yield desk
    venues.forget()
