"""`manage.py modify`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser

from market.orders import OrderStatus, OrderType, Role, Side
from tradingbot.clock import now
from tradingbot.management import arguments, names, quotes, receipts
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Order
from tradingbot.operations import orders


class Command(TerminalCommand):
    help = "Move a working order to another price."
    example = "modify 12 --price 21460.25"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order", metavar="ORDER", help="its number, tag or the venue's id")
        parser.add_argument("--price", type=arguments.positive, required=True, metavar="PRICE", help="new price")

    def handle(self, **options: Any) -> None:
        order = names.order(options["order"], self.account())
        price = arguments.on_tick("--price", options["price"], order.contract)
        if order.status not in (OrderStatus.WORKING, OrderStatus.PARTIAL):
            raise CommandError(f"ORDER: #{order.pk} is {order.status.replace('_', ' ')}; only a working order can move")
        if order.price is None:
            raise CommandError(f"ORDER: #{order.pk} is a {order.type} order, it has no price to move")
        if order.price == price:
            raise CommandError(f"--price: order #{order.pk} rests at {order.contract.text(price)} already")
        check_side("--price", order, price, quotes.price(order.contract))
        move(order, price)
        receipts.watch(self, [order], until=lambda row, _: row.desired_price is None)
        self.show(receipts.row(order), receipts.line(order))
        if order.price != price:
            raise CommandError(
                f"order #{order.pk} rests at {order.contract.text(order.price)}, the move to "
                f"{order.contract.text(price)} is not confirmed: `python manage.py orders` shows what became of it"
            )


def check_side(field: str, order: Order, price: Decimal, newest: Decimal | None) -> None:
    """Raise WrongUsage for a price at which the order would fill at once: a stop behind, a target before the market."""
    if newest is None or (order.type == OrderType.LIMIT and order.role != Role.TARGET):
        return
    ahead = Side(order.side) if order.type != OrderType.LIMIT else Side(order.side).opposite
    if (price - newest) * ahead <= 0:
        where = "above" if ahead is Side.BUY else "below"
        text = order.contract.text
        raise WrongUsage(
            f"{field}: at {text(price)} the order would fill at once; it must lie {where} the market, {text(newest)}"
        )


def move(order: Order, price: Decimal) -> None:
    """Have `order` rest at `price` and ask the venue for it."""
    if not orders.request_modify(order, price, by=person(), now=now()):
        order.refresh_from_db()
        raise CommandError(
            f"order #{order.pk} is {order.status.replace('_', ' ')} by now; only a working order can move"
        )
    order.refresh_from_db()
    orders.modify(order, now=now())
