"""`manage.py arm`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.tables import text
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import arming


class Command(TerminalCommand):
    help = "Let real entries of an account leave until its session is flat; type its full name."
    example = "arm 50KTC-V2-1-1 --yes"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the account's full name")
        parser.add_argument("--keep", action="store_true", help="armed until `disarm`, not only for this session")
        parser.add_argument(
            "--code", default="", help="six digits of the authenticator app, if ARMING_TOTP_SECRET is set"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        account = names.account(options["name"])
        self.confirm(
            f"Real orders leave on {account}. Does the platform show Auto OCO Brackets, and shall it be armed?",
            yes=options["yes"],
        )
        try:
            until = arming.arm(
                account, name=options["name"], by=person(), now=now(), keep=options["keep"], code=options["code"]
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        ends = f"until {text(until)}" if until else "until it is disarmed"
        self.show({"account": account.name, "armed": True, "until": until}, f"{account} is armed {ends}")
