"""Process groups of ours, recognised by the mark that each of our processes carries in its environment."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

MARK = "TRADINGBOT_PROCESS"
_SAME_SECONDS = 1.0  # how far two readings of one process's creation time may lie apart (boot time is rounded)


@dataclass(frozen=True, slots=True)
class Group:
    """A process and all that descend from it; `pid` leads the group, `created` is in seconds since 1970."""

    name: str
    pid: int
    created: float

    def write(self, run: Path) -> None:
        """Remember the group in `<run>/<name>.pid` for a start after this one was killed."""
        temporary = run / f".{self.name}.{os.getpid()}"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(run / f"{self.name}.pid")

    def leader(self) -> psutil.Process | None:
        """Return the leading process while it lives; a later process with the same number is not it."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def members(self, run: Path) -> list[psutil.Process]:
        """Return the living processes of the group, those whose leader is gone included."""
        found = []
        for process in psutil.process_iter():
            try:
                grouped = os.getpgid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE
                if grouped and process.environ().get(MARK) == mark(run):
                    found.append(process)
            except (OSError, psutil.Error):
                continue  # it ended meanwhile, or is another user's
        return found

    def stopped(self) -> set[int]:
        """Return the ids of its processes that a signal stopped: they answer nothing and no time limit ends them."""
        leader = self.leader()
        if leader is None:
            return set()
        found = set()
        with suppress(psutil.Error):
            for process in (leader, *leader.children(recursive=True)):
                with suppress(psutil.Error):  # it ended meanwhile
                    if process.status() == psutil.STATUS_STOPPED:
                        found.add(process.pid)
        return found

    def kill(self, run: Path) -> None:
        """End what is left of the group at once."""
        if self.leader() or self.members(run):
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # it ended meanwhile


def mark(run: Path) -> str:
    """Return the value of MARK for the processes of the system whose pid files are in `run`."""
    return str(run)


def remembered(run: Path) -> list[Group]:
    """Return the groups that the pid files name; an unreadable file is removed."""
    groups = []
    for file in sorted(run.glob("*.pid")):
        try:
            groups.append(Group(**json.loads(file.read_text())))
        except (ValueError, TypeError):
            file.unlink(missing_ok=True)
    return groups


def end_leftovers(run: Path, *, seconds: float) -> list[str]:
    """End the groups that a killed supervisor left, asking first and killing after `seconds`; return their names."""
    groups = remembered(run)
    left = [group for group in groups if group.leader() or group.members(run)]
    for group in left:
        if leader := group.leader():
            leader.terminate()
    end = time.monotonic() + seconds
    while any(group.leader() for group in left) and time.monotonic() < end:
        time.sleep(0.05)
    for group in left:
        group.kill(run)
    for group in groups:
        (run / f"{group.name}.pid").unlink(missing_ok=True)
    return [group.name for group in left]
