"""Two processes book a trade of one day in two contracts at once: neither forgets the other's."""

from __future__ import annotations

import threading
import time
from decimal import Decimal as D

import pytest
from django.db import connection, transaction

from market.orders import Side
from tests.factories import AccountFactory, ContractFactory
from tests.tradingbot.operations.fillings import Filling
from tradingbot.models import DayResult


def _until_it_waits() -> None:
    """Wait until the other process stands before a lock of ours."""
    give_up, pause = time.monotonic() + 30, threading.Event()
    while time.monotonic() < give_up:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            if cursor.fetchone():
                return
        pause.wait(0.02)
    pytest.fail("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_a_result_counts_the_trade_that_another_process_books_meanwhile():
    account = AccountFactory()
    first, second = (Filling(account, ContractFactory(symbol=s, name=f"{s}Z6")) for s in ("MNQ", "MES"))
    second.fill(Side.BUY, 1, "100", id=8_000)
    last = second.report(Side.SELL, 1, "110", id=8_001)

    def book() -> None:
        second.book(last)  # waits for the transaction below
        connection.close()

    other = threading.Thread(target=book)
    with transaction.atomic():
        first.fill(Side.BUY, 1, "100")
        first.fill(Side.SELL, 1, "105")
        other.start()
        _until_it_waits()
    other.join(30)
    row = DayResult.objects.get()
    assert (row.trades, row.net) == (2, D("10.00") + D("20.00") - 2 * D("1.22"))
