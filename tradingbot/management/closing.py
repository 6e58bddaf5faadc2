"""One contract brought to flat, step by step over facts; the whole account is `operations.orders.flatten`."""

from __future__ import annotations

from market.orders import LIVE, OrderStatus, Role
from tradingbot.clock import now
from tradingbot.management import holdings
from tradingbot.management.terminal import person
from tradingbot.models import Account, Contract, Order
from tradingbot.operations import orders, protection, reconciliation


def close_round(account: Account, contract: Contract) -> list[str]:
    """Cancel entries, close what is held, cancel what protected it. Returns what is still open, empty when flat.

    A close that is under way is waited for: two of them can turn the position. Raises BrokerError when a read fails.
    """
    live = Order.objects.filter(account=account, contract=contract, status__in=LIVE).exclude(
        status=OrderStatus.SUSPENDED
    )
    for entry in live.filter(role__in=(Role.ENTRY, Role.EXTERNAL)).select_related("account__login", "contract"):
        orders.request_cancel(entry, by=person(), now=now())
        entry.refresh_from_db()
        orders.cancel(entry, now=now())
    reconciliation.reconcile(account, now=now(), max_age=0)
    left = still_to_close(account, contract)
    if left:
        orders.send(orders.exit(account, contract, left, now=now(), by=person()), now=now())
    protection.check(account, now=now(), max_age=0)
    size = holdings.held(account, contract)
    held = [f"position {size:+d} {contract.symbol}"] if size else []
    return held + [order.describe() for order in live.exclude(role=Role.EXIT).select_related("contract")]


def still_to_close(account: Account, contract: Contract) -> int:
    """Return the contracts that are open and that no exit under way closes."""
    under_way = Order.objects.filter(account=account, contract=contract, role=Role.EXIT, status__in=LIVE)
    return max(0, abs(holdings.held(account, contract)) - sum(o.quantity - o.filled for o in under_way))
