"""`manage.py prepare`."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.base import BrokerError
from tradingbot.clock import now
from tradingbot.operations import setup


class Command(BaseCommand):
    help = "Migrate, make admin, login, rules, calendar; with --connect read accounts, contracts, bars from the venue."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connect", action="store_true", help="read from the venue what trading needs")

    def handle(self, *, connect: bool, **options: Any) -> None:
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
