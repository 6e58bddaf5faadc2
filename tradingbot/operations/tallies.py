"""Calls of one process to the venue, counted in its memory and added to the rows: for guard, which has no Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import DateTimeField
from django.db.models.expressions import RawSQL

from brokers.projectx.gateway import Call
from tradingbot.models import ApiMetric, Login
from tradingbot.operations import latencies

_STRETCH = "date_bin('5 minutes', clock_timestamp(), 'epoch')"

Key = tuple[int, str, str]


@dataclass(slots=True)
class _Count:
    calls: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    buckets: list[int] = field(default_factory=latencies.nothing)

    def add(self, seconds: float) -> None:
        self.calls += 1
        self.seconds += seconds
        self.slowest = max(self.slowest, seconds)
        self.buckets[latencies.bucket(seconds)] += 1


class Tally:
    """Counts from every thread of the process; `flush` writes, from one of them. `source`: whose calls these are."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._counts: dict[Key, _Count] = {}

    def observer(self, login_id: int) -> Callable[[Call], None]:
        """Return what a gateway tells its calls to."""

        def observe(call: Call) -> None:
            with self._lock:
                self._counts.setdefault((login_id, call.endpoint, str(call.outcome)), _Count()).add(call.seconds)

        return observe

    def flush(self) -> int:
        """Add what was counted to the rows of the running five minutes; returns how many. Raises DatabaseError."""
        with self._lock:
            counts = dict(self._counts)
            self._counts = {}
        written = 0
        try:
            with transaction.atomic():
                for key, count in counts.items():
                    written += self._write(key, count)
        except BaseException:
            with self._lock:
                for key, count in counts.items():
                    self._put_back(key, count)
            raise
        return written

    def _write(self, key: Key, count: _Count) -> bool:
        login_id, endpoint, outcome = key
        if not Login.objects.filter(pk=login_id).exists():
            return False
        at = RawSQL(_STRETCH, (), output_field=DateTimeField())  # noqa: S611  a constant
        names = {"login_id": login_id, "endpoint": endpoint, "outcome": outcome, "source": self._source}
        row = ApiMetric.objects.select_for_update().filter(at=at, **names).first()
        if row is None:
            values = {"calls": count.calls, "seconds": count.seconds, "slowest": count.slowest}
            ApiMetric.objects.create(at=at, buckets=count.buckets, **names, **values)
            return True
        row.calls += count.calls
        row.seconds += count.seconds
        row.slowest = max(row.slowest, count.slowest)
        row.buckets = latencies.together(row.buckets, count.buckets)
        row.save(update_fields=["calls", "seconds", "slowest", "buckets"])
        return True

    def _put_back(self, key: Key, count: _Count) -> None:
        now = self._counts.setdefault(key, _Count())
        now.calls += count.calls
        now.seconds += count.seconds
        now.slowest = max(now.slowest, count.slowest)
        now.buckets = latencies.together(now.buckets, count.buckets)
