"""`manage.py halt`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tradingbot.clock import now
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import trading


class Command(TerminalCommand):
    help = "Let no new entry leave until `resume`; stops, targets and exits still work."
    example = 'halt "news at 14:00"'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reason", nargs="*", metavar="REASON", help="kept with the account and shown to everybody")

    def handle(self, **options: Any) -> None:
        account = self.account()
        halted = trading.halt(account, reason=" ".join(options["reason"]) or "halted by hand", by=person(), now=now())
        account.refresh_from_db()
        self.show(
            {
                "account": account.name,
                "state": account.trading_state,
                "reason": account.state_reason,
                "changed": halted,
            },
            f"{account} is halted{'' if halted else ' already'}: {account.state_reason}",
        )
