"""The log of a process is the file itself, not a pipe: a process outlives a killed supervisor and goes on writing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO

LIMIT = 10_000_000
KEPT = 3


def open_to_append(file: Path) -> IO[bytes]:
    """Open a log so that every write goes to its end, wherever that is after a rotation."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("ab")


def rotate(file: Path, *, limit: int = LIMIT) -> None:
    """Copy a log over `limit` bytes to `<name>.1` and empty it; older ones move on to `.2` and `.3`.

    The writer keeps its file open, so the file is emptied in place; a line written between copy and emptying is lost.
    """
    if not file.exists() or file.stat().st_size <= limit:
        return
    for number in range(KEPT, 1, -1):
        older = file.with_name(f"{file.name}.{number - 1}")
        if older.exists():
            older.replace(file.with_name(f"{file.name}.{number}"))
    shutil.copyfile(file, file.with_name(f"{file.name}.1"))
    os.truncate(file, 0)


def last_line(file: Path) -> str:
    """Return the last line that tells why a process ended: not what a multi-line error adds below its first line."""
    with file.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
        lines = stream.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip() and not line.startswith((" ", "LINE"))), "")
