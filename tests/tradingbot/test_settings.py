"""What the settings make of the environment."""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def read() -> dict[str, Any]:
    """Return what the settings are in this environment."""
    return runpy.run_path(str(settings.ROOT / "tradingbot" / "settings.py"))


@pytest.fixture
def database(monkeypatch):
    """Return the database's settings for an address."""

    def of(address: str) -> dict[str, Any]:
        monkeypatch.setenv("DATABASE_URL", address)
        return read()["DATABASES"]["default"]

    return of


def test_what_the_address_of_the_database_asks_for_holds(database):
    options = database("postgres://me:secret@db:5433/bot?sslmode=require&options=-c%20work_mem%3D8MB")["OPTIONS"]
    assert options["sslmode"] == "require"
    assert options["options"].endswith("-c work_mem=8MB")
    assert "statement_timeout=5s" in options["options"]
    assert options["connect_timeout"] == 5


def test_statements_are_prepared_only_where_we_ask_for_it(database):
    assert database("postgres://me@db/bot?prepare_threshold=1")["OPTIONS"]["prepare_threshold"] == sys.maxsize


@pytest.mark.parametrize(
    "address",
    [
        "mysql://me:secret@db/bot",
        "nonsense",
        "postgres://me:secret@db:abc/bot",
        "postgres://me:secret@db:99999/bot",
        "postgres://me:secret@db:5432/",
        "postgres://me:secret@[db/bot",
    ],
)
def test_an_address_that_is_none_is_one_line_without_its_password(database, address):
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL: write postgres://user:password@host:port/name"):
        database(address)


def test_a_database_behind_a_socket_is_taken(database):
    found = database("postgres:///bot?host=/var/run/postgresql")
    assert (found["NAME"], found["HOST"], found["OPTIONS"]["host"]) == ("bot", "", "/var/run/postgresql")


def test_a_misspelt_option_of_the_database_is_named(database):
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL: sslmod is no option of PostgreSQL's; sslmode is$"):
        database("postgres://me@db/bot?sslmod=require")


@pytest.mark.parametrize(
    "address",
    ["http://:secret@h:6379/0", "nonsense", "redis://:secret@h:abc/0", "redis://:secret@h:6379/x", "redis:///0"],
)
def test_an_address_of_redis_that_is_none_is_one_line_without_its_password(monkeypatch, address):
    monkeypatch.setenv("REDIS_URL", address)
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL: write redis://:password@host:port/0$"):
        read()


@pytest.mark.parametrize("address", ["redis://h", "redis://h:6379", "rediss://me:secret@h:6380/3"])
def test_addresses_of_redis_that_are_taken(monkeypatch, address):
    monkeypatch.setenv("REDIS_URL", address)
    assert read()["REDIS_URL"] == address


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WORKER_CRITICAL", "two", "write a whole number from 1 to 20"),
        ("WORKER_HIGH", "0", "write a whole number from 1 to 20"),
        ("TAG_PREFIX", "x" * 21, "write at most 20 letters, digits, - and _"),
        ("TAG_PREFIX", "my bot", "write at most 20 letters, digits, - and _"),
        ("PROJECTX_BASE_URL", "http://api.topstepx.com", "write an https:// address"),
        ("PROJECTX_BASE_URL", "api.topstepx.com", "write an https:// address"),
        ("PROJECTX_BASE_URL", "https://", "write an https:// address"),
        ("VENUE_URL", "venue:8700", "write an http:// or https:// address"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_variable(monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ImproperlyConfigured, match=f"^{variable}(={value})?: {words}"):
        read()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TAG_PREFIX", "desk-2_a"),
        ("PROJECTX_BASE_URL", "https://api.topstepx.com/"),
        ("PROJECTX_BASE_URL", "http://127.0.0.1:8700"),
        ("VENUE_URL", "http://venue.railway.internal:8700"),
    ],
)
def test_a_value_that_is_taken(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert read()[variable] == value


@pytest.mark.parametrize(
    "variable",
    ["ALLOWED_HOSTS", "WEB_HOST", "VENUE_HOST", "VENUE_USER", "VENUE_KEY", "TAG_PREFIX", "PROJECTX_BASE_URL",
     "WORKER_LOW"],
)  # fmt: skip
def test_an_empty_variable_is_its_default(monkeypatch, variable):
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ENV_FILE", os.devnull)
    expected = read()
    monkeypatch.setenv(variable, "")
    found = read()
    assert (found.get(variable), found["WORKER_CHILDREN"]) == (expected.get(variable), expected["WORKER_CHILDREN"])


def test_spaces_around_the_names_of_a_list_are_left_out(monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", "panel.example.org, localhost,")
    assert read()["ALLOWED_HOSTS"] == ["panel.example.org", "localhost"]


def test_each_queue_has_the_children_of_its_variable(monkeypatch):
    monkeypatch.setenv("WORKER_HIGH", "6")
    assert read()["WORKER_CHILDREN"] == {"critical": 2, "high": 6, "normal": 2, "low": 1, "background": 1}


def test_pages_are_in_new_yorks_time_whatever_the_machine_says(monkeypatch):
    monkeypatch.setenv("TIME_ZONE", "Europe/Berlin")
    assert read()["TIME_ZONE"] == "America/New_York"
