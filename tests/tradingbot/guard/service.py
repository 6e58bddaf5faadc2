"""A desk whose venue another process can reach, in real time, and guard processes on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar
from urllib.parse import urlsplit

from brokers.simulated.tokens import Credentials
from tests.brokers.simulated.served import served
from tests.tradingbot.guard.wires import Wire, wire
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.clock import Clock, parse
from tradingbot.operations import venues

ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")
BLOCK = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("celery", "kombu", "redis"):
            raise ImportError(f"{name} is refused in this process")
sys.meta_path.insert(0, Refuse())
"""


def soon(look: Callable[[], T], *, seconds: float = 20.0, what: str = "it") -> T:
    """Return what `look` returns as soon as that is true."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


@dataclass
class Service:
    """What a guard process needs, and what it gets: the test's own PostgreSQL by a wire that can be cut."""

    desk: Desk
    database: str
    var: Path
    postgres: Wire
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(cls, database: str, var: Path) -> Iterator[Service]:
        """Market time runs from 10:00 New York of that Wednesday, for the venue and for guard the same."""
        desk = Desk.open()
        stage = SimpleNamespace(venue=desk.venue, now=lambda: desk.now)
        address = urlsplit(database)
        with (
            served(stage, credentials=Credentials("demo", "demo")) as url,
            wire(address.hostname or "127.0.0.1", address.port or 5432) as postgres,
        ):
            login = desk.account.login
            login.base_url = url
            login.save()
            venues.use(login, desk.broker)
            through = address._replace(netloc=f"{address.username}:{address.password}@127.0.0.1:{postgres.port}")
            service = cls(desk, through.geturl(), var, postgres)
            try:
                yield service
            finally:
                service.stop()

    def guard(self, *, blocked: bool = False, name: str = "guard", **environment: str) -> subprocess.Popen[bytes]:
        """Start guard with market time of the desk; `blocked` refuses to import Celery and Redis."""
        self.clock()
        path = str(self.var / "blocked")
        if blocked:
            Path(path).mkdir(exist_ok=True)
            (Path(path) / "sitecustomize.py").write_text(BLOCK)
        variables = os.environ | {
            "DATABASE_URL": self.database,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "VAR_DIR": str(self.var),
            "TRADINGBOT_CLOCK": f"{self.desk.now.isoformat()}@1x",
            **({"PYTHONPATH": path} if blocked else {}),
            **environment,
        }
        with (self.var / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "guard", "--settings", "tradingbot.guard_settings"],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.running.append(process)
        return process

    def clock(self) -> None:
        """Write the origin from which guard's market time runs: now is the desk's time."""
        clock = Clock(parse(f"{self.desk.now.isoformat()}@1x"), self.var / "clock.json")
        clock.start()

    def log(self, name: str = "guard") -> str:
        file = self.var / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
