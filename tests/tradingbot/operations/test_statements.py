"""Hand-written SQL: prepared by the server at its first use, so that planning costs nothing afterwards."""

from __future__ import annotations

import pytest
from django.db import close_old_connections, connections

from tradingbot.operations import statements

pytestmark = pytest.mark.django_db

_SQL = "SELECT id, name FROM tradingbot_account WHERE id = %(id)s"
_PREPARED = "SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements"


def test_a_statement_is_prepared_once_and_run_by_name_then():
    for number in (1, 2, 3):
        assert statements.rows(_SQL, {"id": number}) == []
    ours = [(text, used) for text, used in statements.rows(_PREPARED, {}) if "FROM tradingbot_account" in text]
    assert [used for _, used in ours] == [3]


def test_a_connection_that_broke_meanwhile_is_replaced_before_the_first_statement(transactional_db):
    ((broken,),) = statements.rows("SELECT pg_backend_pid()", {})
    other = connections["default"].copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [broken])
    other.close()
    close_old_connections()  # as before every task
    ((pid,),) = statements.rows("SELECT pg_backend_pid()", {})
    assert pid != broken
