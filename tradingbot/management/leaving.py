"""What a person who stops the system must know: what stays at the venue, and whether it shall be closed first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from market.orders import Role
from tradingbot.clock import now
from tradingbot.management import holdings
from tradingbot.management.terminal import person
from tradingbot.models import Account, Order, Position
from tradingbot.operations import orders

_PATIENCE = 60.0  # machine seconds for a flatten that was asked for
_LOOK = 0.5

Say = Callable[[str], None]


def offer_flatten(say: Say) -> None:
    """Say what stays at the venue, and with a position open ask once whether to flatten; without a terminal leave it.

    Returns when the accounts are flat, or after a minute. Workers must still run: they do the flattening.
    """
    held = list(Position.objects.exclude(quantity=0, broker_quantity=0).select_related("account", "contract"))
    for line in [line for position in held for line in _staying(position)] + _entries():
        say(line)
    if not held:
        return
    if not sys.stdin.isatty():
        say("Nobody can be asked here: the position and its orders stay. `manage.py flatten` closes it.")
        return
    say("Close it now? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("It stays as it is. `manage.py flatten` closes it.")
        return
    accounts = {position.account for position in held}
    for account in accounts:
        orders.request_flatten(account, reason="asked for at the stop", by=person(), now=now())
    _wait(accounts, say)


def _staying(position: Position) -> list[str]:
    contract, quantity = position.contract, position.broker_quantity or position.quantity
    direction = "long" if quantity > 0 else "short"
    held = f"{direction} {abs(quantity)} {contract.symbol} at {contract.text(position.average_price)}"
    lines = [f"Stays open at the venue: {held} on {position.account}"]
    protecting = Order.objects.working().filter(
        account=position.account, contract=contract, role__in=(Role.STOP, Role.TARGET)
    )
    lines += [f"  {order.role}: {order.describe()}" for order in protecting.select_related("contract").order_by("role")]
    if not any(order.role == Role.STOP for order in protecting):
        lines.append("  without a stop that we know of")
    return lines


def _entries() -> list[str]:
    entries = Order.objects.working().filter(role=Role.ENTRY).select_related("contract", "account")
    return [f"Keeps working at the venue: {order.describe()} on {order.account}" for order in entries]


def _wait(accounts: set[Account], say: Say) -> None:
    give_up = time.monotonic() + _PATIENCE
    waiting = set(accounts)
    while waiting and time.monotonic() < give_up:
        time.sleep(_LOOK)
        for account in list(waiting):
            account.refresh_from_db()
            if account.flatten_requested_at is None and not holdings.open_positions(account).exists():
                say(f"{account} is flat.")
                waiting.discard(account)
    for account in waiting:
        say(f"{account} is NOT seen flat after {_PATIENCE:.0f} s: look at it at the venue.")
