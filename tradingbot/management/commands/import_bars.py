"""`manage.py import_bars`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from market.sessions import NEW_YORK
from tradingbot.clock import now
from tradingbot.management import arguments, names
from tradingbot.management.tables import Table, text
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Contract
from tradingbot.operations import bars

_SHOWN = 20


class Command(TerminalCommand):
    help = "Read 1-minute bars from a CSV or Parquet file into the cache, after showing what is in it."
    example = "import_bars NQ_1m.csv.gz MNQ --zone America/Chicago"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, metavar="FILE", help="timestamp,open,high,low,close,volume as .csv, .gz, .parquet"
        )
        parser.add_argument("symbol", metavar="SYMBOL", help="contract that the bars are of, for example MNQ")
        parser.add_argument(
            "--zone",
            type=arguments.zone,
            default=NEW_YORK,
            metavar="ZONE",
            help=f"of timestamps that name none ({NEW_YORK})",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        contract = names.contract(options["symbol"], self.account())
        path, zone = options["file"], options["zone"]
        report = _look(path, contract, zone)
        document = asdict(report) | {"contract": contract.name, "written": False}
        if report.problems:
            self.show(document, _problems(report))
            first = report.problems[0]
            raise CommandError(
                f"FILE: {len(report.problems)} problem(s), nothing was written; line {first.line}: {first.text}"
            )
        if not self.json:
            self.show(document, *_description(report))
        self.confirm(f"Write {report.new} new bar(s) of {contract} into the cache?", yes=options["yes"])
        report = bars.import_file(path, contract, zone=zone, now=now())
        self.show(asdict(report) | {"contract": contract.name, "written": True}, f"{report.new} bar(s) written")


def _look(path: Path, contract: Contract, zone: str) -> bars.Report:
    """Return what importing the file would do, without doing it."""
    try:
        with transaction.atomic():
            report = bars.import_file(path, contract, zone=zone, now=now())
            transaction.set_rollback(True)
    except OSError as error:
        raise CommandError(f"FILE: {path} cannot be read ({error.strerror or error})") from error
    return report


def _description(report: bars.Report) -> list[Table | dict[str, Any] | str]:
    facts: dict[str, Any] = {
        "bars": report.rows,
        "new": report.new,
        "sessions": report.sessions,
        "first": report.first,
        "last": report.last,
        "minutes_without_a_bar": report.missing,
    }
    if report.left_out:
        facts["left_out_after_an_early_close"] = report.left_out
        facts["early_closes"] = ", ".join(map(text, report.early_closes))
    longest = sorted(report.gaps, key=lambda gap: gap.minutes, reverse=True)[:_SHOWN]
    gaps = [{"from": gap.start, "until": gap.end, "minutes": gap.minutes} for gap in longest]
    title = f"the {len(gaps)} longest of {len(report.gaps)} stretches without bars"
    return [facts, "", Table(gaps, ("from", "until", "minutes"), "no stretch of 5 minutes without bars", title)]


def _problems(report: bars.Report) -> Table:
    rows = [{"line": problem.line, "problem": problem.text} for problem in report.problems[:_SHOWN]]
    return Table(rows, ("line", "problem"), "", f"{len(report.problems)} problem(s), the first {len(rows)}:")
