"""`manage.py connect`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers.base import BrokerError
from tradingbot import clock
from tradingbot.operations import setup


class Command(BaseCommand):
    help = "Read from the venue what trading needs: accounts, contracts, bars; `up` does it before market time runs."
    requires_system_checks = []  # `prepare` has made them

    def handle(self, **options: Any) -> None:
        try:
            setup.connect_at_start(now=clock.now, progress=self.stdout.write)
        except BrokerError as error:
            raise CommandError(f"the venue: {error}") from error
