"""One process of the Procfile: started in a session of its own, watched, started again after it ended."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tradingbot.supervisor import logfiles
from tradingbot.supervisor.groups import MARK, Group, mark
from tradingbot.supervisor.launching import Process, execute
from tradingbot.supervisor.procfile import Command

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
STOPPED_SECONDS = 60.0  # what a process may stand still on a signal, should a person look at it
HEALTHY_SECONDS = 60.0  # a process that lived so long starts again after the first delay


@dataclass(frozen=True, slots=True)
class Place:
    """Where the processes of one system run: working folder, pid files, logs, environment."""

    root: Path
    run: Path
    logs: Path
    environment: Mapping[str, str]


class Child:
    """A process and its restarts; every duration is machine seconds, `now` is `time.monotonic()`.

    probe    whether it answers; None: it counts as answering once it lived for a second, or by its heartbeats
    launch   how it is started
    """

    def __init__(
        self,
        name: str,
        command: Command,
        place: Place,
        probe: Callable[[], bool] | None = None,
        launch: Callable[[Command, Path, Mapping[str, str], Path], Process] = execute,
    ) -> None:
        self.name = name
        self.command = command
        self.place = place
        self.probe = probe
        self.launch = launch
        self.log_file = place.logs / f"{name}.log"
        self.started = 0.0
        self.answered = float("-inf")
        self._process: Process | None = None
        self._group: Group | None = None
        self._delay = 0.0
        self._due = 0.0
        self._kill_at = float("inf")
        self._stopped: dict[int, float] = {}

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def ready(self) -> bool:
        """Whether it answered since it was started."""
        return self.running and self.answered > self.started

    def silence(self, now: float) -> float:
        """Return for how long it runs without an answer; 0 while it is ending."""
        watched = self.running and self._kill_at == float("inf")
        return now - max(self.answered, self.started) if watched else 0.0

    def start(self) -> None:
        """Start the process; one that cannot be started counts as ended."""
        self.started = time.monotonic()
        environment = {**self.place.environment, MARK: mark(self.place.run), "PYTHONUNBUFFERED": "1"}
        try:
            self._process = self.launch(self.command, self.place.root, environment, self.log_file)
        except OSError as error:
            self._again(f"cannot be started: {error}")
            return
        try:
            created = psutil.Process(self._process.pid).create_time()
        except psutil.NoSuchProcess:
            created = 0.0
        self._group = Group(self.name, self._process.pid, created)
        self._group.write(self.place.run)

    def tick(self, now: float) -> None:
        """Notice its end, end it when its time to stop is over, start it again when that is due."""
        if self._process is None:
            if now >= self._due:
                self.start()
        elif (code := self._process.poll()) is not None:
            self._forget()
            self._again(f"ended with {code} after {now - self.started:.0f} s; {logfiles.last_line(self.log_file)}")
        elif now >= self._kill_at:
            self.kill()

    def ask_to_end(self, now: float, *, seconds: float) -> None:
        """Ask the leader to end, it alone so that it lets its own children finish; all are killed after `seconds`."""
        if self._process is not None and self._kill_at == float("inf"):
            self._process.terminate()
            self._kill_at = now + seconds

    def ended(self, now: float) -> bool:
        """Return whether the process has ended, without starting it again; killed when its time to stop is over."""
        if self._process is not None:
            if self._process.poll() is not None:
                self._forget()
            elif now >= self._kill_at:
                self.kill()
        return self._process is None

    def kill(self) -> None:
        """End the process and everything it started at once."""
        if self._group is not None:
            self._group.kill(self.place.run)

    def end_stopped(self, now: float) -> None:
        """Kill what a signal stopped for too long: a worker's child would hold its task for ever, unnoticed."""
        stopped = self._group.stopped() if self._group is not None and self.running else set()
        self._stopped = {pid: self._stopped.get(pid, now) for pid in stopped}
        for pid, since in self._stopped.items():
            if now - since >= STOPPED_SECONDS:
                log.error("%s: process %d was stopped for %.0f s and is ended", self.name, pid, STOPPED_SECONDS)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def forgive(self) -> None:
        """Forget for how long processes were stopped."""
        self._stopped = {}

    def _forget(self) -> None:
        self.kill()  # its own children, should it have died before them
        self._process, self._group, self._kill_at = None, None, float("inf")
        (self.place.run / f"{self.name}.pid").unlink(missing_ok=True)

    def _again(self, why: str) -> None:
        healthy = time.monotonic() - self.started >= HEALTHY_SECONDS
        self._delay = FIRST_DELAY if healthy or not self._delay else min(2 * self._delay, LONGEST_DELAY)
        self._due = time.monotonic() + self._delay
        log.warning("%s %s; again in %.0f s, see %s", self.name, why, self._delay, self.log_file)
