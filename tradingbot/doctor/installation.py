"""The parts below: Python, PostgreSQL, the broker's server, the key that decrypts API keys."""

from __future__ import annotations

import os
import platform
import stat
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from tradingbot import servers
from tradingbot.doctor.findings import Finding


def python() -> Finding:
    where = sys.prefix if sys.prefix != sys.base_prefix else f"{sys.prefix} (not a virtual environment)"
    return Finding("python", "ok", f"Python {platform.python_version()} on {platform.system()}, {where}")


def database() -> Finding:
    place, ours = _place("DATABASE_URL", settings.DATABASE_URL)
    if not settings.DATABASE_URL:
        return Finding("database", "warn", "ours, not made yet: `make run` makes it")
    try:
        connection.ensure_connection()
    except DatabaseError:
        return Finding("database", "warn" if ours else "bad", f"{place} does not answer{_hint(ours, 'DATABASE_URL')}")
    version = connection.cursor().connection.info.server_version // 10_000
    if version < 15:
        return Finding("database", "bad", f"{place} is PostgreSQL {version}: 15 or newer is needed")
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if missing:
        return Finding("database", "bad", f"{place} lacks {missing} migration(s): run `python manage.py migrate`")
    return Finding("database", "ok", f"{place}, PostgreSQL {version}, every migration is in")


def broker() -> Finding:
    place, ours = _place("REDIS_URL", settings.REDIS_URL)
    if not settings.REDIS_URL:
        return Finding("broker", "warn", "ours, not made yet: `make run` makes it")
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=3, decode_responses=True)
    try:
        with client:
            info = cast(dict[str, Any], client.info())
            policy = info.get("maxmemory_policy", "unknown")
    except redis.RedisError:
        return Finding("broker", "warn" if ours else "bad", f"{place} does not answer{_hint(ours, 'REDIS_URL')}")
    version = info.get("valkey_version") or info["redis_version"]
    text = f"{place}, {'Valkey' if 'valkey_version' in info else 'Redis'} {version}"
    if int(version.split(".")[0]) < 7:
        return Finding("broker", "bad", f"{text}: 7 or newer is needed")
    if policy != "noeviction":
        return Finding(
            "broker", "bad", f"{text} may drop what is queued: set maxmemory-policy noeviction, not {policy}"
        )
    if not info.get("aof_enabled"):
        return Finding("broker", "warn", f"{text}, noeviction, but without appendonly: a restart loses what is queued")
    return Finding("broker", "ok", f"{text}, noeviction, appendonly")


def secrets() -> Finding:
    """The key that decrypts API keys comes from the environment, or from a file that nobody else may read."""
    if os.environ.get("ENCRYPTION_KEY"):
        return Finding("secrets", "ok", f"ENCRYPTION_KEY is set, {len(settings.ENCRYPTION_KEYS)} key(s)")
    file: Path = settings.VAR_DIR / "encryption_key"
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        return Finding("secrets", "bad", f"others may read {file}: run `chmod 600 {file}`")
    return Finding("secrets", "ok", f"ENCRYPTION_KEY is kept in {file}: back it up, API keys are lost without it")


def _place(variable: str, url: str) -> tuple[str, bool]:
    """Return an address without its password, and whether the server is ours."""
    parts = urlsplit(url)
    ours = not os.environ.get(variable) and url in astuple(servers.urls(settings.VAR_DIR))
    return f"{'ours on ' if ours else ''}{parts.hostname}:{parts.port or 'default port'}{parts.path}", ours


def _hint(ours: bool, variable: str) -> str:
    return ": `make run` starts it" if ours else f": start it, or correct {variable}"
