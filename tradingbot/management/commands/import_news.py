"""`manage.py import_news`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from market.sessions import CHICAGO
from tradingbot.management import arguments
from tradingbot.management.tables import Table
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.operations import news

_SHOWN = 20


class Command(TerminalCommand):
    help = "Read scheduled releases from a CSV file; an event that is known is brought up to date."
    example = "import_news calendar.csv --zone America/Chicago"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, metavar="FILE", help="at,kind,title[,minutes_before,minutes_after,action,symbols]"
        )
        parser.add_argument(
            "--zone", type=arguments.zone, default=CHICAGO, metavar="ZONE", help=f"of times that name none ({CHICAGO})"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        path, zone = options["file"], options["zone"]
        found = _look(path, zone)
        if found.problems:
            rows = [{"line": line, "problem": text} for line, text in found.problems[:_SHOWN]]
            self.show(asdict(found) | {"written": False}, Table(rows, ("line", "problem"), ""))
            line, text = found.problems[0]
            raise CommandError(f"FILE: {len(found.problems)} problem(s), nothing was written; line {line}: {text}")
        self.confirm(f"Write {found.new} new and {found.changed} changed event(s)?", yes=options["yes"])
        found = news.import_file(path, zone=zone, by=person())
        self.show(asdict(found) | {"written": True}, f"{found.new} event(s) written, {found.changed} changed")


def _look(path: Path, zone: str) -> news.Report:
    """Return what importing the file would do, without doing it."""
    try:
        with transaction.atomic():
            found = news.import_file(path, zone=zone, by=person())
            transaction.set_rollback(True)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"FILE: {path} cannot be read ({error})") from error
    return found
