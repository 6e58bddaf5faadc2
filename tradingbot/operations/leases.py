"""Exclusive rights for a time, kept in PostgreSQL; the fence grows with every holder.

Whoever dies with a lease holds it no longer: another process of the same machine takes it at once, those elsewhere
when it has run out.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path

from django.db import Error, connection

_TAKE = """
INSERT INTO tradingbot_lease (name, holder, fence, expires_at)
VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE
SET holder = EXCLUDED.holder, fence = tradingbot_lease.fence + 1, expires_at = EXCLUDED.expires_at
WHERE tradingbot_lease.expires_at <= clock_timestamp()
RETURNING fence
"""
_RENEW = """
UPDATE tradingbot_lease SET expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE name = %(name)s AND fence = %(fence)s
"""
_ENDED = "SELECT expires_at FROM tradingbot_lease WHERE name = %(name)s AND expires_at <= clock_timestamp()"
_GIVE_BACK = "UPDATE tradingbot_lease SET expires_at = clock_timestamp() WHERE name = %(name)s AND fence = %(fence)s"
_HELD_BY = "SELECT holder, fence FROM tradingbot_lease WHERE name = %(name)s AND expires_at > clock_timestamp()"

_owed: dict[str, int] = {}
"""Leases of this process that it could not give back, as PostgreSQL was away: name and fence."""

_BOOT, _PROCESSES = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


@contextmanager
def hold(name: str, *, seconds: float) -> Iterator[int | None]:
    """Yield the fence of lease `name`, or None while another process holds it.

    The lease ends with the block; if PostgreSQL is away by then, with the next one of this process.
    """
    fence = take(name, seconds=seconds)
    if fence is None:
        yield None
        return
    try:
        yield fence
    finally:
        try:
            give_back(name, fence)
        except Error:
            _owed[name] = fence
            raise


def take(name: str, *, seconds: float) -> int | None:
    """Return the fence of lease `name` for `seconds` of machine time, None while another process holds it."""
    for owed, fence in tuple(_owed.items()):
        give_back(owed, fence)
        _owed.pop(owed, None)
    taken = _take(name, seconds)
    if taken is None and _bury(name):
        taken = _take(name, seconds)
    return taken


def _take(name: str, seconds: float) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"name": name, "holder": holder(os.getpid()), "seconds": seconds})
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _bury(name: str) -> bool:
    """End lease `name` if the process that holds it is dead; False where that cannot be known."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD_BY, {"name": name})
        row = cursor.fetchone()
    if row is None:
        return True
    by, fence = row
    number = by.rpartition(":")[2]
    if not _place() or not number.isdigit() or by != holder(int(number)) or _lives(int(number)):
        return False
    give_back(name, fence)
    return True


def holder(pid: int) -> str:
    """Return what names a process of this machine in a lease."""
    return f"{socket.gethostname()} {_place()}:{pid}"


@cache
def _place() -> str:
    """Return what tells apart where a process id is valid: the machine's start and the container. Linux only."""
    try:
        return f"{_BOOT.read_text().strip()[:8]}-{_PROCESSES.stat().st_ino}"
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def renew(name: str, fence: int, *, seconds: float) -> bool:
    """Hold the lease on; False if another process has taken it since, after it had run out."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"name": name, "fence": fence, "seconds": seconds})
        return bool(cursor.rowcount)


def ended_at(name: str) -> datetime | None:
    """Return the machine time at which lease `name` ended, None while somebody holds it or if nobody ever did."""
    with connection.cursor() as cursor:
        cursor.execute(_ENDED, {"name": name})
        row = cursor.fetchone()
    return None if row is None else row[0]


def give_back(name: str, fence: int) -> None:
    """Let another process take the lease at once."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, {"name": name, "fence": fence})
