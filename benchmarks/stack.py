"""The real processes for a benchmark: own servers, own venue, market time standing still."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("VAR_DIR") or ROOT / "var") / "bench"
MORNING = "2026-11-18T09:30:03-05:00@30x"  # it stands still; the speed multiplies the request budget
SERVERS = ("DATABASE_URL", "REDIS_URL", "TRADING_VENUE")  # of the user: a benchmark has its own


@contextmanager
def servers(clock: str = MORNING) -> Iterator[None]:
    """Set the environment, start PostgreSQL and Valkey with empty data, migrate and prepare; stop them afterwards."""
    for name in SERVERS:
        os.environ.pop(name, None)
    os.environ |= ports() | {
        "VAR_DIR": str(VAR),
        "TRADINGBOT_CLOCK": clock,
        "DJANGO_SETTINGS_MODULE": "tradingbot.settings",
        "LOG_LEVEL": "WARNING",
    }
    from tradingbot import servers as ours

    clean()
    ours.start(VAR)
    try:
        import django

        django.setup()
        manage("prepare")
        yield
    finally:
        ours.stop(VAR)


def ports() -> dict[str, str]:
    """Return free ports for whatever listens, as environment."""
    return {name: str(_free_port()) for name in ("VENUE_PORT", "WEB_PORT", "FLOWER_PORT")}


def clean() -> None:
    """Stop servers that a killed benchmark left and remove its data."""
    from tradingbot import servers as ours

    ours.stop(VAR)
    shutil.rmtree(VAR, ignore_errors=True)


def manage(*arguments: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "manage.py"), *arguments], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python command of ours in a group of its own until the block ends."""
    log = (VAR / "bench.log").open("ab")
    child = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield child
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def venue() -> Iterator[str]:
    """Run the simulated venue and yield its address once it answers."""
    url = f"http://127.0.0.1:{os.environ['VENUE_PORT']}"
    with process("manage.py", "venue"):
        wait_for(lambda: _answers(f"{url}/api/Status/ping"), "the venue")
        yield url


def worker(queue: str, children: int = 2) -> object:
    """Run the worker of one queue."""
    return process(*f"-m tradingbot.processes.worker -Q {queue} -n {queue}@bench -c {children}".split())


def wait_for(condition: object, what: str, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > give_up:
            sys.exit(f"{what} did not come within {seconds:g} s; see {VAR}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=1).status == 200
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
