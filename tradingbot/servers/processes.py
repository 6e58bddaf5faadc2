"""Whether a server's pid file still means a running server, and the tail of its log for errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def running(pid_file: Path, name: str) -> psutil.Process | None:
    """Return the process of `pid_file`, None unless it is a live `name` working in the pid file's folder.

    Both servers change into their data folder, so a reused pid or a copied folder is not mistaken for ours.
    """
    try:
        process = psutil.Process(int(pid_file.read_text().split(maxsplit=1)[0]))
        ours = process.name() == name and Path(process.cwd()).samefile(pid_file.parent)
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether `condition` came true within `seconds` of the machine."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True


def open_log(file: Path, *, limit: int = 5_000_000) -> Path:
    """Return the log file with its folder made; one over `limit` bytes is put aside as `.1`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > limit:
        file.replace(file.with_suffix(".log.1"))
    return file


def tail(file: Path, lines: int = 5) -> str:
    """Return the last lines of a log in one line."""
    text = file.read_text(errors="replace") if file.exists() else ""
    return " | ".join(line.strip() for line in text.splitlines()[-lines:])
