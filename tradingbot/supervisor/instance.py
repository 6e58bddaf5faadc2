"""One supervisor a folder, and no other program on its ports: both said in one sentence that names what to change."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class StartError(RuntimeError):
    """The system cannot start; the text is one sentence for the user."""


@contextmanager
def single_instance(run: Path) -> Iterator[None]:
    """Hold the lock of `run` while the block runs. Raises StartError if another supervisor holds it."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / "up.lock").open("a+")
    except OSError as error:
        raise StartError(f"{run} cannot be written ({error.strerror}): run as its owner, or set VAR_DIR") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StartError(
                f"it runs already, as process {lock.read().strip()}: stop that one with Ctrl-C or `kill`, "
                "or set VAR_DIR to another folder for a second system"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def running_as(run: Path) -> int | None:
    """Return the process id of the supervisor that holds the lock of `run`, None if none does."""
    file = run / "up.lock"
    if not file.exists():
        return None
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise StartError for the first port, given by its variable's name, on which another program listens."""
    for variable, port in ports.items():
        if occupied(port):
            raise StartError(f"port {port} is taken by another program: set {variable} to a free one")


def occupied(port: int) -> bool:
    """Return whether somebody listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:  # a listener that takes no connections
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
