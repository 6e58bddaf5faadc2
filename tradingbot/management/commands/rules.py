"""`manage.py rules`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from backtest.prospects import Prospects
from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.tables import Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Account
from tradingbot.operations import progress, rules, what_if


class Command(TerminalCommand):
    help = "Show what binds an account, and what it lacks to pass or to be paid."
    example = "rules 50KTC"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", metavar="ACCOUNT", help="account, or the beginning of its name")

    def handle(self, **options: Any) -> None:
        account = names.account(options["name"]) if options["name"] else self.account()
        found = progress.read(account, now=now())
        odds, why = what_if.odds(account, now=now())
        facts = _facts(account, found) | _odds(odds)
        rows = [
            {"rule": row.title, "value": row.text, "from": f"{row.origin}{': ' if row.reason else ''}{row.reason}"}
            for row in rules.effective(account, trade_date_of(now()))
        ]
        days = [{"session": day, "net": money(net, signed=True)} for day, net in reversed(found.days)]
        sentences = [*found.warnings, *found.missing]
        self.show(
            facts | {"without_odds": why or None, "sentences": sentences, "days": days, "rules": rows},
            facts,
            "",
            *sentences,
            *([f"No odds: {why}."] if why else []),
            "",
            Table(days, ("session", "net"), "no day has ended with a result yet", "days"),
            "",
            Table(rows, ("rule", "value", "from"), "the rulebook has no entry for this stage and size", "binds today"),
        )


def _facts(account: Account, found: progress.Progress) -> dict[str, Any]:
    target = found.parameters.profit_target if found.parameters else None
    return {
        "account": account.name,
        "stage": account.stage,
        "size": f"{found.size}K" if found.size else None,
        "balance": money(found.balance),
        "floor": money(found.floor),
        "room_to_floor": money(found.room),
        "max_lots": found.max_lots,
        "target": money(target),
        "net_profit": money(found.total, signed=True),
        "today": money(found.today, signed=True),
        "best_day": money(found.best),
        "needed_with_best_day": money(found.needed),
        "day_cap": money(found.cap),
        "useful_today": money(found.useful),
        "days_traded": found.days_traded,
        "trades_today": len(found.traded.held),
    }


def _odds(odds: Prospects | None) -> dict[str, Any]:
    """Return shares between 0 and 1, None where they cannot be told."""
    told = {} if odds is None else {"passes": odds.passes, "lost": odds.breaches, "lost_today": odds.breaches_today}
    return {f"odds_{name}": told.get(name) for name in ("passes", "lost", "lost_today")}
