"""`manage.py disarm`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import arming


class Command(TerminalCommand):
    help = "Let no real entry of an account leave any more; what protects and closes still does."
    example = "disarm 50KTC-V2-1-1"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="account, or the beginning of its name")
        parser.add_argument("reason", nargs="*", metavar="REASON", help="kept with the record")

    def handle(self, **options: Any) -> None:
        account = names.account(options["name"])
        changed = arming.disarm(account, by=person(), reason=" ".join(options["reason"]), now=now())
        self.show(
            {"account": account.name, "armed": False, "changed": changed},
            f"{account} is disarmed{'' if changed else ' already'}",
        )
