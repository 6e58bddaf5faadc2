"""What tests.environment promises to every other test."""

from __future__ import annotations

import os
import socket

import pytest
from django.db import connection

from tests.environment import HOSTING, SECRETS, NetworkRefusedError


def test_the_network_is_off():
    with pytest.raises(NetworkRefusedError, match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(NetworkRefusedError, match=r"example\.org"):
        socket.create_connection(("example.org", 80), timeout=1)


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=1).close()


def test_statements_have_the_time_limit_that_they_have_outside(db):
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("5s",)


def test_the_settings_of_the_user_are_gone_and_those_of_tests_are_in():
    assert not set(HOSTING) & set(os.environ)
    assert {name: os.environ[name] for name in SECRETS} == SECRETS
