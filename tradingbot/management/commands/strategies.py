"""`manage.py strategies`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Sum

from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Money, Table
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Strategy, Trade
from tradingbot.operations import strategies


class Command(TerminalCommand):
    help = "List the strategies with what they did today, or start or stop one."
    example = "strategies stop overnight_range"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", choices=["start", "stop"], help="let NAME trade, or no longer")
        parser.add_argument("name", nargs="?", metavar="NAME", help="strategy, or the beginning of its name")

    def handle(self, **options: Any) -> None:
        action = options["action"]
        if action and not options["name"]:
            raise WrongUsage(f"NAME: say which strategy, e.g. strategies {action} overnight_range")
        rows = Strategy.objects.select_related("account")
        if self._account_name is not None:
            rows = rows.filter(account=self.account())
        if action:
            chosen = names.strategy(options["name"])
            _switch(action, chosen)
            rows = rows.filter(pk=chosen.pk)
        today = trade_date_of(now())
        found = [_row(strategy, today) for strategy in rows]
        columns = ("strategy", "account", "symbol", "enabled", "trades", "net", "today")
        self.show(found, Table(found, columns, "no strategy is configured yet; `make run` makes them"))


def _switch(action: str, strategy: Strategy) -> None:
    operation = strategies.start if action == "start" else strategies.stop
    try:
        operation(strategy, by=person(), now=now())
    except ValueError as error:
        raise CommandError(f"NAME: {error}") from error


def _row(strategy: Strategy, today: date) -> dict[str, Any]:
    trades = Trade.objects.filter(strategy=strategy, session_date=today)
    return {
        "strategy": strategy.name,
        "kind": strategy.kind,
        "account": strategy.account.name,
        "symbol": strategy.symbol,
        "enabled": strategy.enabled,
        "trades": trades.count(),
        "net": Money(trades.aggregate(net=Sum("net"))["net"] or Decimal(0), signed=True),
        "today": _outcome(strategy, today),
        "last_evaluated_at": strategy.last_evaluated_at,
        "fixed_by": strategies.pinned(strategy),
    }


def _outcome(strategy: Strategy, today: date) -> str:
    """Return what the strategy did in this session, in a sentence."""
    if strategy.halted_on == today:
        return f"stands still: {strategy.halt_reason}"
    decision = strategy.decisions.filter(session_date=today).first()
    if decision:
        return f"{decision.get_outcome_display()}: {decision.sentence}"
    if not strategy.enabled:
        return "disabled"
    if strategy.last_evaluated_at and trade_date_of(strategy.last_evaluated_at) == today:
        return strategy.last_reason or "evaluated, nothing to do"
    return "not evaluated in this session"
