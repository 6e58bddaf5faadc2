"""Hand-written SQL of the order path: planned once a connection, one round trip each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection

from market.orders import LIVE as LIVE_STATUSES

LIVE = ", ".join(sorted(f"'{status}'" for status in LIVE_STATUSES))
"""The states of orders that may still fill, for `status IN (...)`: as constants they cost no parameter."""


def rows(sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return what `sql` brings; placeholders are `%(name)s`, bound at the server, so that None may need a cast.

    Joins the running transaction, else it is one of its own. Raises django.db's errors.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, values, prepare=True, binary=True)
        return cursor.fetchall()
