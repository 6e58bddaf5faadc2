"""PostgreSQL and a Redis-compatible server from wheels, for a machine that has neither.

Used when DATABASE_URL or REDIS_URL is empty. Both listen on 127.0.0.1 only, each on a port of its own with a random
password; `<var>/servers.json` (mode 0600) says where. They outlive the process that started them: the next start adopts
a running one after it answered, and `stop` ends them cleanly.

Importing this package, and `urls`, need the standard library only: the settings ask before Django is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tradingbot.servers import record
from tradingbot.servers.record import ServerError

__all__ = ["ServerError", "Urls", "start", "stop", "urls"]


@dataclass(frozen=True, slots=True)
class Urls:
    """Addresses with passwords; empty where we run no such server."""

    database: str = ""
    redis: str = ""


def urls(var: Path) -> Urls:
    """Return the addresses that the last `start` wrote down, whether or not the servers run now."""
    known = record.load(var)
    return Urls(*(known[name].url if name in known else "" for name in ("postgres", "valkey")))


def start(var: Path, *, database: bool = True, redis: bool = True) -> Urls:
    """Start or adopt the asked servers and return their addresses; both answer and the database exists.

    Two starts at once wait for each other. Raises ServerError with one sentence that says what to do.
    """
    from tradingbot.servers.postgres import Postgres
    from tradingbot.servers.valkey import Valkey

    var = var.resolve()
    with record.lock(var):
        return Urls(
            database=Postgres(var).start() if database else "",
            redis=Valkey(var).start() if redis else "",
        )


def stop(var: Path) -> None:
    """Stop the servers of `var` that run: PostgreSQL after a checkpoint, Valkey after its log is on disk."""
    from tradingbot.servers.postgres import Postgres
    from tradingbot.servers.valkey import Valkey

    var = var.resolve()
    made = [(var / name).exists() for name in ("valkey", "postgres")]
    if not any(made):
        return
    with record.lock(var):
        if made[0]:
            Valkey(var).stop()
        if made[1]:
            Postgres(var).stop()
