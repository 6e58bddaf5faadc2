"""`manage.py metrics`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from redis import RedisError

from tradingbot.management import arguments
from tradingbot.management.tables import Table
from tradingbot.management.terminal import TerminalCommand
from tradingbot.operations import api_figures, metrics, streaming

_CALLS = ("endpoint", "calls", "error_rate", "p50_ms", "p99_ms", "slowest_ms", "outcomes")
_STREAMS = ("login", "state", "quotes", "trades", "events", "booked", "gaps", "connects", "data_age_s")


class Command(TerminalCommand):
    help = "Show how the venue answered, how the cache of bars served and what the streams brought."
    example = "metrics --hours 2"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=arguments.hours, default=24, help="of machine time, 1 to 168 (default 24)")

    def handle(self, *, hours: int, **options: Any) -> None:
        try:
            metrics.snapshot()  # the rows lag up to five minutes behind
        except RedisError as error:
            self.progress(f"Redis does not answer ({type(error).__name__}): the last minutes are missing")
        calls = [_call(one) for one in api_figures.calls(within=timedelta(hours=hours))]
        cache = api_figures.cache()
        streams = [_stream(one) for one in api_figures.streams()]
        document = {"hours": hours, "calls": calls, "cache": _cache(cache), "streams": streams}
        self.show(
            document,
            Table(calls, _CALLS, f"no call to the venue in the last {hours} h", "Calls to the venue"),
            {"cache of bars": _words(cache)},
            Table(streams, _STREAMS, "no login is enabled", "Streams"),
        )


def _call(one: api_figures.Calls) -> dict[str, Any]:
    return {
        "endpoint": one.endpoint,
        "calls": one.calls,
        "error_rate": f"{one.error_rate:.2%}",
        "p50_ms": _ms(one.p50),
        "p99_ms": _ms(one.p99),
        "mean_ms": _ms(one.mean),
        "slowest_ms": _ms(one.slowest),
        "outcomes": ", ".join(f"{outcome} {number}" for outcome, number in sorted(one.outcomes.items())),
    }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _cache(cache: api_figures.Cache | None) -> dict[str, Any] | None:
    if cache is None:
        return None
    return {"memory": cache.memory, "database": cache.database, "venue": cache.venue, "hit_rate": cache.hit_rate}


def _words(cache: api_figures.Cache | None) -> str:
    if cache is None:
        return "not known: Redis does not answer"
    if cache.hit_rate is None:
        return "nothing was read yet"
    return (
        f"{cache.hit_rate:.1%} of the days were there "
        f"({cache.memory} from memory, {cache.database} from the database, {cache.venue} calls to the venue)"
    )


def _stream(delivery: streaming.Delivery) -> dict[str, Any]:
    status = delivery.status
    return {
        "login": delivery.login.name,
        "state": delivery.word,
        **{
            name: None if status is None else getattr(status, name)
            for name in ("quotes", "trades", "events", "booked", "unreadable", "gaps", "connects")
        },
        "data_age_s": delivery.age,
        "problems": [] if status is None else status.problems,
    }
