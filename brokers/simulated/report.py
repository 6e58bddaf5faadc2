"""The ledger as one JSON document, for checkers: what really happened, with market time and machine time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from brokers.simulated import wire
from brokers.simulated.ledger import Ledger


def dump(ledger: Ledger, at: datetime, *, after: int = 0) -> dict[str, Any]:
    """Return everything, accounts to positions as the API shows them, the journal from beyond the id `after`.

    `machineAt` is when the row was made by the machine's clock; the other times are market time.
    """
    accounts = ledger.accounts()
    machine = {
        table: {row["id"]: row["machine_at"] for row in ledger.rows(table)} for table in ("orders", "executions")
    }
    orders = [order for account in accounts for order in ledger.orders(account.id)]
    executions = [one for account in accounts for one in ledger.executions(account.id, None, None)]
    return {
        "at": wire.stamp(at),
        "accounts": [wire.account(account) for account in accounts],
        "orders": [wire.order(o) | {"machineAt": machine["orders"][o.id], "reason": o.reason} for o in orders],
        "executions": [
            wire.trade(e, commissions=True) | {"machineAt": machine["executions"][e.id]} for e in executions
        ],
        "positions": [wire.position(p) for account in accounts for p in ledger.positions(account.id)],
        "balances": ledger.rows("balances"),
        "journal": ledger.rows("journal", after=after),
    }
