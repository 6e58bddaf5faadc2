"""`manage.py quote`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradingbot.management import names, quotes
from tradingbot.management.tables import Price
from tradingbot.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = "Show the newest price of a contract and how old it is."
    example = "quote MNQ"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")

    def handle(self, **options: Any) -> None:
        contract = names.contract(options["symbol"], self.account())
        quote = quotes.newest(contract)
        if quote is None:
            problem = "; start the system with `make run`, which fetches them"
            raise CommandError(f"SYMBOL: no price of {contract} is known yet{problem}")
        if quote.problem:
            self.progress(f"the venue could not be asked for a newer price ({quote.problem})")
        seconds = int(quote.age.total_seconds())
        price = Price(quote.price, contract)
        self.show(
            {"contract": contract.name, "price": price, "at": quote.at, "age_seconds": seconds},
            {"contract": contract.name, "price": price, "at": quote.at, "age": _age(seconds)},
        )


def _age(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
