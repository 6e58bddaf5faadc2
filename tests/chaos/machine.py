"""What all scenarios of a test run share: the zygote, PostgreSQL, and a database prepared once, to be copied."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tradingbot import servers
from tradingbot.clock import Clock, parse
from tradingbot.servers import record

ROOT = Path(__file__).resolve().parent.parent.parent
ANCHOR = "2026-11-18T09:30:40-05:00"  # a Wednesday; scenarios begin here
SPEED = 2  # ticks come twice as often as in real time; a fast clock starves on a busy machine, as hints expire with it
TEMPLATE = "chaos_template"
SECRETS = {
    "SECRET_KEY": "the chaos signature",
    "ENCRYPTION_KEY": "the chaos cipher",
    "ADMIN_PASSWORD": "the chaos password",
    "VENUE_KEY": "the-chaos-api-key",
}


@dataclass(slots=True)
class Machine:
    """One per test process; PostgreSQL and the template are those of the whole run."""

    var: Path
    database: str
    zygote: subprocess.Popen[str]

    def fork(self, order: dict[str, Any]) -> int:
        """Start a process of the zygote and return its id."""
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(order) + "\n")
        self.zygote.stdin.flush()
        return int(self.zygote.stdout.readline())

    def url(self, name: str) -> str:
        """Return the address of a database of the run."""
        return self.database.rsplit("/", 1)[0] + f"/{name}"

    def copy(self, name: str) -> str:
        """Make a scenario's database from the template and return its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY".encode())
        return self.url(name)

    def port(self) -> int:
        """Return a free port that nothing else gets in this run, also while nobody listens on it.

        A scenario whose venue is dead met another scenario's there; our servers take theirs from `record.PORTS`.
        """
        for port in random.sample(range(10_000, record.PORTS.start), 1_000):
            if record.free_port(port) == port:
                with suppress(FileExistsError):
                    (self.var / "ports" / str(port)).touch(exist_ok=False)
                    return port
        raise AssertionError("no free port")

    def drop(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    @contextmanager
    def sharing(self, *, alone: bool) -> Iterator[None]:
        """Hold PostgreSQL together with other scenarios, or alone: then it may be restarted.

        Who waits to be alone holds the door: no other scenario begins meanwhile.
        """
        with (self.var / "postgres.lock").open("w") as lock:
            with (self.var / "door.lock").open("w") as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield


@contextmanager
def running(var: Path, run: str) -> Iterator[Machine]:
    """Start what scenarios share; the last test process of a run stops PostgreSQL."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "users.lock").open("w") as users, _zygote(var) as zygote:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (var / "start.lock").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            machine = Machine(var, servers.start(var, redis=False).database, zygote)
            _make_template(machine, run)
        yield machine
        fcntl.flock(users, fcntl.LOCK_UN)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        servers.stop(var)


def environment(var: Path, database: str, redis: str, venue_port: int, *, anchor: str, speed: float) -> dict[str, str]:
    """Return what every process of a scenario gets, and nothing of the user's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        **SECRETS,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(var),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "VENUE_PORT": str(venue_port),
        "TRADINGBOT_CLOCK": f"{anchor}@{speed:g}x",
        "DJANGO_SETTINGS_MODULE": "tradingbot.settings",
        "OVERNIGHT_ENABLED": "true",
        "PYTHONUNBUFFERED": "1",
        "LOG_LEVEL": "INFO",
    }


def start_clock(var: Path, anchor: str, speed: float) -> Clock:
    """Let a scenario's market time run from now on."""
    clock = Clock(parse(f"{anchor}@{speed:g}x"), var / "clock.json")
    clock.start()
    return clock


def _make_template(machine: Machine, run: str) -> None:
    """Migrate, prepare and connect once a run: contracts, calendar, bars, one account."""
    marker = machine.var / "template.run"
    if marker.exists() and marker.read_text() == run:
        return
    machine.drop(TEMPLATE)
    shutil.rmtree(machine.var / "ports", ignore_errors=True)
    (machine.var / "ports").mkdir()
    with psycopg.connect(machine.url("postgres"), autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):  # a copied database is as good as its template
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
    var = machine.var / "template"
    shutil.rmtree(var, ignore_errors=True)
    var.mkdir(parents=True)

    redis = servers.start(var, database=False).redis
    try:
        env = environment(
            var, machine.url(TEMPLATE), redis, machine.port(), anchor="2026-11-18T09:29:30-05:00", speed=SPEED
        )
        with (
            (var / "venue.log").open("wb") as log,
            subprocess.Popen(
                [sys.executable, "manage.py", "venue"], cwd=ROOT, env=env, stdout=log, stderr=log
            ) as venue,
        ):
            try:
                for command in ("prepare", "connect"):
                    subprocess.run(
                        [sys.executable, "manage.py", command], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
                    )
            finally:
                venue.terminate()
    finally:
        servers.stop(var)
    marker.write_text(run)


@contextmanager
def _zygote(var: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a zygote, one at a time: several that load everything at once starve each other on a busy machine."""
    with (var / "zygote.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.chaos.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "ENV_FILE": os.devnull},
        )
        assert process.stdout is not None
        word = process.stdout.readline()
    with process:  # ends when its stdin is closed
        if word != "ready\n":
            raise RuntimeError(f"the zygote said {word!r} and ended with {process.wait(60)}; its stderr says why")
        yield process
