"""`manage.py cancel`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Exists, OuterRef

from market.orders import LIVE, OrderStatus, Role
from tradingbot.clock import now
from tradingbot.management import holdings, names, receipts
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Account, Order
from tradingbot.operations import orders, reconciliation

_ENDED = (*receipts.ENDED_WITHOUT_FILL, OrderStatus.FILLED)


class Command(TerminalCommand):
    help = "Cancel an order, or with --all every order that does not protect an open position."
    example = "cancel 12"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order", nargs="?", metavar="ORDER", help="its number, tag or the venue's id")
        parser.add_argument("--all", action="store_true", help="every order except the stops and targets of a position")

    def handle(self, **options: Any) -> None:
        if bool(options["order"]) == options["all"]:
            raise WrongUsage("ORDER: name one order, or write --all")
        account = self.account()
        asked = _all(account) if options["all"] else [_one(options["order"], account)]
        for order in asked:
            try:
                asked_for = orders.cancel_by_hand(order, by=person(), now=now())
            except ValueError as error:
                raise CommandError(f"ORDER: {error}") from error
            if asked_for:
                order.refresh_from_db()
                orders.cancel(order, now=now())
        if asked:
            receipts.watch(self, asked, until=lambda order, _: order.status in _ENDED)
        rows = [receipts.row(order) for order in asked]
        self.show(rows, *(map(receipts.line, asked) if asked else [f"{account} has no order to cancel"]))
        for order in asked:
            if order.status == OrderStatus.FILLED:
                raise CommandError(f"order #{order.pk} was filled before the cancel arrived")
            if order.status not in _ENDED:
                raise CommandError(
                    f"the cancel of order #{order.pk} is not confirmed yet; it is followed, "
                    "`python manage.py orders` shows what became of it"
                )


def _one(typed: str, account: Account) -> Order:
    order = names.order(typed, account)
    status = order.status.replace("_", " ")
    if order.status == OrderStatus.SUSPENDED:
        raise CommandError(f"ORDER: #{order.pk} belongs to its entry and ends with it: cancel #{order.parent_id}")
    if order.status not in LIVE:
        raise CommandError(f"ORDER: #{order.pk} is {status} already")
    if order.role == Role.STOP:  # whether its position is open, the venue says
        reconciliation.reconcile(account, now=now(), max_age=0)
    return order


def _all(account: Account) -> list[Order]:
    """Return the entries, and what belongs to no open position; legs that wait for their entry go with it."""
    reconciliation.reconcile(account, now=now(), max_age=0)
    held = Exists(holdings.open_positions(account).filter(contract=OuterRef("contract")))
    live = Order.objects.filter(account=account, status__in=LIVE).exclude(status=OrderStatus.SUSPENDED)
    rows = live.filter(role=Role.ENTRY) | live.exclude(role=Role.ENTRY).filter(~held)
    return list(rows.select_related("contract", "account__login").order_by("pk"))
