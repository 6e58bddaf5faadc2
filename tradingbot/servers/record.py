"""What we know of our servers between two starts: `<var>/servers.json`, and the lock around changing it."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "servers.json"
# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections.
PORTS = range(20_000, 32_000)


class ServerError(RuntimeError):
    """A server cannot be started or stopped; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server: its address with password, process id (0 before it runs), port and data folder."""

    url: str
    pid: int
    port: int
    data: str


def load(var: Path) -> dict[str, Server]:
    """Return the recorded servers by name.

    A missing or damaged record is an empty one (`start` then makes new passwords), and so is the record of another
    folder: a copy of `var` must not lead to the servers of the original.
    """
    try:
        stored = json.loads((var / FILE).read_text())
        servers = {name: Server(**entry) for name, entry in stored.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
    return {name: server for name, server in servers.items() if server.data == str((var / name).resolve())}


def save(var: Path, name: str, server: Server) -> None:
    """Write one server into the record, readable by the owner alone."""
    servers = load(var)
    if servers.get(name) != server:
        stored = {key: asdict(value) for key, value in (servers | {name: server}).items()}
        write_private(var / FILE, json.dumps(stored, indent=1))


def write_private(file: Path, text: str) -> None:
    """Replace `file` by `text` in one step, mode 0600 from its first byte on."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


@contextmanager
def lock(var: Path) -> Iterator[None]:
    """Let one process at a time start or stop the servers of `var`, which is made when missing."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        file = open(var / "servers.lock", "w")  # noqa: SIM115  closed below
    except OSError as error:
        raise ServerError(
            f"{var} cannot be written: run as its owner, or set VAR_DIR to another folder ({error.strerror})"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if it can be listened on, else a random free port."""
    candidates = [wanted] * bool(wanted) + random.sample(PORTS, 100)
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")
