"""`manage.py leave`."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from tradingbot.management import leaving


class Command(BaseCommand):
    help = "Say what stays at the venue and offer once to flatten it; `up` asks before it stops the processes."
    requires_system_checks = []  # `prepare` has made them

    def handle(self, **options: Any) -> None:
        try:
            leaving.offer_flatten(self.stdout.write)
        except KeyboardInterrupt:
            sys.exit("it stays as it is")
