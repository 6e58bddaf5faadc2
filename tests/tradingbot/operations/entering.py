"""Processes that ask for entries as fast as they can: `python -m tests.tradingbot.operations.entering 8 3 NOW`.

Django is loaded once, then the process forks; each child has a connection of its own and waits for the others.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime


def main(processes: int, each: int, at: str) -> None:
    import django

    django.setup()
    from django.db import connection

    begin = time.monotonic() + 1.0
    connection.close()
    children = []
    for _ in range(processes):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(writing, str(ask(each, datetime.fromisoformat(at), begin)).encode())
            connection.close()
            os._exit(0)
        os.close(writing)
        children.append((pid, reading))
    for pid, reading in children:
        _, status = os.waitpid(pid, 0)
        print(os.read(reading, 20).decode(), status)  # noqa: T201


def ask(count: int, now: datetime, begin: float) -> int:
    """Ask for `count` entries of one micro from `begin` on; return how many were granted."""
    from market.orders import OrderType, Side
    from risk.gate import EntryRequest, EntrySide
    from tradingbot.models import Account, Contract
    from tradingbot.operations import orders

    account, contract = Account.objects.get(), Contract.objects.get(symbol="MNQ", active=True)
    side = EntrySide(Side.BUY, OrderType.STOP, 84_020, 40, 60)
    request = EntryRequest(contract.spec, 1, (side,), reference=84_000)
    while time.monotonic() < begin:
        pass
    wish = {"request": request, "session_date": now.date(), "now": now, "requested_by": "race"}
    return sum(orders.open(account=account, contract=contract, **wish).outcome == "ordered" for _ in range(count))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
