"""What an account made on each day, from the balances with which its days ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from risk.consistency import Days


def results(
    start: Decimal, ended: Iterable[tuple[date, Decimal]], payouts: Mapping[date, Decimal] | None = None
) -> list[tuple[date, Decimal]]:
    """Return the net result of each day that changed the balance, oldest first.

    start     balance before the first of `ended`
    ended     (session date, balance at its end), by date
    payouts   money that left the account before a session, by that session's date: no loss of a day
    """
    left = dict(payouts or {})
    found = []
    before = start
    for day, balance in ended:
        paid = sum((left.pop(paid_on) for paid_on in [d for d in left if d <= day]), Decimal(0))
        if net := balance + paid - before:
            found.append((day, net))
        before = balance
    return found


def days(start: Decimal | None, ended: Iterable[tuple[date, Decimal]], *, today: Decimal | None = None) -> Days:
    """Return the days of an account that pays nothing out; `today` is the net result of the open one.

    They are complete if a first row shows the starting balance: nothing was traded before it.
    """
    rows = list(ended)
    if start is None:
        return Days(today=today, complete=False)
    nets = [net for _, net in results(start, rows)]
    return Days(
        total=sum(nets, Decimal(0)),
        best=max([Decimal(0), *nets]),
        number=len(nets),
        today=today,
        complete=bool(rows) and rows[0][1] == start,
    )
