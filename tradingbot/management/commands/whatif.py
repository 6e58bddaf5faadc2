"""`manage.py whatif`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from backtest.prospects import Prospects
from backtest.what_if import Replayed, Settings
from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import arguments, names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Money, Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.operations import backtests, what_if


class Command(TerminalCommand):
    help = "Replay an account's real trades under other settings; odds of passing, and of being lost today."
    example = "whatif 50KTC --size 1 --stop-after-losses 2"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", metavar="ACCOUNT", help="account, or the beginning of its name")
        parser.add_argument("--size", type=arguments.quantity, metavar="N", help="contracts of every entry (as traded)")
        parser.add_argument("--rules", metavar="TYPE", help=f"another account type: {', '.join(backtests.FIRMS)}")
        parser.add_argument(
            "--stop-after-losses",
            type=arguments.quantity,
            metavar="N",
            help="no entry after N lost trades of a session",
        )
        parser.add_argument(
            "--stop-after-loss", type=arguments.positive, metavar="DOLLARS", help="no entry after such a closed loss"
        )
        parser.add_argument("--trades", type=arguments.quantity, metavar="N", help="at most N entries a session")
        parser.add_argument("--strategy", metavar="NAME", help="only what this strategy traded")
        parser.add_argument("--from", dest="first", type=arguments.day, metavar="DATE", help="first session (all)")

    def handle(self, **options: Any) -> None:
        account = names.account(options["name"]) if options["name"] else self.account()
        settings = Settings(
            size=options["size"],
            stop_after_losses=options["stop_after_losses"],
            stop_after_loss=options["stop_after_loss"],
            most_trades=options["trades"],
        )
        strategy = names.strategy(options["strategy"]) if options["strategy"] else None
        try:
            rules = backtests.rules_of(options["rules"], trade_date_of(now())) if options["rules"] else None
        except ValueError as error:
            raise WrongUsage(f"--rules: {error}") from error
        try:
            found = what_if.compare(
                account, settings, rules=rules, strategy=strategy, first=options["first"], now=now()
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        odds = found.odds or (None, None)
        columns = [_column(replayed, each) for replayed, each in zip((found.before, found.after), odds, strict=True)]
        rows = [{"figure": name, "as_traded": columns[0][name], "as_asked": columns[1][name]} for name in columns[0]]
        document = {
            "account": account.name,
            "settings": asdict(settings),
            "before": _plain(found.before, odds[0]),
            "after": _plain(found.after, odds[1]),
            "without_odds": found.why or None,
        }
        notes = [f"no odds: {found.why}"] if found.why else [f"odds from {_paths(odds[0])}"]
        self.show(document, Table(rows, ("figure", "as_traded", "as_asked"), ""), *notes)


def _column(replayed: Replayed, odds: Prospects | None) -> dict[str, Any]:
    told, outcome = replayed.figures, replayed.outcome
    return {
        "trades": str(told.trades),
        "net": str(Money(told.net, signed=True)),
        "won": None if told.win_rate is None else f"{told.win_rate:.1%}",
        "profit factor": None if told.profit_factor is None else f"{told.profit_factor:.2f}",
        "expectancy": _text(money(told.expectancy, signed=True)),
        "largest drawdown": str(Money(told.fall.amount)) if told.fall else "none",
        "worst day": _text(money(told.worst_day, signed=True)),
        "the firm's rules": None if outcome is None else f"{outcome.result} {outcome.day or ''}".strip(),
        "passes": None if odds is None or odds.passes is None else f"{odds.passes:.0%}",
        "is lost": None if odds is None else f"{odds.breaches:.0%}",
        "is lost today": None if odds is None else f"{odds.breaches_today:.1%}",
    }


def _text(value: Money | None) -> str | None:
    return None if value is None else str(value)


def _paths(odds: Prospects | None) -> str:
    if odds is None:
        return "nothing"
    return f"{odds.trades} own trades drawn {odds.paths:,} times, within {odds.sessions} sessions"


def _plain(replayed: Replayed, odds: Prospects | None) -> dict[str, Any]:
    outcome = replayed.outcome
    return {
        "figures": asdict(replayed.figures),
        "outcome": None if outcome is None else {"result": str(outcome.result), "day": outcome.day},
        "odds": None if odds is None else asdict(odds),
    }
