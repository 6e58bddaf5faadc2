"""`manage.py close`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradingbot.clock import now
from tradingbot.management import arguments, closing, holdings, names, receipts
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import orders, protection, reconciliation


class Command(TerminalCommand):
    help = "Close an open position at market, or a part of it."
    example = "close MNQ 1"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")
        parser.add_argument("quantity", nargs="?", type=arguments.quantity, metavar="QTY", help="contracts (all)")

    def handle(self, **options: Any) -> None:
        account = self.account()
        contract = names.contract(options["symbol"], account, held=True)
        reconciliation.reconcile(account, now=now(), max_age=0)
        if not holdings.held(account, contract):
            raise CommandError(f"SYMBOL: {account} has no position in {contract}: there is nothing to close")
        held = closing.still_to_close(account, contract)
        if not held:
            raise CommandError(f"SYMBOL: a close of {contract} is under way; `python manage.py orders` shows it")
        quantity = options["quantity"] or held
        if quantity > held:
            raise WrongUsage(
                f"QTY: {quantity} is more than the {held} that are open; write 1 to {held}, or leave it out"
            )
        exit_order = orders.exit(account, contract, quantity, now=now(), by=person())
        try:
            receipts.follow(self, [exit_order])
        finally:
            reconciliation.reconcile(account, now=now(), max_age=0)
            for sentence in protection.check(account, now=now(), max_age=0):
                self.progress(sentence)
