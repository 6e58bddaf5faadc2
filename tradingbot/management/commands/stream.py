"""`manage.py stream`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection

from tradingbot.models import Login
from tradingbot.operations import places
from tradingbot.operations.streaming.clients import tokens
from tradingbot.operations.streaming.running import Stream

log = logging.getLogger(__name__)

_LOOK, _LOOK_AGAIN = 1.0, 15.0
_SWITCH = 0.0001  # seconds after which a thread that computes lets another one on: the loop must not wait for bookings


class Command(BaseCommand):
    help = "Listen to the venue's hubs: fills booked, quotes and bars kept, as they happen. A second one stands by."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--login", help="name of the only login to listen for; all enabled ones without it")

    def handle(self, *, login: str | None, **options: Any) -> None:
        sys.setswitchinterval(_SWITCH)
        rows = _wait_for_logins(login)
        try:
            for row in rows:
                places.check(row)
            streams = [Stream(row, tokens(row)) for row in rows]
        except (ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error
        gc.collect()
        gc.freeze()  # what is loaded by now stays: a full collection would hold quotes up for a tenth of a second
        asyncio.run(_run(streams, login, _settings(rows)))


async def _run(streams: list[Stream], name: str | None, settings: set[tuple[Any, ...]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = asyncio.create_task(_end_with(settings, name, stop))
    try:
        async with asyncio.TaskGroup() as all_of_them:
            for stream in streams:
                all_of_them.create_task(stream.run(stop))
    finally:
        watch.cancel()


async def _end_with(settings: set[tuple[Any, ...]], name: str | None, stop: asyncio.Event) -> None:
    """Set `stop` when the logins are others than those that are listened for: the supervisor starts us again."""

    def look() -> set[tuple[Any, ...]]:
        close_old_connections()
        return _settings(_logins(name))

    with ThreadPoolExecutor(1, thread_name_prefix="logins") as thread:
        while not stop.is_set():
            await asyncio.sleep(_LOOK_AGAIN)
            with contextlib.suppress(DatabaseError, InterfaceError):
                if await asyncio.get_running_loop().run_in_executor(thread, look) != settings:
                    log.info("the logins have changed, this process ends")
                    stop.set()


def _logins(name: str | None) -> list[Login]:
    return list(Login.objects.filter(enabled=True, **({"name": name} if name else {})))


def _settings(logins: list[Login]) -> set[tuple[Any, ...]]:
    return {(login.pk, login.base_url, login.user_name, login.api_key) for login in logins}


def _wait_for_logins(name: str | None) -> list[Login]:
    """Return the logins to listen for; waits for PostgreSQL and for the first login."""
    while True:
        try:
            if rows := _logins(name):
                return rows
        except OperationalError as error:
            log.warning("waiting for PostgreSQL: %s", str(error).splitlines()[0])
            connection.close()
        time.sleep(_LOOK)
