"""One scenario's system: its own database, Valkey, venue and market time, real processes, and what befalls them."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
from psycopg.rows import dict_row

from tests import checker
from tests.chaos.machine import ANCHOR, SECRETS, SPEED, Machine, environment, start_clock
from tradingbot import servers

T = TypeVar("T")


class System:
    """Processes by name, each with its children in a group of its own; `fresh` ones share no memory with the zygote."""

    def __init__(
        self, machine: Machine, var: Path, *, anchor: str = ANCHOR, speed: float = SPEED, fresh: bool = False
    ) -> None:
        self.machine = machine
        self.var = var
        self.began = time.monotonic()
        self.resumed: float | None = None
        self.name = f"chaos_{var.name.replace('-', '_').lower()}_{os.getpid()}"
        self.database = machine.copy(self.name)
        self.redis = servers.start(var, database=False).redis
        self.venue_port = machine.port()
        self.anchor, self.speed, self.fresh = anchor, speed, fresh
        self.env = environment(var, self.database, self.redis, self.venue_port, anchor=anchor, speed=speed)
        self.pids: dict[str, int] = {}
        self._born: dict[str, float] = {}
        self._driver: Any = None
        self._channel = socket.socket(socket.AF_UNIX)
        self._rescue: Callable[[], None] | None = None
        self.execute("UPDATE tradingbot_login SET base_url = %s, token = ''", [self.venue_url])

    @property
    def venue_url(self) -> str:
        return f"http://127.0.0.1:{self.venue_port}"

    @property
    def account_id(self) -> int:
        """Return the venue's id of the account."""
        return int(self.ledger("SELECT id FROM accounts")[0]["id"])

    @property
    def ledger_file(self) -> Path:
        return self.var / "venue.sqlite3"

    # --- processes

    def start(self, name: str, *argv: str, module: str = "", env: dict[str, str] | None = None) -> int:
        """Start `manage.py *argv`, or a module with these arguments, as process `name`."""
        order = {
            "argv": list(argv),
            "env": self.env | (env or {}),
            "log": str(self.var / f"{name}.log"),
            "fresh": self.fresh,
        } | ({"module": module} if module else {"path": "manage.py"})
        self.pids[name] = self.machine.fork(order)
        self._born[name] = _born(self.pids[name])
        return self.pids[name]

    def venue(self, *, standing: bool = False) -> None:
        """Start the venue and, unless it is to stand, market time; returns when it answers."""
        self.venue_again()
        wait(lambda: self._answers(f"{self.venue_url}/api/Status/ping"), "the venue", 60)
        if not standing:
            start_clock(self.var, self.anchor, self.speed)

    def venue_again(self) -> None:
        """Start the venue and do not wait for it."""
        self.start("venue", "venue")

    def worker(
        self, name: str = "worker", queues: str = "critical,high", children: int = 2, faults: str = "", **env: str
    ) -> None:
        env = {"TRADINGBOT_FAULTS": faults} | env
        self.start(
            name, "-Q", queues, "-c", str(children), "-n", f"{name}@%h", module="tradingbot.processes.worker", env=env
        )

    def beat(self, name: str = "beat") -> None:
        self.start(name, module="tradingbot.processes.beat")

    def guard(self, name: str = "guard", faults: str = "") -> None:
        self.start(
            name, "guard", "--settings", "tradingbot.guard_settings",
            env={"TRADINGBOT_FAULTS": faults, "DJANGO_SETTINGS_MODULE": "tradingbot.guard_settings"},
        )  # fmt: skip

    def stream(self, name: str = "stream", faults: str = "") -> None:
        self.start(name, "stream", env={"TRADINGBOT_FAULTS": faults})

    def alive(self, name: str) -> bool:
        return name in self.pids and 0 < _born(self.pids[name]) <= self._born[name]

    def signal(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process and all that it started; its number may be a stranger's by now."""
        if _born(self.pids[name]) <= self._born[name]:
            with suppress(ProcessLookupError):
                os.killpg(self.pids[name], number)
        if number is signal.SIGKILL:
            wait(lambda: not self.alive(name), f"the end of {name}", 10)

    def leave_a_note(self) -> None:
        """Write what our database knew into the scenario's folder: it is dropped with the scenario."""
        lines = []
        for table in ("order", "orderevent", "position", "fill", "account", "notification", "sessionstep"):
            with suppress(psycopg.Error):
                lines += [f"{table} {row}" for row in self.rows(f"SELECT * FROM tradingbot_{table} ORDER BY id")]
        (self.var / "database.txt").write_text("\n".join(lines))

    def stop(self) -> None:
        """End everything at once and drop the database."""
        if self._driver is not None:
            self._driver.close()
        self._channel.close()
        for name in self.pids:
            self.signal(name, signal.SIGKILL)
        servers.stop(self.var)
        self.machine.drop(self.name)

    def cpu(self) -> float:
        """Return the seconds of CPU that the running processes have used."""
        total = 0.0
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) in self.pids.values():
                    times = process.cpu_times()
                    total += times.user + times.system
        return total

    def struck(self) -> list[str]:
        """Return the faults that happened in our processes."""
        return sorted(file.name for file in (self.var / "faults").glob("*"))

    def rescue(self, act: Callable[[], None]) -> None:
        """Let `act` happen once, as soon as a fault has struck: what the supervisor and the other processes do."""
        self._rescue = act

    def wait(self, look: Callable[[], T], what: str, seconds: float = 60.0) -> T:
        """Wait as the function does; the rescue comes meanwhile."""

        def watched() -> T:
            if self._rescue is not None and self.struck():
                act, self._rescue = self._rescue, None
                act()
            return look()

        return wait(watched, what, seconds)

    # --- what web and people do

    def act(self, name: str, **arguments: Any) -> Any:
        """Call one of `acts` in the driver. Raises RuntimeError with what it said."""
        if self._driver is None:
            path = str(self.var / "driver.sock")
            self.start("driver", path, module="tests.chaos.driver")
            wait(lambda: _connected(self._channel, path), "the driver", 30)
            self._channel.settimeout(60)
            self._driver = self._channel.makefile("rw")
        self._driver.write(json.dumps([name, arguments]) + "\n")
        self._driver.flush()
        answer = json.loads(self._driver.readline())
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error']}")
        return answer["value"]

    def fault(self, kind: str, **fault: Any) -> None:
        """Let the venue go wrong."""
        self._ask_venue("POST", json.dumps({"type": kind} | fault).encode())

    def _ask_venue(self, method: str, body: bytes) -> None:
        token = (self.var / "venue.sqlite3.faults").read_text()
        request = urllib.request.Request(
            f"{self.venue_url}/_faults", data=body, method=method, headers={"authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"the venue refuses the fault: {error.read().decode()}") from error

    def fault_end(self) -> None:
        """Let the venue answer as it should again."""
        self._ask_venue("DELETE", b"")

    # --- what is known

    def execute(self, statement: str, values: list[Any] | None = None) -> None:
        with psycopg.connect(self.database, connect_timeout=5) as connection:
            connection.execute(statement.encode(), values)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.database, connect_timeout=5, row_factory=dict_row) as connection:
            return connection.execute(statement.encode()).fetchall()

    def one(self, statement: str) -> Any:
        """Return the only value of the only row."""
        ((value,),) = [row.values() for row in self.rows(statement)]
        return value

    def ledger(self, statement: str) -> list[sqlite3.Row]:
        """Ask the venue's book."""
        with closing(sqlite3.connect(f"file:{self.ledger_file}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            return db.execute(statement).fetchall()

    def facts(self) -> checker.Facts:
        logs = [*self.var.glob("*.log"), *self.var.glob("log/*")]
        return checker.read(
            self.rows,
            self.ledger_file,
            until=self.one("SELECT clock_timestamp() AS at"),
            texts=checker.texts(logs),
            secrets=list(SECRETS.values()),
            speed=self.speed,
        )

    def _answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def system(
    machine: Machine, var: Path, *, alone: bool = False, standing: bool = False, **options: Any
) -> Iterator[System]:
    """Yield a scenario's system with its venue running; everything is ended afterwards."""
    with machine.sharing(alone=alone):
        made = System(machine, var, **options)
        try:
            made.venue(standing=standing)
            yield made
        finally:
            made.leave_a_note()
            made.stop()


def _born(pid: int) -> float:
    """Return when the process with this number began, in seconds since 1970; 0 if there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def wait(look: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Return what `look` returns as soon as that is true; it may fail until then for a server that is away."""
    give_up, pause, last = time.monotonic() + seconds, threading.Event(), None
    while time.monotonic() < give_up:
        try:
            if found := look():
                return found
        except (psycopg.Error, sqlite3.OperationalError) as error:
            last = error
        pause.wait(0.1)
    raise AssertionError(f"{what} did not come within {seconds:g} s{f': {last}' if last else ''}")


def _connected(channel: socket.socket, path: str) -> bool:
    try:
        channel.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True
