"""`manage.py resume`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from tradingbot.clock import now
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import trading


class Command(TerminalCommand):
    help = "Let entries leave again after a halt or a flatten."
    example = "resume --account PRAC"

    def handle(self, **options: Any) -> None:
        account = self.account()
        try:
            resumed = trading.resume(account, by=person(), now=now())
        except ValueError as error:
            raise CommandError(str(error)) from error
        account.refresh_from_db()
        self.show(
            {"account": account.name, "state": account.trading_state, "changed": resumed},
            f"{account} is {account.get_trading_state_display()}{'' if resumed else ' already'}",
        )
