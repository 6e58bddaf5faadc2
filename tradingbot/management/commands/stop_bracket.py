"""`manage.py stop_bracket`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from market.plans import Management
from tradingbot.management import arguments, names, quotes, receipts, tickets
from tradingbot.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = "Place a breakout order: a stop entry with its stop loss and take profit."
    example = "stop_bracket MNQ BUY 1 21480.25 21450 21540 --breakeven 15"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")
        parser.add_argument("side", type=arguments.side, metavar="SIDE", help="BUY or SELL")
        parser.add_argument("quantity", type=arguments.quantity, metavar="QTY", help="contracts")
        parser.add_argument("entry", type=arguments.positive, metavar="ENTRY", help="price at which the entry fires")
        parser.add_argument("sl", type=arguments.positive, metavar="SL", help="stop loss")
        parser.add_argument("tp", type=arguments.positive, metavar="TP", help="take profit")
        parser.add_argument(
            "--breakeven",
            type=arguments.positive,
            metavar="POINTS",
            help="profit after which the stop goes to the entry",
        )

    def handle(self, **options: Any) -> None:
        account = self.account()
        contract = names.contract(options["symbol"], account)
        ticket = tickets.stop_bracket(
            contract,
            options["side"],
            options["quantity"],
            entry=options["entry"],
            sl=options["sl"],
            tp=options["tp"],
        )
        points = options["breakeven"]
        breakeven = contract.spec.ticks(arguments.on_tick("--breakeven", points, contract)) if points else 0
        request = ticket.request(quotes.price(contract))
        receipts.enter(self, account, contract, request, Management(breakeven_ticks=breakeven))
