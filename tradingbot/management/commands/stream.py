"""`manage.py stream`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from tradingbot.models import Login
from tradingbot.operations import places
from tradingbot.operations.streaming.clients import tokens
from tradingbot.operations.streaming.running import Stream

log = logging.getLogger(__name__)

_LOOK = 1.0
_SWITCH = 0.0005  # seconds after which a thread that computes lets another one on: the loop must not wait for bookings


class Command(BaseCommand):
    help = "Listen to the venue's hubs: fills booked, quotes and bars kept, as they happen. A second one stands by."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--login", help="name of the login; needed when several are enabled")

    def handle(self, *, login: str | None, **options: Any) -> None:
        sys.setswitchinterval(_SWITCH)
        row = _login(login)
        try:
            places.check(row)
            stream = Stream(row, tokens(row))
        except (ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error
        gc.collect()
        gc.freeze()  # what is loaded by now stays: a full collection would hold quotes up for a tenth of a second
        asyncio.run(_run(stream))


async def _run(stream: Stream) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stream.run(stop)


def _login(name: str | None) -> Login:
    """Return the login to listen for; waits for PostgreSQL and for the first login. Raises CommandError."""
    while True:
        try:
            rows = list(Login.objects.filter(enabled=True, **({"name": name} if name else {})))
        except OperationalError as error:
            log.warning("waiting for PostgreSQL: %s", str(error).splitlines()[0])
            connection.close()
            rows = []
        if len(rows) > 1:
            names = ", ".join(row.name for row in rows)
            raise CommandError(f"several logins are enabled, name one with --login: {names}")
        if rows:
            return rows[0]
        time.sleep(_LOOK)
