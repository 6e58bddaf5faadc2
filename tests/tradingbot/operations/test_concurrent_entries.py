"""Eight processes ask for entries at once, on one PostgreSQL: no limit is exceeded, whatever the order."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from decimal import Decimal as D
from pathlib import Path

import pytest
from django.db import connection, connections, transaction

from market.orders import OrderType, Role, Side
from risk.gate import EntryRequest, EntrySide
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Account, Decision, Order
from tradingbot.operations import orders, venues

ROOT = Path(__file__).resolve().parents[3]
PROCESSES, EACH = 8, 3


def race(now: str) -> list[int]:
    """Let every process be ready, then ask all at once; return how many entries each was granted."""
    at = connections["default"].get_connection_params()
    address = f"postgres://{at['user']}:{at['password']}@{at['host']}:{at['port']}/{at['dbname']}"
    variables = os.environ | {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "tradingbot.settings"}
    command = [sys.executable, "-m", "tests.tradingbot.operations.entering", str(PROCESSES), str(EACH), now]
    done = subprocess.run(command, cwd=ROOT, env=variables, text=True, capture_output=True, timeout=100, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [status for _, status in rows] == ["0"] * PROCESSES, done.stderr
    return [int(granted) for granted, _ in rows]


@pytest.mark.parametrize(
    ("limits", "most", "code"),
    [
        ({"max_lots": D("0.5")}, 5, "too_many_lots"),  # a micro is 0.1
        ({"maximum_loss": D(100)}, 3, "maximum_loss"),  # $25.22 each
    ],
)
def test_eight_processes_never_exceed_a_limit(transactional_db: None, limits: dict, most: int, code: str):
    desk = Desk.open()
    try:
        Account.objects.update(**limits)
        connection.close()
        granted = race(desk.now.isoformat())
    finally:
        venues.forget()
    assert sum(granted) == most
    assert Order.objects.filter(role=Role.ENTRY).count() == most
    denied = Decision.objects.filter(outcome="denied")
    assert denied.count() == PROCESSES * EACH - most
    assert code in set(denied.values_list("code", flat=True))
    for decision in denied:
        failed = [rule for rule in decision.rules if rule["ok"] is False]
        assert failed
        assert all(rule["value"] and rule["limit"] for rule in failed)


def test_two_accounts_at_once_never_hedge(transactional_db: None):
    """An account's state is locked by its row; what the others hold must not change meanwhile either."""
    desk = Desk.open()
    fields = {field.attname: getattr(desk.account, field.attname) for field in Account._meta.concrete_fields}
    other = Account.objects.create(**fields | {"id": None, "broker_account_id": 77, "name": "X", "selected": False})
    said: list[Decision] = []

    def wish(side: Side) -> dict:
        entry = EntrySide(side, OrderType.STOP, 84_000 + 20 * side, 40, 60)
        request = EntryRequest(desk.spec, 1, (entry,), reference=84_000)
        facts = {"contract": desk.contract, "session_date": desk.now.date(), "now": desk.now}
        return {"request": request, "requested_by": "race", **facts}

    def sell() -> None:
        try:
            said.append(orders.open(account=other, **wish(Side.SELL)))
        finally:
            connection.close()

    second = threading.Thread(target=sell)
    try:
        with transaction.atomic():
            first, _ = orders.open_locked(account=orders.lock(desk.account.pk), **wish(Side.BUY))
            second.start()
            second.join(1.0)  # it waits for us, or has been granted what it must not
        second.join(30.0)
    finally:
        venues.forget()
    assert first.outcome == "ordered"
    assert [decision.code for decision in said] == ["hedging"]
