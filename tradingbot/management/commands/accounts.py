"""`manage.py accounts`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Account, Login
from tradingbot.operations import accounts


class Command(TerminalCommand):
    help = "List the accounts, choose the default one, or read them anew from the venue."
    example = "accounts select PRAC"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", choices=["select"], help="make NAME the default of every command")
        parser.add_argument("name", nargs="?", metavar="NAME", help="account, or the beginning of its name")
        parser.add_argument("--refresh", action="store_true", help="ask the venue for the accounts first")

    def handle(self, **options: Any) -> None:
        if options["refresh"]:
            self._refresh()
        if options["action"]:
            if not options["name"]:
                raise WrongUsage("NAME: say which account becomes the default, e.g. accounts select PRAC")
            _select(names.account(options["name"]))
        rows = [_row(account) for account in Account.objects.select_related("login").order_by("login__name", "name")]
        if self._account_name is not None:
            wanted = self.account().broker_account_id
            rows = [row for row in rows if row["number"] == wanted]
        empty = "no account is known yet; read them with: python manage.py accounts --refresh"
        self.show(
            rows,
            Table(rows, ("account", "number", "login", "stage", "state", "balance", "day_profit", "default"), empty),
        )

    def _refresh(self) -> None:
        logins = list(Login.objects.filter(enabled=True))
        if not logins:
            raise CommandError(
                "--refresh: no login is configured; set PROJECTX_USERNAME and PROJECTX_API_KEY, "
                "then run `python manage.py prepare`"
            )
        for login in logins:
            found = accounts.discover(login, now=now())
            self.progress(f"{login}: {len(found)} account(s)")


def _select(account: Account) -> None:
    with transaction.atomic():
        for row in Account.objects.select_for_update().filter(selected=True).exclude(pk=account.pk):
            row.selected = False
            row.save(update_fields=["selected"])
        account.selected = True
        account.save(update_fields=["selected"])


def _row(account: Account) -> dict[str, Any]:
    return {
        "account": account.name,
        "number": account.broker_account_id,
        "login": account.login.name,
        "venue": account.venue,
        "stage": account.stage,
        "state": account.trading_state,
        "state_reason": account.state_reason or None,
        "enabled": account.enabled,
        "can_trade": account.can_trade,
        "balance": money(account.balance),
        "day_profit": money(account.day_profit, signed=True),
        "maximum_loss": money(account.maximum_loss),
        "daily_loss_limit": money(account.daily_loss_limit),
        "max_lots": account.max_lots,
        "default": account.selected,
    }
