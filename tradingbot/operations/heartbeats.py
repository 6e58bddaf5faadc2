"""Signs of life of processes and queues, in the machine's time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import FloatField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from tradingbot.models import Heartbeat

SILENT_AFTER = 90.0
_AGE = RawSQL("extract(epoch from clock_timestamp() - at)", (), output_field=FloatField())


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of `name`, `age` machine seconds ago."""

    name: str
    at: datetime
    age: float
    host: str
    pid: int | None
    note: str

    @property
    def alive(self) -> bool:
        return self.age < SILENT_AFTER


def beat(name: str, *, note: str = "") -> None:
    """Note that `name` ("beat", "worker-critical") lives in this process."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, at=Now(), host=socket.gethostname(), pid=os.getpid(), note=note[:200])],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["at", "host", "pid", "note"],
    )


def leave(name: str) -> None:
    """Take back that `name` lives in this process, so that nobody misses it."""
    Heartbeat.objects.filter(name=name, host=socket.gethostname(), pid=os.getpid()).delete()


def silent(names: Iterable[str], *, seconds: float = SILENT_AFTER) -> set[str]:
    """Return which of `names` gave no sign of life for `seconds`, or never."""
    wanted = set(names)
    alive = Heartbeat.objects.filter(name__in=wanted).annotate(age=_AGE).filter(age__lt=seconds)
    return wanted - set(alive.values_list("name", flat=True))


def overview() -> list[Sign]:
    """Return every known process and queue by name."""
    rows = Heartbeat.objects.annotate(age=_AGE).order_by("name")
    return [Sign(row.name, row.at, row.age, row.host, row.pid, row.note) for row in rows]
