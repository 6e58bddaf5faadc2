"""The process that watches stops, flat times and unknown orders without queues: `operations.guard`."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tradingbot.processes.unseen import unseen

with unseen("rich"):  # httpx has a command line: 4 MB
    from tradingbot.operations.guard import Guard


class Command(BaseCommand):
    help = (
        "Watch every account: stops, flat times, orders of unknown outcome. It cancels, closes and places stops, never "
        "enters; needs no Redis, and goes on from memory when PostgreSQL is away. Runs until Ctrl-C."
    )
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        guard = Guard(settings.VAR_DIR)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: guard.end())
        guard.run()
