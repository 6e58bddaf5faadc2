"""`manage.py fetch_bars`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import arguments, names
from tradingbot.management.commands.backtest import bar
from tradingbot.management.terminal import TerminalCommand
from tradingbot.operations import bars, calendar


class Command(TerminalCommand):
    help = "Read 1-minute bars of past sessions from the venue into the cache: only those that are missing."
    example = "fetch_bars MNQ --sessions 250"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ, with the months before it")
        parser.add_argument(
            "--sessions", type=arguments.sessions, default=150, metavar="N", help="back from now (150); 250 are a year"
        )

    def handle(self, **options: Any) -> None:
        contract, at, count = names.contract(options["symbol"], self.account()), now(), options["sessions"]
        calendar.ensure_calendar(now=at, since=trade_date_of(at) - timedelta(days=2 * count))
        with bar(f"sessions of {contract.symbol}", shown=not self.json) as progress:
            new = bars.backfill(contract, sessions=count, now=at, progress=progress)
        first, last, known = bars.known_sessions(contract)
        document = {"contract": contract.name, "new": new, "sessions": known, "first": first, "last": last}
        text = f"{new} new bar(s); {known} sessions of {contract.symbol} are in the cache, {first} to {last}"
        self.show(document, text if known else f"the venue has no bars of {contract.symbol}")
