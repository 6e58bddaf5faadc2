"""`manage.py history`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from market.bars import Timeframe, moment
from tradingbot.clock import now
from tradingbot.management import arguments, names
from tradingbot.management.tables import Price, Table
from tradingbot.management.terminal import TerminalCommand
from tradingbot.operations import bars


class Command(TerminalCommand):
    help = "Show the last closed bars of a contract, from the cache first and the venue for gaps."
    example = "history MNQ 5m 20"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")
        parser.add_argument("timeframe", type=arguments.timeframe, metavar="TIMEFRAME", help=" ".join(Timeframe))
        parser.add_argument("count", type=arguments.bars, metavar="N", help="how many bars")

    def handle(self, **options: Any) -> None:
        contract = names.contract(options["symbol"], self.account())
        series = bars.series(contract, options["timeframe"], count=options["count"], now=now())
        rows = [
            {
                "opened_at": moment(bar.opened_at),
                **{
                    name: Price(contract.spec.price(getattr(bar, name)), contract)
                    for name in ("open", "high", "low", "close")
                },
                "volume": bar.volume,
            }
            for bar in series
        ]
        if 0 < len(rows) < options["count"]:
            self.progress(f"only {len(rows)} {options['timeframe']} bars of {contract} are known")
        columns = ("opened_at", "open", "high", "low", "close", "volume")
        self.show(rows, Table(rows, columns, f"no {options['timeframe']} bar of {contract} is known"))
