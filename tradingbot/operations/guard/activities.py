"""Things that go on side by side: each a thread of its own, so that one which hangs holds up no other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import Error, close_old_connections, connections

from brokers.base import BrokerError

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds after which an activity that failed is tried again."""


class Activity(threading.Thread):
    """Calls `round` again and again, after as many seconds as it returned, until it is told to end.

    went_well_at   monotonic time at which a round last did what it is for, or heard that the venue does not answer
    answered_at    when PostgreSQL last did
    lost           whether PostgreSQL failed the last round
    A daemon: a process that is to end does not wait for a thread that hangs in a dead connection.
    """

    def __init__(self, name: str, round: Callable[[], float]) -> None:
        super().__init__(name=name, daemon=True)
        self.went_well_at = self.answered_at = time.monotonic()
        self.lost = False
        self._round = round
        self._ending = threading.Event()
        self._hurry = threading.Event()
        self._trouble = ""

    def run(self) -> None:
        while not self._ending.is_set():
            started = time.monotonic()
            wait = self._once()
            self._hurry.wait(max(0.0, started + wait - time.monotonic()))
            self._hurry.clear()
        connections.close_all()

    def hurry(self) -> None:
        """Begin the next round at once."""
        self._hurry.set()

    def end(self) -> None:
        """Let the round in hand be the last."""
        self._ending.set()
        self._hurry.set()

    def _once(self) -> float:
        """Do one round and return the seconds until the next."""
        close_old_connections()
        wait, well = AGAIN, True
        try:
            wait = self._round()
            self._say("")
        except BrokerError as error:
            self._say(f"the venue: {error}")
        except Error as error:
            self._say(f"PostgreSQL: {type(error).__name__}: {error}".splitlines()[0])
            connections.close_all()
            self.lost = True
            return AGAIN
        except Exception as error:  # whatever it is, the account needs its guard
            well = False
            self._say(f"failed: {type(error).__name__}: {error}", trace=True)
        self.answered_at, self.lost = time.monotonic(), False
        if well:
            self.went_well_at = self.answered_at
        return wait

    def _say(self, trouble: str, *, trace: bool = False) -> None:
        """Log what is wrong once, and its end."""
        if trouble and trouble != self._trouble:
            log.log(logging.ERROR if trace else logging.WARNING, "%s: %s", self.name, trouble, exc_info=trace)
        elif self._trouble and not trouble:
            log.info("%s: goes on", self.name)
        self._trouble = trouble
