"""Times of the day in which a strategy may enter, as a person writes them: 09:30-11:00, 14:00-15:30."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WINDOW = re.compile(r"(\d{1,2}:\d\d)\s*[-–]\s*(\d{1,2}:\d\d)")


@dataclass(frozen=True, slots=True)
class Windows:
    """Times of day in `zone`, each from its beginning up to its end; one that ends before it begins spans midnight."""

    zone: ZoneInfo
    times: tuple[tuple[time, time], ...]

    def contains(self, at: datetime) -> bool:
        """Return whether `at` lies in one of them; True when there are none."""
        local = at.astimezone(self.zone).time()
        return not self.times or any(
            first <= local < last if first < last else local >= first or local < last for first, last in self.times
        )

    def __str__(self) -> str:
        return ", ".join(f"{first:%H:%M}-{last:%H:%M}" for first, last in self.times)


@lru_cache(maxsize=64)
def parse(text: str, zone: str) -> Windows:
    """Return the windows that `text` lists, separated by commas. Raises ValueError that says what would be right."""
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{zone!r} is not a time zone: write it like America/New_York") from error
    times = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _WINDOW.fullmatch(part)
        try:
            first, last = (time.fromisoformat(typed.zfill(5)) for typed in found.groups()) if found else (None, None)
        except ValueError:  # 25:61 looks like a time
            first = last = None
        if first is None or last is None or first == last:
            raise ValueError(f"{part!r} is not a window: write it like 09:30-11:00, several separated by commas")
        times.append((first, last))
    return Windows(where, tuple(times))
