"""The only clock. Market time is `now()`; durations of the machine are `time.monotonic()`.

`TRADINGBOT_CLOCK=2026-11-18T09:20:00-05:00@30x` sets another origin and speed: until the supervisor writes the origin
(`start`) the clock stands at that instant, from then on every process counts from the same origin.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

MAX_SPEED = 30.0
_MIN_PERIOD = 0.1


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the clock starts and how many market seconds pass in one of the machine's."""

    at: datetime
    speed: float


def parse(text: str) -> Anchor | None:
    """Return the anchor of TRADINGBOT_CLOCK, None for an empty text (real time).

    Raises ValueError for anything but `<ISO time with zone>@<speed>x` with a speed in (0, 30].
    """
    if not text:
        return None
    match = re.fullmatch(r"(?P<at>[^@]+)@(?P<speed>\d+(\.\d+)?)x", text)
    try:
        if not match:
            raise ValueError(text)
        at, speed = datetime.fromisoformat(match["at"]), float(match["speed"])
    except ValueError as error:
        raise ValueError(
            f"TRADINGBOT_CLOCK={text!r}: write an instant with its zone and a speed, "
            "for example 2026-11-18T09:20:00-05:00@30x"
        ) from error
    if at.tzinfo is None:
        raise ValueError(f"TRADINGBOT_CLOCK={text!r}: the instant needs a zone, for example -05:00")
    if not 0 < speed <= MAX_SPEED:
        raise ValueError(f"TRADINGBOT_CLOCK={text!r}: the speed must be above 0 and at most {MAX_SPEED:g}")
    return Anchor(at.astimezone(UTC), speed)


class Clock:
    """Market time from an anchor and the origin file that all processes share; real time without an anchor."""

    def __init__(self, anchor: Anchor | None, origin_file: Path) -> None:
        self.anchor = anchor
        self._file = origin_file
        self._origin: float | None = None

    @property
    def speed(self) -> float:
        """Return market seconds a machine second."""
        return self.anchor.speed if self.anchor else 1.0

    def now(self) -> datetime:
        """Return market time, aware UTC."""
        if self.anchor is None:
            return datetime.now(UTC)  # noqa: TID251
        origin = self._origin or self._read_origin()
        if origin is None:
            return self.anchor.at
        return self.anchor.at + timedelta(seconds=(_machine() - origin) * self.anchor.speed)

    def started(self) -> bool:
        """Return whether market time runs."""
        return self.anchor is None or (self._origin or self._read_origin()) is not None

    def start(self) -> None:
        """Let market time run from the anchor on, for every process; a second call changes nothing."""
        if self.anchor is None or self.started():
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"anchor": self._name(), "origin": _machine()}))
        temporary.replace(self._file)

    def reset(self) -> None:
        """Put market time back to the anchor, where it stands until `start`."""
        self._file.unlink(missing_ok=True)
        self._origin = None

    def period(self, seconds: float) -> float:
        """Return the machine seconds of a polling period given in market seconds; never below 0.1."""
        return max(seconds / self.speed, _MIN_PERIOD) if self.anchor else seconds

    def _name(self) -> str:
        return f"{self.anchor.at.isoformat()}@{self.anchor.speed:g}x" if self.anchor else ""

    def _read_origin(self) -> float | None:
        try:
            stored = json.loads(self._file.read_text())
        except FileNotFoundError:
            return None
        if stored["anchor"] != self._name():
            return None  # of another rehearsal
        self._origin = float(stored["origin"])
        return self._origin


def _machine() -> float:
    return time.time()  # noqa: TID251  one time for all processes; monotonic clocks are not comparable after a reboot


def _from_environment() -> Clock:
    root = Path(__file__).resolve().parent.parent
    var = Path(os.environ.get("VAR_DIR") or root / "var")
    return Clock(parse(os.environ.get("TRADINGBOT_CLOCK", "")), var / "clock.json")


clock = _from_environment()
now = clock.now
speed = clock.speed

period = clock.period
