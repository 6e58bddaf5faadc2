"""Exclusive rights for a time, kept in PostgreSQL; the fence grows with every holder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_TAKE = """
INSERT INTO tradingbot_lease (name, holder, fence, expires_at)
VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE
SET holder = EXCLUDED.holder, fence = tradingbot_lease.fence + 1, expires_at = EXCLUDED.expires_at
WHERE tradingbot_lease.expires_at <= clock_timestamp()
RETURNING fence
"""
_GIVE_BACK = "UPDATE tradingbot_lease SET expires_at = clock_timestamp() WHERE name = %(name)s AND fence = %(fence)s"


@contextmanager
def hold(name: str, *, seconds: float) -> Iterator[int | None]:
    """Yield the fence of lease `name`, or None while another process holds it.

    The lease ends with the block, or after `seconds` of machine time if this process dies in it.
    """
    values: dict[str, str | float] = {
        "name": name,
        "holder": f"{socket.gethostname()}:{os.getpid()}",
        "seconds": seconds,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        row = cursor.fetchone()
    if row is None:
        yield None
        return
    try:
        yield row[0]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(_GIVE_BACK, {"name": name, "fence": row[0]})
