"""`manage.py prepare`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from brokers.base import BrokerError
from tradingbot.clock import now
from tradingbot.operations import setup


class Command(BaseCommand):
    help = "Migrate, make admin, login, rules, calendar; with --connect read accounts, contracts, bars from the venue."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connect", action="store_true", help="read from the venue what trading needs")

    def handle(self, *, connect: bool, **options: Any) -> None:
        with _patience():
            call_command("migrate", interactive=False, verbosity=options["verbosity"])
        try:
            for sentence in setup.prepare(now=now()):
                self.stdout.write(sentence)
            if connect:
                setup.connect(now=now(), progress=self.stdout.write)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except BrokerError as error:
            raise CommandError(f"the venue: {error}") from error


@contextmanager
def _patience() -> Iterator[None]:
    """Lift the limits of our everyday statements: on a busy machine a migration takes longer than any of them may."""
    limits = ("statement_timeout", "idle_in_transaction_session_timeout")
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {limit} = 0" for limit in limits))
    yield  # after an error the process ends, and the connection with it
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"RESET {limit}" for limit in limits))
