"""`manage.py protect`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser

from market.orders import Side
from tradingbot.clock import now
from tradingbot.management import arguments, holdings, names, quotes, receipts, tickets
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.commands.modify import move
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Order
from tradingbot.operations import orders, reconciliation


class Command(TerminalCommand):
    help = "Set the stop or target of an open position: what is there moves, what is missing is placed."
    example = "protect MNQ --sl 21460.25 --tp 21540"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")
        parser.add_argument("--sl", type=arguments.positive, metavar="PRICE", help="stop loss")
        parser.add_argument("--tp", type=arguments.positive, metavar="PRICE", help="take profit")

    def handle(self, **options: Any) -> None:
        wanted = {name: options[name] for name in ("sl", "tp") if options[name] is not None}
        if not wanted:
            raise WrongUsage("--sl: say where the stop goes, or with --tp the target")
        account = self.account()
        contract = names.contract(options["symbol"], account, held=True)
        for name, price in wanted.items():
            arguments.on_tick(f"--{name}", price, contract)
        reconciliation.reconcile(account, now=now(), max_age=0)
        holding = next((held for held in holdings.of(account) if held.position.contract_id == contract.pk), None)
        if holding is None or not holdings.size(holding.position):
            raise CommandError(f"SYMBOL: {account} has no position in {contract}: there is nothing to protect")
        _check_sides(holding, wanted, quotes.price(contract))
        done = [*_place_or_move(holding, "sl", wanted), *_place_or_move(holding, "tp", wanted)]
        receipts.follow(self, done)


def _check_sides(holding: holdings.Holding, wanted: dict[str, Decimal], newest: Decimal | None) -> None:
    """Raise WrongUsage for a stop or target that the market has passed already."""
    if newest is None:
        return
    direction = _direction(holding)
    contract = holding.position.contract
    for name, side in (("sl", direction.opposite), ("tp", direction)):
        if name in wanted:
            tickets.distance(f"--{name}", contract, side, start=newest, end=wanted[name])


def _place_or_move(holding: holdings.Holding, name: str, wanted: dict[str, Decimal]) -> list[Order]:
    if name not in wanted:
        return []
    price, position = wanted[name], holding.position
    present = list(holding.stops if name == "sl" else holding.targets)
    for order in present:
        if order.price != price:
            move(order, price)
    missing = abs(holdings.size(position)) - sum(o.quantity - o.filled for o in present)
    if missing > 0:
        present += orders.protect(
            position.account,
            position.contract,
            stop=price if name == "sl" else None,
            target=price if name == "tp" else None,
            quantity=missing,
            now=now(),
            by=person(),
        )
    return present


def _direction(holding: holdings.Holding) -> Side:
    return Side.BUY if holdings.size(holding.position) > 0 else Side.SELL
