"""Guard as a process against a venue behind a socket, and against the venue in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from tests.tradingbot.guard.service import Service
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.operations import venues


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """An account that may trade, at a venue in this process, at 10:00 New York of an ordinary Wednesday."""
    yield Desk.open()
    venues.forget()


@pytest.fixture
def database(transactional_db: None) -> str:
    """The address of the test's own database."""
    parameters = connections["default"].get_connection_params()
    host, port = parameters.get("host", "localhost"), parameters.get("port", 5432)
    user, password = parameters.get("user", ""), parameters.get("password", "")
    return f"postgres://{user}:{password}@{host}:{port}/{parameters['dbname']}"


@pytest.fixture
def service(database: str, tmp_path) -> Iterator[Service]:
    """A desk whose venue is also served over HTTP, and the means to start guard on it."""
    with Service.open(database, tmp_path) as opened:
        yield opened
    venues.forget()
