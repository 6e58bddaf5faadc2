"""`manage.py orders`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from market.orders import LIVE
from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import arguments, receipts
from tradingbot.management.tables import Table
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Order


class Command(TerminalCommand):
    help = "List the orders that still work; with --all those of the whole session, with --date of another one."
    example = "orders --date 2026-11-18"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="ended orders too")
        parser.add_argument("--date", type=arguments.day, metavar="DATE", help="all orders of this session")

    def handle(self, **options: Any) -> None:
        account = self.account()
        orders = Order.objects.filter(account=account).select_related("contract", "parent")
        day = options["date"] or trade_date_of(now())
        if options["all"] or options["date"]:
            orders, empty = orders.filter(session_date=day), f"{account} has no orders in the session of {day}"
        else:
            orders, empty = orders.filter(status__in=LIVE), f"{account} has no working orders"
        rows = [receipts.row(order) for order in orders.order_by("created_at", "pk")]
        self.show(rows, Table(rows, receipts.COLUMNS, empty))
