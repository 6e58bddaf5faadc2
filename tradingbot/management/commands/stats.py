"""`manage.py stats`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from market.performance import Day, Figures, figures
from tradingbot.management import names
from tradingbot.management.tables import Money, Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Account, Strategy
from tradingbot.operations import performance

_PERIODS = {"day": "days", "week": "weeks", "month": "months"}
_SHOWN = 20  # periods, the newest


class Command(TerminalCommand):
    help = "Show what an account or a strategy has come to: figures, drawdown and who caused it, periods, hours."
    example = "stats overnight_range --by week"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="a strategy or an account (the default account)")
        parser.add_argument("--by", choices=_PERIODS, default="day", help="length of a period (day)")

    def handle(self, **options: Any) -> None:
        found = self._of(options["name"])
        document = found.plain()
        if not found.figures.trades:
            self.show(document, f"{found.name} has not closed a trade yet")
            return
        periods = getattr(found, _PERIODS[options["by"]])[-_SHOWN:]
        self.show(document, facts(found.figures), *_tables(found, periods, options["by"]))

    def _of(self, typed: str | None) -> performance.Performance:
        if typed is None:
            return performance.of_account(self.account())
        if Strategy.objects.filter(name=typed).exists() or not _is_account(typed):
            return performance.of_strategy(names.strategy(typed))
        return performance.of_account(names.account(typed))


def _is_account(typed: str) -> bool:
    return Account.objects.filter(enabled=True, name__istartswith=typed).exists()


def facts(told: Figures) -> dict[str, Any]:
    """Return the figures as a person reads them."""
    fall = told.fall
    return {
        "net": Money(told.net, signed=True),
        "gross": Money(told.gross, signed=True),
        "costs": Money(told.costs),
        "trades": f"{told.trades} in {told.sessions_traded} of {told.sessions} sessions",
        "won": None if told.win_rate is None else f"{told.won} ({told.win_rate:.1%})",
        "profit_factor": None if told.profit_factor is None else f"{told.profit_factor:.2f}",
        "expectancy": money(told.expectancy, signed=True),
        "average_win": money(told.average_win, signed=True),
        "average_loss": money(told.average_loss, signed=True),
        "average_risk": money(told.average_risk),
        "in_the_market": None if told.exposure is None else f"{told.exposure:.1%} of the time",
        "sharpe": None if told.sharpe is None else f"{told.sharpe:.2f}",
        "sortino": None if told.sortino is None else f"{told.sortino:.2f}",
        "drawdown": f"{Money(-fall.amount)}, {fall.peak or 'the beginning'} to {fall.bottom}" if fall else "none",
        "best_day": money(told.best_day, signed=True),
        "worst_day": money(told.worst_day, signed=True),
    }


def _tables(found: performance.Performance, periods: list[Day], by: str) -> Iterator[Table | str]:
    yield ""
    rows = [_period(day, by) for day in periods]
    yield Table(rows, (by, "trades", "won", "lost", "gross", "costs", "net"), "", f"by {by}")
    if len(found.parts) > 1:
        yield ""
        rows = [{"strategy": name, **_sums(days)} for name, days in found.parts.items()]
        yield Table(rows, ("strategy", "trades", "won", "lost", "gross", "costs", "net"), "", "by strategy")
    if found.causes:
        yield ""
        rows = [{"strategy": name, "session": day, "net": Money(net, signed=True)} for name, day, net in found.causes]
        yield Table(rows, ("strategy", "session", "net"), "", "largest losses of the drawdown")
    yield ""
    rows = [{**asdict(hour), "hour": f"{hour.hour:02}:00"} for hour in found.hours]
    for row in rows:
        row |= {name: Money(row[name], signed=name == "net") for name in ("net", "costs", "slippage")}
    yield Table(rows, ("hour", "trades", "net", "costs", "slippage"), "", "by hour of the entry, New York")


def _period(day: Day, by: str) -> dict[str, Any]:
    first = day.session_date
    name = {"day": str(first), "week": f"{first} – {first + timedelta(days=4):%m-%d}", "month": f"{first:%Y-%m}"}[by]
    return {by: name, **_sums([day])}


def _sums(days: list[Day]) -> dict[str, Any]:
    whole = figures(days)
    return {
        "trades": whole.trades,
        "won": whole.won,
        "lost": whole.lost,
        "gross": Money(whole.gross, signed=True),
        "costs": Money(whole.costs),
        "net": Money(whole.net, signed=True),
    }
