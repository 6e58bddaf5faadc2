"""One supervised worker with a database and a Valkey of its own, and what can be known of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import redis
from celery import Celery
from django.conf import settings

from tests.matrix.probes import NAME, TABLE
from tests.matrix.supervise import WORKER
from tradingbot.servers.valkey import Valkey
from tradingbot.transport import SETTINGS

T = TypeVar("T")


class Site:
    """Probes are numbered; each start of one is a row, so that a second start is seen."""

    def __init__(self, var: Path) -> None:
        self.var = var
        (var / "run").mkdir()
        self.valkey = Valkey(var)
        self.redis_url = self.valkey.start()
        self.database = settings.DATABASE_URL.rsplit("/", 1)[0] + f"/matrix_{os.getpid()}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "TRADINGBOT_CLOCK"},
            "VAR_DIR": str(var),
            "DATABASE_URL": self.database,
            "REDIS_URL": self.redis_url,
            "OVERNIGHT_ENABLED": "false",
        }
        self._number = 0
        self._publisher = Celery("matrix", fixups=[])
        self._publisher.conf.update(SETTINGS | {"broker_url": self.redis_url})

    # --- what happens to it

    @contextmanager
    def stopped(self, seconds: float) -> Iterator[None]:
        """Stop Valkey for `seconds`; the block runs when it is away."""
        self.valkey.stop()
        back_at = time.monotonic() + seconds
        yield
        rest(back_at - time.monotonic())
        self.valkey.start()

    def freeze(self, seconds: float) -> None:
        """Let Valkey hang for `seconds`: it takes connections and answers nothing."""
        process = psutil.Process(int((self.valkey.data / "valkey.pid").read_text()))
        process.suspend()
        rest(seconds)
        process.resume()

    def cut(self) -> int:
        """Close every client's connection at Valkey's end; return how many."""
        with redis.Redis.from_url(self.redis_url) as client:
            return int(client.client_kill_filter(_type="normal", skipme=True))

    # --- probes

    def publish(self, *, seconds: float = 0.0, countdown: float | None = None) -> int:
        """Send a probe and return its number."""
        self._number += 1
        self._publisher.send_task(
            NAME, kwargs={"number": self._number, "seconds": seconds}, queue="critical", countdown=countdown
        )
        return self._number

    def works_again(self, within: float) -> float:
        """Publish a probe a second until one starts; return the seconds that took."""
        began = time.monotonic()
        published: list[int] = []

        def started() -> bool:
            published.append(self.publish())
            rest(1.0)
            return bool(self.starts(published[0]))

        wait(started, "a start of a probe", within)
        return time.monotonic() - began

    def starts(self, first: int, last: int | None = None) -> list[int]:
        """Return the numbers from `first` on that started, each as often as it did."""
        found = self.rows("SELECT number FROM probe WHERE number >= %s ORDER BY number", [first])
        return [number for (number,) in found if last is None or number <= last]

    def ended(self, number: int) -> bool:
        return bool(self.rows("SELECT 1 FROM probe WHERE number = %s AND ended_at IS NOT NULL", [number]))

    # --- processes

    def leader(self, name: str = WORKER) -> psutil.Process | None:
        """Return the process that the supervisor started as `name`, None while it does not run."""
        try:
            process = psutil.Process(int(json.loads((self.var / "run" / f"{name}.pid").read_text())["pid"]))
            return process if process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None

    def children(self) -> list[psutil.Process]:
        leader = self.leader()
        return leader.children() if leader else []

    def rows(self, query: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, connect_timeout=5) as connection:
            return connection.execute(query.encode(), values).fetchall()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the supervisor and what it starts while the block runs."""
        server = self.database.rsplit("/", 1)
        with psycopg.connect(f"{server[0]}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {server[1]}".encode())
        try:
            subprocess.run([sys.executable, "manage.py", "prepare", "-v0"], env=self.environment, check=True)
            with psycopg.connect(self.database) as connection:
                connection.execute(TABLE.encode())
            with (self.var / "supervisor.txt").open("wb") as log:
                supervisor = subprocess.Popen(
                    [sys.executable, "-m", "tests.matrix.supervise"],
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            try:
                wait(lambda: self.rows("SELECT 1 FROM tradingbot_heartbeat HAVING count(*) = 2"), "the start", 120)
                yield
            finally:
                supervisor.send_signal(signal.SIGINT)
                supervisor.wait(90)
        finally:
            self.valkey.stop()
            with psycopg.connect(f"{server[0]}/postgres", autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {server[1]} WITH (FORCE)".encode())


def wait(look: Callable[[], T], what: str, seconds: float) -> T:
    """Return what `look` returns as soon as that is true."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if found := look():
            return found
        rest(0.2)
    raise AssertionError(f"{what} did not come within {seconds:g} s")


def rest(seconds: float) -> None:
    """Let machine time pass: it is what these scenarios are about."""
    threading.Event().wait(max(0.0, seconds))
