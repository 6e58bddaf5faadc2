"""A rehearsal: another day, another clock, the simulated venue, and a folder of its own that each one begins anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from brokers.simulated import replay
from brokers.simulated.generator import GeneratedMarket
from brokers.simulated.products import front, product
from market.bars import Bars, moment
from market.calendar import generate
from market.sessions import NEW_YORK, Session, capture_at, flat_by, trade_date_of, tradeable
from tradingbot import clock, servers
from tradingbot.servers import ServerError
from tradingbot.supervisor.groups import end_leftovers
from tradingbot.supervisor.instance import single_instance

MARK = "TRADINGBOT_REHEARSAL"  # in the environment of the process that runs it: the session's date
BEGINS = time(9, 20)  # New York: ten minutes before the range is captured
_VENUES = ("VENUE_", "PROJECTX_")
"""How the variables begin that say which venue is traded and how: a rehearsal's is its own, on a port that is free."""
_LEFTOVERS_END = 15.0  # seconds; more than one call to the venue takes
_BACK = timedelta(days=14)
_AT_WORK = timedelta(minutes=1)  # after the capture the entries are at the venue, on a busy machine too
_WATCHED = timedelta(hours=2)  # after it: four minutes at the demo's speed


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is rehearsed: `speed` market seconds a second, `bars` of a file for `symbol` or generated ones."""

    session: Session
    speed: float
    seed: int
    symbol: str = "MNQ"
    bars: Path | None = None

    @property
    def begins_at(self) -> datetime:
        """Return when the clock starts, in New York's time of that date."""
        return datetime.combine(self.session.trade_date, BEGINS, ZoneInfo(NEW_YORK))

    def environment(self, given: Mapping[str, str], var: Path) -> dict[str, str]:
        """Return the environment of its processes: nothing of it reaches the user's databases, venue or channels.

        Raises ValueError for a speed that the clock does not take.
        """
        setting = f"{self.begins_at.isoformat()}@{self.speed:g}x"
        clock.parse(setting)
        venues = [name for name in given if name.startswith(_VENUES) and name != "VENUE_PORT"]
        return {
            **given,
            **dict.fromkeys(venues, ""),
            MARK: self.session.trade_date.isoformat(),
            "TRADINGBOT_CLOCK": setting,
            "VAR_DIR": str(var),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "TRADING_VENUE": "paper",
            "DISCORD_NOTIFICATIONS_ENABLED": "false",
            "OVERNIGHT_ENABLED": "true",
            "OVERNIGHT_SYMBOL": self.symbol,
            "VENUE_SEED": str(self.seed),
            "VENUE_REPLAY": f"{self.symbol}={self.bars}" if self.bars else "",
        }


def session_of(day: date | None, *, today: date, seed: int, bars: Path | None = None, symbol: str = "MNQ") -> Session:
    """Return the session of `day`, or the newest one worth rehearsing: not after `today`, whole in `bars` if given.

    Of generated prices one is worth it that shows a trade. Raises ValueError, naming the day, for one without a session
    or without time to trade in it.
    """
    if day is not None:
        found = generate(day, day)
        if not found or not tradeable(found[0]):
            why = "leaves no time to trade" if found else "is not a trading day"
            raise ValueError(f"--day {day}: {day:%A, %d %B %Y} {why}; choose another")
        return found[0]
    last = moment(int(replay.read(bars, product(symbol)).opened_at[-1])) if bars else None
    newest = trade_date_of(last) if last else today
    for session in reversed(generate(newest - _BACK, newest)):
        if tradeable(session) and (last >= flat_by(session) if last else _breaks_out(session, seed, symbol)):
            return session
    raise ValueError(f"there is no whole trading day in the two weeks before {newest}: choose one with --day")


def _breaks_out(session: Session, seed: int, symbol: str) -> bool:
    """Return whether the generated price leaves the overnight range once the entries work, and while one watches."""
    minutes = GeneratedMarket(seed).minutes(front(product(symbol), session.trade_date), session)
    at = capture_at(session)
    night, first = minutes.between(session.opens_at, at), minutes.between(at, at + _AT_WORK)
    watched = minutes.between(at + _AT_WORK, at + _WATCHED)

    def leaves(bars: Bars) -> bool:
        return bool(np.any(bars.high > night.high.max()) or np.any(bars.low < night.low.min()))

    return leaves(watched) and not leaves(first)


def begin_anew(var: Path) -> None:
    """Empty what an earlier rehearsal left in `var`: its processes, database, queues, market time and ledger.

    Whatever state a killed one was in, the next begins at once and from nothing; the servers themselves are kept.
    Raises StartError if one is running, ServerError if the servers cannot start.
    """
    import psycopg
    import redis

    with single_instance(var / "run"):
        end_leftovers(var / "run", seconds=_LEFTOVERS_END)
        (var / "clock.json").unlink(missing_ok=True)
        urls = servers.start(var)
        try:
            with psycopg.connect(urls.database, autocommit=True, connect_timeout=5) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                connection.execute("DROP SCHEMA public CASCADE")
                connection.execute("CREATE SCHEMA public")
            with redis.Redis.from_url(urls.redis, socket_timeout=5) as queues:
                queues.flushall()
        except (psycopg.Error, redis.RedisError) as error:
            raise ServerError(
                f"the rehearsal's servers do not answer ({type(error).__name__}): delete {var}"
            ) from error
        for file in var.glob("venue.sqlite3*"):
            file.unlink()


def running() -> bool:
    """Return whether this process is one of a rehearsal."""
    return MARK in os.environ
