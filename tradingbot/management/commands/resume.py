"""`manage.py resume`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradingbot.clock import now
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import trading


class Command(TerminalCommand):
    help = "Let entries leave again after a halt or a flatten."
    example = "resume --account PRAC"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reason", nargs="*", metavar="REASON", help="required after a limit was reached")
        parser.add_argument(
            "--all", action="store_true", help="end what binds every account; locks of single ones stay"
        )
        parser.add_argument(
            "--override", default="", metavar="NAME", help="the account's full name: lifts a daily loss lock"
        )

    def handle(self, **options: Any) -> None:
        reason = " ".join(options["reason"])
        if options["all"]:
            resumed = trading.resume_all(by=person(), now=now(), reason=reason)
            row = trading.overall()
            self.show(
                {"account": None, "state": row.trading_state, "changed": resumed},
                f"all accounts are {row.get_trading_state_display()}{'' if resumed else ' already'}",
            )
            return
        account = self.account()
        try:
            resumed = trading.resume(account, by=person(), now=now(), reason=reason, override=options["override"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        account.refresh_from_db()
        bound = trading.overall()
        all_bound = "" if bound.trading_state == "active" else f"; all accounts are {bound.get_trading_state_display()}"
        self.show(
            {"account": account.name, "state": account.trading_state, "changed": resumed},
            f"{account} is {account.get_trading_state_display()}{'' if resumed else ' already'}{all_bound}",
        )
