"""`manage.py rebuild_accounting`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.tables import Money, Table
from tradingbot.management.terminal import TerminalCommand
from tradingbot.operations import rebuilding


class Command(TerminalCommand):
    help = "Compute positions, trades and results again from the fills; say whether what is stored is the same."
    example = "rebuild_accounting PRAC --write"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", metavar="ACCOUNT", help="account, or the beginning of its name")
        parser.add_argument("--write", action="store_true", help="store what the fills say where it differs")
        parser.add_argument("--yes", action="store_true", help="do not ask before writing")

    def handle(self, **options: Any) -> None:
        account = names.account(options["name"]) if options["name"] else self.account()
        found = rebuilding.compare(account, now=now())
        rows = [asdict(change) for change in found.changes]
        written = bool(rows) and options["write"]
        if written:
            self.confirm(f"Write {len(rows)} figure(s) of {account} anew?", yes=options["yes"])
            rebuilding.write(account, now=now())
        total = (
            f"{account}: {found.trades} trade(s), {found.days} day(s) of strategies from {found.fills} fill(s), "
            f"net {Money(found.net, signed=True)}"
        )
        verdict = "written anew" if written else "not what the fills say" if rows else "what is stored is the same"
        document = {"account": account.name, **asdict(found), "same": not rows, "written": written}
        table = Table(rows, ("what", "figure", "stored", "computed"), "")
        self.show(
            document, *([table] if rows else []), f"{total}: {f'{len(rows)} figure(s) ' if rows else ''}{verdict}"
        )
        if rows and not written:
            raise CommandError(f"{len(rows)} figure(s) of {account} differ; --write stores what the fills say")
