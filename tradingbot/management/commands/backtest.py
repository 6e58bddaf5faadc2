"""`manage.py backtest`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from strategies.parameters import ParameterError
from tradingbot.clock import now
from tradingbot.management import arguments, names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Figure, Money, Table
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import backtests, performance


class Command(TerminalCommand):
    help = "Simulate a strategy over the cached bars: trades, statistics, what the firm would have made of it."
    example = "backtest overnight_range MNQ --from 2026-01-02 --set stop_atr=2.5 --report report.html"

    def add_arguments(self, parser: CommandParser) -> None:
        add_wish(parser)
        add_results(parser)

    def handle(self, **options: Any) -> None:
        from backtest import compiled
        from tradingbot.operations.backtests import presenting

        contract = names.contract(options["symbol"], self.account())
        wish = wish_of(options, contract.symbol)
        compiled.kernel(self.progress)
        with bar(f"{wish.kind} on {contract.symbol}", shown=not self.json) as progress, refused():
            result, found = backtests.simulate(wish, contract, now=now(), progress=progress)
            odds = presenting.odds_of(result) if options["odds"] else None
        document = presenting.document(wish, result, found, odds)
        if options["save"]:
            from tradingbot.operations.backtests import records

            document["row"] = records.keep(wish, contract, result, found, odds, by=person()).pk
        if path := options["report"]:
            write_page(path, presenting.page(wish, result, found, odds))
            document["report"] = str(path)
        told = presenting.told(wish, result, found, odds)
        self.show(document, told, *presenting.notes(found), *groups(document["statistics"]["groups"]))
        for name in ("report", "row"):
            if name in document and not self.json:
                self.progress(f"{name}: {document[name]}")


def add_wish(parser: CommandParser) -> None:
    """Add what says which simulation is meant."""
    parser.add_argument("strategy", metavar="STRATEGY", help="a kind, or the name of a configured strategy")
    parser.add_argument("symbol", metavar="SYMBOL", help="for example MNQ")
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="K=V", help="a parameter; repeat")
    parser.add_argument(
        "--costs",
        choices=("table", "measured"),
        default="table",
        help="of the firm's table, or as real executions were charged and slipped (table)",
    )
    add_terms(parser)


def add_terms(parser: CommandParser) -> None:
    """Add the range, how bars are read, and whose rules judge."""
    parser.add_argument("--from", dest="first", type=arguments.day, metavar="DATE", help="first session (all)")
    parser.add_argument("--to", dest="last", type=arguments.day, metavar="DATE", help="last session (all)")
    parser.add_argument(
        "--slippage", type=_ticks, metavar="TICKS", help="on market and stop orders (1, or as measured)"
    )
    parser.add_argument(
        "--bars",
        choices=("pessimistic", "optimistic", "detail"),
        default="pessimistic",
        help="how a bar that reached two prices is read (pessimistic); detail asks the second bars",
    )
    parser.add_argument(
        "--firm",
        default="combine-50",
        metavar="TYPE",
        help=f"{', '.join(backtests.FIRMS)}, also with -dll (combine-50)",
    )


def add_results(parser: CommandParser) -> None:
    """Add what is made of the result besides telling it."""
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with charts that opens offline")
    parser.add_argument("--odds", action="store_true", help="also draw the days anew: odds of passing and breaching")
    parser.add_argument("--save", action="store_true", help="keep the result as a row of the admin")


def write_page(path: Path, page: str) -> None:
    """Write a page. Raises CommandError where that is not possible."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--report: {path} cannot be written ({error.strerror or error})") from error


def wish_of(options: dict[str, Any], symbol: str) -> backtests.Wish:
    """Return the wish that was typed. Raises WrongUsage for one that is not possible."""
    from backtest.codes import Policy

    with refused():
        kind, values = backtests.configured(options["strategy"])
        measured = _measured(symbol, kind) if options["costs"] == "measured" else None
        typed = options["slippage"]
        told = measured if typed is None else None
        slippage = typed if typed is not None else told.slippage if told is not None else 1
        wish = backtests.Wish(
            kind=kind,
            symbol=symbol,
            values={**values, **dict(map(_pair, options["values"]))},
            first=options["first"],
            last=options["last"],
            slippage=slippage,
            policy=Policy[options["bars"].upper()],
            firm=options["firm"],
            costs=None if measured is None else measured.costs,
            hourly=() if told is None else told.hourly,
            measured="" if told is None else told.source,
        )
        wish.check()
    return wish


def _measured(symbol: str, kind: str) -> performance.Measured:
    found = performance.measured(symbol, kind=kind)
    if found is None:
        raise ValueError(f"--costs: no execution of {symbol} has told its costs yet; use table")
    return found


@contextmanager
def refused() -> Iterator[None]:
    """Turn what is wrong about a wish into one line."""
    try:
        yield
    except ParameterError as error:
        raise WrongUsage(f"--set: {error}") from error
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    except backtests.NoBars as error:
        raise CommandError(str(error)) from error


@contextmanager
def bar(title: str, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr where a person looks, and yield what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=Console(stderr=True), disable=not shown or not sys.stderr.isatty(), transient=True
    ) as live:
        task = live.add_task(title, total=None)
        yield lambda done, of: live.update(task, completed=done, total=of)


def groups(found_by: dict[str, Any]) -> Iterator[Table | str]:
    """Yield a table of each group of trades."""
    columns = ("name", "trades", "net", "win_rate", "expectancy")
    for title, found in found_by.items():
        rows = [
            {
                **{name: group[name] for name in ("name", "trades")},
                "net": dollars(group["net"]),
                "win_rate": Figure(f"{group['win_rate']:.1%}"),
                "expectancy": dollars(group["expectancy"]),
            }
            for group in found
        ]
        yield ""
        yield Table(rows, columns, "", f"by {title}") if rows else f"by {title}: no trade"


def dollars(amount: float | None) -> Money | None:
    """Return a result in dollars, which shows its sign."""
    return None if amount is None else Money(Decimal(str(amount)), signed=True)


def _pair(typed: str) -> tuple[str, str]:
    name, equals, value = typed.partition("=")
    if not equals or not name:
        raise WrongUsage(f"--set: {typed!r} is not NAME=VALUE")
    return name.strip(), value


def _ticks(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and int(typed) <= 1000):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number of ticks from 0 to 1000")
    return int(typed)
