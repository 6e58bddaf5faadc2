"""What runs where, and what is wrong with it."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tradingbot import doctor

STYLES = {"ok": "green", "warn": "yellow", "bad": "red"}


class Command(BaseCommand):
    help = "Say what runs where: servers, processes, ports, clock, venue, keys. Exit code 1 if something is broken."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print a list of objects for scripts")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        findings = doctor.examine()
        self._print_json(findings) if as_json else self._print_table(findings)
        if any(finding.verdict == "bad" for finding in findings):
            raise SystemExit(1)

    def _print_json(self, findings: list[doctor.Finding]) -> None:
        self.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2))

    def _print_table(self, findings: list[doctor.Finding]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        for finding in findings:
            verdict = Text(finding.verdict, style=STYLES[finding.verdict])
            table.add_row(finding.name.replace("_", " "), verdict, Text(finding.sentence))
        width = shutil.get_terminal_size().columns if self.stdout.isatty() else 200
        console = Console(file=io.StringIO(), width=width, force_terminal=self.stdout.isatty(), highlight=False)
        with console.capture() as captured:
            console.print(table)
        self.stdout.write(captured.get(), ending="")
