"""`manage.py flatten`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from brokers.base import BrokerError
from market.orders import LIVE, OrderStatus
from tradingbot.clock import now
from tradingbot.management import closing, holdings, names
from tradingbot.management.tables import text
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Account, Contract, Order
from tradingbot.operations import orders

_LIMIT = 120.0  # machine seconds
_PAUSE = 1.0
_TWO_LOOKS_APART = 2.0


class Command(TerminalCommand):
    help = "Cancel every order and close every position of the account, or of one symbol; waits until it is flat."
    example = "flatten --yes"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", nargs="?", metavar="SYMBOL", help="only this one (all)")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        account = self.account()
        contract = names.contract(options["symbol"], account, held=True) if options["symbol"] else None
        what = f"{contract} on {account}" if contract else f"{account}, all contracts"
        self.confirm(f"Cancel the orders and close the positions of {what}?", yes=options["yes"])
        if contract:
            self._until_flat(what, _one_contract(account, contract))
        else:
            orders.request_flatten(account, reason="asked at the prompt", by=person(), now=now())
            self._until_flat(what, lambda: _whole_account(account))
        account.refresh_from_db()
        self.show(
            {"account": account.name, "contract": contract.name if contract else None, "flat": True}
            | {"state": account.trading_state, "state_until": account.state_until},
            f"flat: {what}",
            *([] if contract else [_blocked(account)]),
        )

    def _until_flat(self, what: str, look: Callable[[], list[str]]) -> None:
        """Work in rounds until `look` finds nothing open; a failed round is told and followed by the next."""
        started = time.monotonic()
        told: list[str] = []
        while True:
            try:
                left = look()
            except BrokerError as error:
                left = [f"the venue could not be read: {error}"]
            if not left:
                return
            if left != told:
                self.progress(f"{time.monotonic() - started:4.0f} s  {'; '.join(left)}")
                told = left
            if time.monotonic() - started > _LIMIT:
                raise CommandError(
                    f"{what}: not seen flat after {_LIMIT:.0f} s ({'; '.join(left)}); "
                    "look at the platform now, and repeat the command"
                )
            time.sleep(_PAUSE)


def _whole_account(account: Account) -> list[str]:
    """Do one round; return what is open, empty once two reads have shown the account flat."""
    if orders.flatten(account, now=now()):
        return []
    held = [
        f"position {holdings.size(position):+d} {position.contract.symbol}"
        for position in holdings.open_positions(account)
        if holdings.size(position)
    ]
    working = Order.objects.filter(account=account, status__in=LIVE).exclude(status=OrderStatus.SUSPENDED)
    return held + [order.describe() for order in working.select_related("contract")] or ["looking once more"]


def _one_contract(account: Account, contract: Contract) -> Callable[[], list[str]]:
    """Return a round for one contract; it is flat when two rounds two seconds apart found nothing."""
    flat_since: float | None = None

    def look() -> list[str]:
        nonlocal flat_since
        left = closing.close_round(account, contract)
        if left:
            flat_since = None
            return left
        flat_since = flat_since or time.monotonic()
        return [] if time.monotonic() - flat_since >= _TWO_LOOKS_APART else ["looking once more"]

    return look


def _blocked(account: Account) -> str:
    until = f" until {text(account.state_until)}" if account.state_until else ""
    return f"entries are blocked{until} ({account.get_trading_state_display()}); `python manage.py resume` allows them"
