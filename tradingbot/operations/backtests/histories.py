"""The cached bars as a strategy would have seen them: by contract month, with the daily series known at the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from backtest.simulation import Stretch
from market.bars import Bars, Timeframe, epoch, join
from market.sessions import Session
from strategies import Strategy as Kind
from tradingbot.models import BarHour, Contract
from tradingbot.operations import bars, calendar, contracts
from tradingbot.operations.bars.storing import Day, days, load

_SESSIONS_IN = {"d": 1, "w": 5, "M": 23}
_MINUTES_OF_SESSION = 1380


class NoBars(Exception):
    """The cache holds nothing to simulate; the message says what there is."""


@dataclass(frozen=True, slots=True)
class History:
    """What the cache knows of a product between two dates.

    sessions   traded dates with bars, oldest first
    holes      dates whose session is not known to its end: no order is placed there after the first missing minute
    """

    stretches: tuple[Stretch, ...]
    sessions: tuple[date, ...]
    holes: tuple[date, ...]
    months: tuple[str, ...]


def history(
    contract: Contract,
    needs: Iterable[tuple[Kind, Any]],
    *,
    first: date | None,
    last: date | None,
    now: datetime,
    details: bool = False,
) -> History:
    """Return the bars of `contract` and the months before it, each where it was the front month.

    needs      strategies with their parameters, for which enough bars before each stretch are read
    details    also read the second bars, where there are some
    Raises NoBars, ValueError if `last` is before `first`.
    """
    if first and last and last < first:
        raise ValueError(f"the range ends on {last}, before it begins on {first}")
    known = _known([contract, *contracts.before(contract)])
    if not known:
        raise NoBars(f"no bar of {contract.symbol} is in the cache: import some with import_bars, or run the venue")
    begins, ends = first or min(known), last or max(known)
    calendar.ensure_calendar(now=now, since=min(known))
    sessions = calendar.between(begins, ends)
    traded = [session for session in sessions if session.trade_date in known]
    if not traded:
        raise NoBars(
            f"no bar of {contract.symbol} between {begins} and {ends} is in the cache: it holds "
            f"{min(known)} to {max(known)}"
        )
    needed = _needed(needs)
    groups = _groups(sessions, known)
    stretches = [_stretch(group, known, needed, details=details) for group in groups]
    holes = [session.trade_date for session in traded if not known[session.trade_date][1].complete]
    months = dict.fromkeys(known[session.trade_date][0].name for session in traded)
    return History(tuple(stretches), tuple(session.trade_date for session in traded), tuple(holes), tuple(months))


Known = dict[date, tuple[Contract, Day]]


def _known(months: Sequence[Contract]) -> Known:
    """Return by date the front month and its stored day, of all dates that have bars.

    The front month is the one that traded more in the session before, by minutes where the volume is not known; never
    one that expires earlier than the front month of the day before.
    """
    stored: dict[date, dict[int, Day]] = defaultdict(dict)
    for age, month in enumerate(months):  # the newest first
        for day in days(month, date.min, date.max):
            if day.version.bars:
                stored[day.trade_date][age] = day
    known: Known = {}
    front, before = len(months) - 1, dict[int, Day]()
    for trade_date, choices in sorted(stored.items()):
        shared = [age for age in choices if age in before]
        if len(shared) > 1:
            traded = {age: _traded(before[age]) for age in shared if age <= front}
            front = max(traded, key=lambda age: (traded[age], age), default=front)
        if front not in choices:
            front = min((age for age in choices if age <= front), key=lambda age: front - age, default=max(choices))
        known[trade_date] = months[front], choices[front]
        before = choices
    return known


def _traded(day: Day) -> tuple[int, int]:
    (found,) = load([day])
    return int(found.volume.sum()), len(found)


def _groups(sessions: Sequence[Session], known: Known) -> list[list[Session]]:
    """Return the sessions that one daily series serves: of one month, without a hole before the last of them."""
    groups: list[list[Session]] = []
    before: tuple[Contract, Day] | None = None
    for session in sessions:
        found = known.get(session.trade_date)
        if found is not None:
            if before is None or before[0] != found[0] or not before[1].complete:
                groups.append([])
            groups[-1].append(session)
        before = found
    return groups


def _needed(needs: Iterable[tuple[Kind, Any]]) -> dict[Timeframe, int]:
    """Return how many bars of each frame the hungriest strategy wants."""
    needed: dict[Timeframe, int] = {}
    for kind, params in needs:
        wanted = dict.fromkeys(kind.timeframes(params), 0) | kind.warm_up(params)
        for timeframe, count in wanted.items():
            needed[timeframe] = max(count, needed.get(timeframe, 0))
    return needed


def _stretch(group: list[Session], known: Known, needed: dict[Timeframe, int], *, details: bool) -> Stretch:
    month, final = known[group[-1].trade_date]
    opens_at = group[0].opens_at
    warm_up = calendar.recent(opens_at, needed.get(Timeframe.M1, 0) // _MINUTES_OF_SESSION + 4)
    sessions = calendar.between(warm_up[0].trade_date, group[-1].trade_date)
    base = join(load(days(month, sessions[0].trade_date, group[-1].trade_date)))
    longer = [count * _SESSIONS_IN[timeframe.unit] for timeframe, count in needed.items() if timeframe.unit in "dwM"]
    daily = None
    if longer:
        daily = bars.daily(month, sessions=max(longer) + len(sessions) + 1, now=group[-1].opens_at)
    return Stretch(
        contract=month.spec,
        base=base,
        sessions=tuple(sessions),
        daily=daily,
        first=group[0].trade_date,
        last=group[-1].trade_date,
        seen_until=None if final.complete else epoch(final.covered_until),
        details=_seconds(month, group) if details else None,
    )


def _seconds(month: Contract, group: list[Session]) -> Bars | None:
    """Return the shortest second bars that are kept of the group's sessions."""
    rows = BarHour.objects.filter(
        contract=month, opened_at__gte=group[0].opens_at, opened_at__lt=group[-1].closes_at
    ).order_by("seconds", "opened_at")
    shortest = rows.first()
    return join([row.bars for row in rows.filter(seconds=shortest.seconds)]) if shortest else None
