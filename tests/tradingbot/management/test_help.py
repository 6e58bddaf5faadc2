"""Every command explains itself: help, an example that parses, exit codes, a section in docs/commands.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import load_command_class

from tradingbot.management.terminal import TerminalCommand

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = [
    *("accounts", "balance", "pnl", "contracts", "history", "quote", "trade", "stop_bracket", "protect", "close"),
    *("flatten", "orders", "positions", "trades", "modify", "cancel", "strategies", "why", "halt", "resume"),
    *("reduce_only", "emergency_stop", "arm", "disarm", "rules", "import_news"),
    *("import_bars", "fetch_bars", "reconcile", "backtest", "portfolio", "optimise", "stats", "whatif"),
    *("rebuild_accounting", "drift", "metrics"),
]


def load(name: str) -> TerminalCommand:
    command = load_command_class("tradingbot", name)
    assert isinstance(command, TerminalCommand)
    return command


def test_every_command_of_ours_at_the_prompt_is_listed_here():
    folder = ROOT / "tradingbot" / "management" / "commands"
    shared = {
        file.stem for file in folder.glob("[a-z]*.py") if re.search("TerminalCommand|StopCommand", file.read_text())
    }
    assert shared == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_one_line_and_an_example_that_parses(name):
    command = load(name)
    parser = command.create_parser("manage.py", name)
    shown = parser.format_help()
    assert "\n" not in command.help
    assert command.help.endswith(".")
    assert shown.rstrip().endswith(f"example: python manage.py {command.example}")
    typed = shlex.split(command.example)
    assert typed[0] == name
    parser.parse_args(typed[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_an_example(name):
    sections = re.split(r"^### ", (ROOT / "docs" / "commands.md").read_text(), flags=re.MULTILINE)
    section = next(text for text in sections if text.startswith(f"{name}\n"))
    assert f"`python manage.py {name}" in section


def test_documentation_names_no_command_that_is_not_there():
    named = re.findall(r"^### (\w+)$", (ROOT / "docs" / "commands.md").read_text(), flags=re.MULTILINE)
    assert sorted(named) == sorted(COMMANDS)
