"""What every command at the prompt shares: what it reads, how it prints and how it fails.

Exit codes: 0 done; 1 refused, denied or not found; 2 something typed is wrong. An error is one line on stderr.
"""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import OperationalError, ProgrammingError, connections

from brokers.base import BrokerError, LoginFailed, NotSent, OutcomeUnknown, OverBudget, Refused
from tradingbot.management import names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Table, plain, render
from tradingbot.models import Account

_OTHER_SCHEMA = ("42P01", "42703")  # undefined table, undefined column


class _HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


class TerminalCommand(BaseCommand):
    """A command with --account and --json; `example` is what its help shows after `python manage.py`."""

    example: ClassVar[str] = ""
    requires_system_checks = []
    suppressed_base_arguments = {
        *("--version", "-v", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color")
    }

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"formatter_class": _HelpFormatter, "allow_abbrev": False}
        parser = super().create_parser(prog_name, subcommand, epilog=f"example: {self._example()}", **kwargs)
        parser.add_argument("--account", metavar="NAME", help="account, or the beginning of its name")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.error = _wrong_usage  # type: ignore[method-assign]
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Run what was typed at a shell; an error is one line and the exit code."""
        logging.getLogger().setLevel(logging.ERROR)  # what happens is printed by the command itself
        try:
            options = vars(self.create_parser(argv[0], argv[1]).parse_args(argv[2:]))
            self.execute(**options)
        except CommandError as error:
            self.stderr.write(str(error))
            sys.exit(error.returncode)
        except KeyboardInterrupt:
            self.stderr.write("interrupted; `python manage.py orders` and `positions` show what was done")
            sys.exit(130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our pipe has left
        finally:
            connections.close_all()

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.json: bool = options["json"]
        self._color = not options["no_color"]
        self._account_name: str | None = options["account"]
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(_database_error(error)) from error
        except (BrokerError, ImproperlyConfigured) as error:
            raise CommandError(_one_line(_venue_error(error))) from error

    def account(self) -> Account:
        """Return the account that --account names, or the default."""
        return names.account(self._account_name)

    def show(self, document: Any, *parts: Table | Mapping[str, Any] | str) -> None:
        """Print `parts`, or with --json the document alone."""
        if self.json:
            self.stdout.write(json.dumps(document, default=plain, indent=2, ensure_ascii=False))
            return
        terminal = self.stdout.isatty()
        width = shutil.get_terminal_size().columns
        for part in parts:
            self.stdout.write(render(part, terminal=terminal, color=terminal and self._color, width=width), ending="")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask once, unless --yes was given. Raises WrongUsage where nobody can answer, CommandError for a no."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise WrongUsage("--yes: there is no terminal to ask at; add --yes to do it without a question")
        self.stderr.write(f"{question} [y/N] ", lambda text: text, ending="")
        self.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("nothing was done: the answer was no")

    def progress(self, line: str) -> None:
        """Say on stderr how far a longer action is; stdout stays the result's."""
        self.stderr.write(line, lambda text: text)

    def _example(self) -> str:
        return f"python manage.py {self.example}"


def person() -> str:
    """Return who is at the prompt: the name of the user at this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _wrong_usage(message: str) -> NoReturn:
    raise WrongUsage(_one_line(f"{message.removeprefix('argument ')}; --help shows how it is written"))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _database_error(error: Exception) -> str:
    parameters = connections["default"].settings_dict
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if isinstance(error, ProgrammingError) and state:
        if state in _OTHER_SCHEMA:
            return "the database's tables are not this version's: run `python manage.py migrate`"
        raise error
    if state and not state.startswith(("08", "57P")):
        return _one_line(f"PostgreSQL gave up ({error}): try again")
    at = f"{parameters['HOST'] or 'localhost'}:{parameters['PORT'] or 5432}"
    said = str(error)
    if isinstance(error, ProgrammingError) or said.startswith(("connection is bad: ", "failed to resolve host")):
        return _one_line(f"DATABASE_URL: {said.removeprefix('connection is bad: ')}")
    _, answered, reason = said.rpartition(" failed: ")
    if answered and "Is the server running" not in reason:
        return _one_line(
            f"PostgreSQL at {at} refuses ({reason.removeprefix('FATAL:').strip()}): look at DATABASE_URL, or try again"
        )
    return f"PostgreSQL does not answer at {at}: start it with `make run`, or set DATABASE_URL"


def _venue_error(error: Exception) -> str:
    match error:
        case LoginFailed():
            return f"the venue refuses the login ({error}): check PROJECTX_USERNAME and PROJECTX_API_KEY"
        case OverBudget():
            return f"the venue's rate limit is used up ({error}): try again in {error.retry_after:.0f} s"
        case NotSent():
            return f"the venue does not answer ({error}), nothing was sent: start it with `make run`, or try again"
        case OutcomeUnknown():
            return f"the venue's answer was lost ({error}): look at `python manage.py orders` before anything else"
        case Refused():
            return f"the venue refused: {error}"
        case BrokerError():
            return f"the venue's answer cannot be read ({error}): try again"
        case _:
            return str(error)
