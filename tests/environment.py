"""What a test run needs before the settings load: a pytest plugin (`-p tests.environment`), conftest is too late.

The user's own settings are taken out of the environment, test secrets put in, our PostgreSQL and Valkey started under
`var/test` unless DATABASE_URL and REDIS_URL name others, and every connection that leaves this machine is refused.
"""

from __future__ import annotations

import fcntl
import gc
import ipaddress
import os
import re
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tradingbot import servers

ROOT = Path(__file__).resolve().parent.parent
GIVEN = ("DATABASE_URL", "REDIS_URL", "VAR_DIR")
HOSTING = ("TRADINGBOT_CLOCK", "PORT", "RAILWAY_ENVIRONMENT", "DYNO", "FLY_APP_NAME")
SECRETS = {"SECRET_KEY": "secret of the tests", "ENCRYPTION_KEY": "key of the tests", "ADMIN_PASSWORD": "password"}

gc.set_threshold(50_000, 20, 100)  # thousands of collected tests stay: looking them all through again costs a quarter


class NetworkRefusedError(RuntimeError):
    """A test reached for the network; not an OSError, so that no error handling of ours swallows it."""


def _set_environment() -> Path:
    """Take out what a user sets (every name in .env.example), put in what tests need; return VAR_DIR."""
    example = ROOT / ".env.example"
    named = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example.read_text(), re.MULTILINE) if example.exists() else []
    for name in {*named, *HOSTING} - {*GIVEN}:
        os.environ.pop(name, None)
    os.environ |= {**SECRETS, "ENV_FILE": os.devnull}
    os.environ["VAR_DIR"] = os.environ.get("VAR_DIR") or str(ROOT / "var" / "test")
    return Path(os.environ["VAR_DIR"])


def _refuse_network() -> None:
    """Let sockets connect, and names be looked up, only for this machine and the given servers."""
    given = {urlsplit(os.environ.get(name, "")).hostname for name in ("DATABASE_URL", "REDIS_URL")}
    allowed = {"localhost", "", None, *given}

    def check(host: str | bytes | None) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        try:
            local = name in allowed or ipaddress.ip_address(str(name)).is_loopback
        except ValueError:
            local = False
        if not local:
            raise NetworkRefusedError(f"tests have no network, and this one asked for {name}")

    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    addresses = {look_up(name, None)[0][4][0] for name in given if name}
    allowed |= {str(address) for address in addresses}

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            check(address[0])
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family != socket.AF_UNIX:
            check(address[0])
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return look_up(host, *args, **kwargs)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = guarded_look_up


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None, None, None]:
    """Set all of it up before pytest-django imports the settings."""
    var = _set_environment()
    _refuse_network()
    if not early_config.known_args_namespace.help:
        wanted = {"database": not os.environ.get("DATABASE_URL"), "redis": not os.environ.get("REDIS_URL")}
        if any(wanted.values()):
            _spare_the_disk(servers.start(var, **wanted).database)
            early_config.add_cleanup(_stop_when_last(var))
        _take_a_redis_of_its_own(var)
    return (yield)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def _spare_the_disk(database: str) -> None:
    """Let the tests' own PostgreSQL not wait for the disk: what a crash of this machine would lose is made anew."""
    if not database:
        return
    with psycopg.connect(database, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def _take_a_redis_of_its_own(var: Path) -> None:
    """Give each of several test processes another database of Redis, as pytest-django does for PostgreSQL."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if number:
        url = os.environ.get("REDIS_URL") or servers.urls(var).redis
        os.environ["REDIS_URL"] = re.sub(r"/\d+$", "", url) + f"/{int(number) + 1}"


def _stop_when_last(var: Path) -> Any:
    """Return what stops the servers, unless another test run on `var` still uses them."""
    users = (var / "tests.lock").open("w")
    fcntl.flock(users, fcntl.LOCK_SH)

    def stop() -> None:
        with users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            servers.stop(var)

    return stop
