"""What is said when the system stops with something open."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from market.orders import OrderStatus, Role
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.management import leaving
from tradingbot.models import Account, Order
from tradingbot.operations import orders, reconciliation


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def said() -> list[str]:
    return []


def fill(desk: Desk) -> None:
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)


def test_a_flat_account_without_orders_needs_no_word(desk, said):
    leaving.offer_flatten(said.append)
    assert said == []


def test_working_entries_are_named_and_nothing_is_asked(desk, said):
    desk.send(desk.pair())
    leaving.offer_flatten(said.append)
    assert said == [
        "Keeps working at the venue: sell 3 MNQ stop 20,995.00 on 50KTC-V2-1-1",
        "Keeps working at the venue: buy 3 MNQ stop 21,005.00 on 50KTC-V2-1-1",
    ]


def test_without_a_terminal_the_position_stays_and_that_is_said(desk, said, monkeypatch):
    fill(desk)
    Order.objects.filter(role=Role.ENTRY, status=OrderStatus.CANCEL_PENDING).update(status=OrderStatus.CANCELLED)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    leaving.offer_flatten(said.append)
    assert said == [
        "Stays open at the venue: long 3 MNQ at 21,005.00 on 50KTC-V2-1-1",
        "  stop: sell 3 MNQ stop 20,995.00",
        "  target: sell 3 MNQ limit 21,020.00",
        "Nobody can be asked here: the position and its orders stay. `manage.py flatten` closes it.",
    ]
    assert Account.objects.get().flatten_requested_at is None


def test_a_no_leaves_it_and_a_missing_stop_is_named(desk, said, monkeypatch):
    fill(desk)
    Order.objects.filter(role=Role.STOP).update(status=OrderStatus.CANCELLED)
    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    leaving.offer_flatten(said.append)
    assert "  without a stop that we know of" in said
    assert said[-1] == "It stays as it is. `manage.py flatten` closes it."
    assert Account.objects.get().flatten_requested_at is None


def test_a_yes_asks_for_the_flatten_and_waits_until_it_is_seen(desk, said, monkeypatch):
    fill(desk)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    monkeypatch.setattr(leaving, "_LOOK", 0.0)

    def sleep(seconds: float) -> None:
        """Do what the workers do meanwhile; two reads that show the account flat are two seconds apart."""
        if seconds == 0.0:
            account = Account.objects.select_related("login").get()
            Account.objects.filter(flat_seen_at__isnull=False).update(flat_seen_at=Now() - timedelta(seconds=3))
            orders.flatten(account, now=desk.now)

    monkeypatch.setattr("tradingbot.management.leaving.time.sleep", sleep)
    leaving.offer_flatten(said.append)
    assert said[-1] == "50KTC-V2-1-1 is flat."
    assert desk.broker.positions(desk.account.broker_account_id) == []
