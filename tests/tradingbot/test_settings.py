"""What the settings make of the environment."""

from __future__ import annotations

import runpy
import sys
from typing import Any

import pytest
from django.conf import settings


@pytest.fixture
def database(monkeypatch):
    """Return the database's settings for an address."""

    def read(address: str) -> dict[str, Any]:
        monkeypatch.setenv("DATABASE_URL", address)
        return runpy.run_path(str(settings.ROOT / "tradingbot" / "settings.py"))["DATABASES"]["default"]

    return read


def test_what_the_address_of_the_database_asks_for_holds(database):
    options = database("postgres://me:secret@db:5433/bot?sslmode=require&options=-c%20work_mem%3D8MB")["OPTIONS"]
    assert options["sslmode"] == "require"
    assert options["options"].endswith("-c work_mem=8MB")
    assert "statement_timeout=5s" in options["options"]
    assert options["connect_timeout"] == 5


def test_statements_are_prepared_only_where_we_ask_for_it(database):
    assert database("postgres://me@db/bot?prepare_threshold=1")["OPTIONS"]["prepare_threshold"] == sys.maxsize
