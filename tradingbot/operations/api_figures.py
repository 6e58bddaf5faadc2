"""How the venue answered, how the cache served and what the streams brought, read from the rows of the last hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models.functions import Now
from redis import RedisError

from brokers.projectx import Outcome
from tradingbot.models import ApiMetric, Login
from tradingbot.operations import latencies, streaming
from tradingbot.operations.bars import counting

FINE = frozenset({Outcome.DONE, Outcome.REFUSED})
"""A refusal is an answer: the order was gone, the contract is not known. Everything else counts as an error."""


@dataclass(slots=True)
class Calls:
    """Calls to one endpoint; seconds, `p50` and `p99` rounded up to a bound of the buckets, None for old rows."""

    endpoint: str
    calls: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=latencies.nothing)

    @property
    def mean(self) -> float:
        return self.seconds / self.calls if self.calls else 0.0

    @property
    def p50(self) -> float | None:
        return latencies.quantile(self.buckets, 0.5, slowest=self.slowest)

    @property
    def p99(self) -> float | None:
        return latencies.quantile(self.buckets, 0.99, slowest=self.slowest)

    @property
    def errors(self) -> int:
        return sum(number for outcome, number in self.outcomes.items() if outcome not in FINE)

    @property
    def error_rate(self) -> float:
        return self.errors / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Cache:
    """Where days of bars came from since ever: memory and database are hits, the venue a miss."""

    memory: int
    database: int
    venue: int

    @property
    def hit_rate(self) -> float | None:
        total = self.memory + self.database + self.venue
        return (self.memory + self.database) / total if total else None


def calls(*, within: timedelta, login: Login | None = None) -> list[Calls]:
    """Return the calls of the last `within` of machine time by endpoint, the most called first."""
    found: dict[str, Calls] = {}
    rows = ApiMetric.objects.filter(at__gt=Now() - within - timedelta(minutes=5))
    for row in rows.filter(login=login) if login else rows:
        one = found.setdefault(row.endpoint, Calls(row.endpoint))
        one.calls += row.calls
        one.seconds += row.seconds
        one.slowest = max(one.slowest, row.slowest)
        one.outcomes[row.outcome] = one.outcomes.get(row.outcome, 0) + row.calls
        one.buckets = latencies.together(one.buckets, row.buckets)
    return sorted(found.values(), key=lambda one: (-one.calls, one.endpoint))


def cache() -> Cache | None:
    """Return how the cache of bars served, None while Redis cannot be asked."""
    try:
        counts = counting.counts()
    except RedisError:
        return None
    return Cache(**{source.value: counts[source] for source in counting.Source})


def streams() -> list[streaming.Delivery]:
    """Return what the stream of each enabled login says of itself."""
    return streaming.deliveries(Login.objects.filter(enabled=True).order_by("name"))
