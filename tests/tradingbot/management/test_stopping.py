"""Ctrl-C on a real terminal while a position is open: what stays is said, the question is asked once."""

from __future__ import annotations

import os
import pty
import select
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from market.orders import OrderStatus, Role
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Account, Order
from tradingbot.operations import orders, reconciliation

ROOT = Path(__file__).resolve().parents[3]
CTRL_C = b"\x03"
QUESTION = "Close it now? [y/N] "
STOPPED = "everything has stopped"

# What `manage.py up` does with its processes, with one instead of ten.
PROGRAM = """
import os, sys
from pathlib import Path
import django
django.setup()
from tradingbot.management.commands import up
from tradingbot.supervisor import Child, Place, Supervisor
var = Path(os.environ["VAR_DIR"])
(var / "run").mkdir()
worker = Child(
    "worker", (sys.executable, "-c", "import signal; signal.pause()"), Place(var, var / "run", var / "log", os.environ)
)
Supervisor([worker]).run(lambda: print("ready"), before_stop=up.leave)
print("everything has stopped" if not worker.running else "the worker was left")
"""


class Terminal:
    """A program behind a pseudo-terminal, and what it has shown so far."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.shown = ""
        self._pid, self._keyboard = pty.fork()
        if self._pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM], environment)

    def type(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def wait(self, text: str, times: int = 1) -> None:
        """Read until the screen shows `text`."""
        give_up = time.monotonic() + 60
        while self.shown.count(text) < times:
            readable, _, _ = select.select([self._keyboard], [], [], max(give_up - time.monotonic(), 0))
            assert readable, f"{text!r} did not come: {self.shown}"
            try:
                self.shown += os.read(self._keyboard, 65_536).decode().replace("\r\n", "\n")
            except OSError:  # the program has ended
                pytest.fail(f"it ended without {text!r}: {self.shown}")

    def close(self) -> int:
        """Wait for the end of the program and return its code."""
        self.wait(STOPPED)
        _, status = os.waitpid(self._pid, 0)
        os.close(self._keyboard)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def long(transactional_db, broker_queues, desk: Desk) -> Desk:
    """Three contracts bought, with stop and target at the venue."""
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    Order.objects.filter(role=Role.ENTRY, status=OrderStatus.CANCEL_PENDING).update(status=OrderStatus.CANCELLED)
    return desk


@pytest.fixture
def terminal(long: Desk, tmp_path: Path) -> Iterator[Terminal]:
    database = settings.DATABASE_URL.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    terminal = Terminal(
        {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tradingbot.settings",
            "DATABASE_URL": database,
            "REDIS_URL": settings.REDIS_URL,
            "VAR_DIR": str(tmp_path),
            "TRADINGBOT_CLOCK": f"{long.now.isoformat()}@1x",
            "PYTHONUNBUFFERED": "1",
        }
    )
    terminal.wait("ready")
    terminal.type(CTRL_C)
    terminal.wait(QUESTION)
    return terminal


def held(desk: Desk) -> int:
    """Return the size that the venue shows."""
    return sum(position.quantity for position in desk.broker.positions(desk.account.broker_account_id))


def test_the_screen_says_what_stays_and_a_no_leaves_it_there(terminal: Terminal, long: Desk):
    terminal.type(b"n\n")
    assert terminal.close() == 0
    assert terminal.shown.split("^C", 1)[1].splitlines() == [
        "Stays open at the venue: long 3 MNQ at 21,005.00 on 50KTC-V2-1-1",
        "  stop: sell 3 MNQ stop 20,995.00",
        "  target: sell 3 MNQ limit 21,020.00",
        QUESTION,
        "n",
        "It stays as it is. `manage.py flatten` closes it.",
        STOPPED,
    ]
    assert Account.objects.get().flatten_requested_at is None
    assert held(long) == 3


def test_a_yes_closes_it_before_the_processes_end(terminal: Terminal, long: Desk):
    terminal.type(b"y\n")
    pause = threading.Event()
    while not Account.objects.filter(flatten_requested_at__isnull=False).exists():
        pause.wait(0.02)
    account = Account.objects.select_related("login").get()
    while not orders.flatten(account, now=long.now):  # what the workers do, which still run
        Account.objects.filter(flat_seen_at__isnull=False).update(flat_seen_at=Now() - timedelta(seconds=3))
    terminal.wait("50KTC-V2-1-1 is flat.")
    assert terminal.close() == 0
    assert terminal.shown.count(QUESTION) == 1
    assert held(long) == 0


def test_a_second_ctrl_c_is_a_no_and_the_question_does_not_come_again(terminal: Terminal, long: Desk):
    terminal.type(CTRL_C)
    assert terminal.close() == 0
    assert terminal.shown.count(QUESTION) == 1
    assert Account.objects.get().flatten_requested_at is None
    assert held(long) == 3
