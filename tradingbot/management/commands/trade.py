"""`manage.py trade`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from market.plans import Management
from tradingbot.management import arguments, names, quotes, receipts, tickets
from tradingbot.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = "Enter a position with its stop; the same rules as for a strategy decide whether it is sent."
    example = "trade MNQ BUY 1 --limit 21480.25 --sl 21450 --tp 21540"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")
        parser.add_argument("side", type=arguments.side, metavar="BUY|SELL", help="direction")
        parser.add_argument("quantity", type=arguments.quantity, metavar="QTY", help="contracts")
        parser.add_argument("--limit", type=arguments.positive, metavar="PRICE", help="enter at this price or better")
        parser.add_argument("--stop", type=arguments.positive, metavar="PRICE", help="enter when the market reaches it")
        parser.add_argument("--trail", type=arguments.ticks, metavar="TICKS", help="enter by a trailing stop")
        parser.add_argument("--sl", type=arguments.positive, metavar="PRICE", help="stop loss")
        parser.add_argument("--sl-ticks", type=arguments.ticks, metavar="N", help="stop loss, ticks behind the fill")
        parser.add_argument("--tp", type=arguments.positive, metavar="PRICE", help="take profit")

    def handle(self, **options: Any) -> None:
        account = self.account()
        contract = names.contract(options["symbol"], account)
        ticket = tickets.trade(contract, options["side"], options["quantity"], options)
        request = ticket.request(quotes.price(contract))
        receipts.enter(self, account, contract, request, Management())
