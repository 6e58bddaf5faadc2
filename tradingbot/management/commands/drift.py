"""`manage.py drift`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import arguments
from tradingbot.management.tables import Price, Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Strategy
from tradingbot.operations import drift


class Command(TerminalCommand):
    help = "Show what one strategy made of each session on several accounts, side by side."
    example = "drift overnight_range --days 30"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", metavar="KIND", help="a kind of strategy, as `strategies` lists it")
        parser.add_argument("--days", type=arguments.days, default=10, metavar="N", help="calendar days back (10)")

    def handle(self, **options: Any) -> None:
        kind, today = options["kind"], trade_date_of(now())
        rows = Strategy.objects.filter(kind=kind).select_related("account").order_by("account__name", "name")
        if len({row.account_id for row in rows}) < 2:
            raise CommandError(f"KIND: {kind!r} is not configured on two accounts: there is nothing to compare")
        first = today - timedelta(days=options["days"] - 1)
        parts = [_row(part) for part in drift.side_by_side(list(rows), first=first, last=today)]
        columns = ("session", "account", "strategy", "entries", "quantity", "entered_at", "entry", "net", "drift")
        self.show(parts, Table(parts, columns, f"no trade of {kind} was closed since {first}"))
        if parts:
            self.progress("drift: net a contract less that of the first account which traded in the session")


def _row(part: drift.Part) -> dict[str, Any]:
    return {
        "session": part.session_date,
        "account": part.account,
        "strategy": part.strategy,
        "entries": part.entries,
        "quantity": part.quantity,
        "entered_at": part.entered_at,
        "entry": None if part.entry is None or part.contract is None else Price(part.entry, part.contract),
        "net": money(part.net, signed=True),
        "a_contract": money(part.a_contract, signed=True),
        "drift": money(part.drift, signed=True),
    }
