"""Faults on purpose: named points before and after every commit and every call to the venue.

`TRADINGBOT_FAULTS=place.before_call=kill,book.after_commit=raise@2` lets the process that comes to a point for the
nth time die there, fail, or stand still; without the variable a point costs one comparison. Each fault happens once in
a VAR_DIR: the process that is started again goes on. Never with a real venue (`operations.places` refuses).
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "TRADINGBOT_FAULTS"
HANG_SECONDS = 20.0
"""Longer than a claim lives (15 s), shorter than the soft limit of a critical task (25 s)."""

_FAULT = re.compile(r"(?P<point>[a-z_]+\.[a-z_]+)=(?P<kind>kill|raise|hang)(@(?P<nth>[1-9]\d*))?")


class Injected(RuntimeError):
    """A fault that was asked for."""


@dataclass(slots=True)
class Fault:
    """What happens at a point when this process comes there for the `nth` time; `marker` is there once it happened."""

    kind: str
    nth: int
    marker: Path
    passed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self, name: str) -> None:
        with self.lock:
            self.passed += 1
            if self.passed != self.nth or not self._first():
                return
        match self.kind:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(HANG_SECONDS)
            case _:
                raise Injected(f"fault at {name}")

    def _first(self) -> bool:
        """Return whether no process struck here before, durably."""
        self.marker.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(self.marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        os.write(file, f"{os.getpid()}\n".encode())
        os.close(file)
        return True


def parse(text: str, var: Path) -> dict[str, Fault] | None:
    """Return the faults of TRADINGBOT_FAULTS by point, None for an empty text. Raises ValueError for a bad one."""
    faults: dict[str, Fault] = {}
    for part in filter(None, text.split(",")):
        match = _FAULT.fullmatch(part.strip())
        if not match:
            raise ValueError(f"{VARIABLE}: {part!r} is not <point>=kill|raise|hang[@nth]")
        marker = var / "faults" / f"{match['point']}.{match['kind']}"
        faults[match["point"]] = Fault(match["kind"], int(match["nth"] or 1), marker)
    return faults or None


def active() -> bool:
    """Return whether this process may be made to fail."""
    return _faults is not None


def point(name: str) -> None:
    """Let the fault of `name` happen, if one is asked for."""
    if _faults is not None and (fault := _faults.get(name)) is not None:
        fault.strike(name)


def _from_environment() -> dict[str, Fault] | None:
    var = Path(os.environ.get("VAR_DIR") or Path(__file__).resolve().parent.parent / "var")
    return parse(os.environ.get(VARIABLE, ""), var)


_faults = _from_environment()
