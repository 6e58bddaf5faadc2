"""The cache itself: packed days in PostgreSQL, the newest of them in this process's memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import NamedTuple

import numpy as np
from django.db import transaction
from django.db.models import Count, Max, Min

from market.bars import Bars, epoch, join, merge, moment, pack, unpack
from market.sessions import Session, regular_session
from tradingbot.models import BarDay, Contract
from tradingbot.operations import calendar, statements
from tradingbot.operations.bars.counting import Source, count

MINUTE = timedelta(minutes=1)
_DAYS_IN_MEMORY = 400  # 31 MB when all of them are full and every delta is known


class Version(NamedTuple):
    """What changes whenever a stored day changes."""

    pk: int
    updated_at: datetime
    covered_until: datetime
    bars: int


@dataclass(frozen=True, slots=True)
class Day:
    """A stored day; no bar before `covered_until` is missing, a minute without one had no trade there."""

    trade_date: date
    version: Version
    complete: bool

    @property
    def covered_until(self) -> datetime:
        return self.version.covered_until


class _Memory:
    """The days that this process read last, by version."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._days: OrderedDict[Version, Bars] = OrderedDict()
        self._lock = Lock()

    def get(self, version: Version) -> Bars | None:
        with self._lock:
            if (bars := self._days.get(version)) is not None:
                self._days.move_to_end(version)
            return bars

    def put(self, version: Version, bars: Bars) -> None:
        with self._lock:
            self._days[version] = bars
            while len(self._days) > self._size:
                self._days.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._days.clear()


memory = _Memory(_DAYS_IN_MEMORY)


def record(
    contract: Contract,
    trade_date: date,
    bars: Bars,
    *,
    source: str,
    covered_until: datetime,
    now: datetime,
    covered_from: datetime | None = None,
) -> int:
    """Merge closed 1-minute bars into their day; where a minute is there already the new bar replaces it.

    covered_from, covered_until   no bar that opened in between is missing; from the session's open by default. What is
                                  covered grows only without a hole: later bars are kept, but wait for the hole's.
    Returns how many minutes are new. Raises ValueError for bars outside of the session, or not closed by `now`.
    """
    session = calendar.session_for(trade_date) or regular_session(trade_date)
    return record_in(
        contract, session, bars, source=source, covered_until=covered_until, now=now, covered_from=covered_from
    )


def record_in(
    contract: Contract,
    session: Session,
    bars: Bars,
    *,
    source: str,
    covered_until: datetime,
    now: datetime,
    covered_from: datetime | None = None,
) -> int:
    """Do the same for a session that the caller has read from the calendar."""
    outside = len(bars) and (
        bars.opened_at[0] < epoch(session.opens_at) or bars.opened_at[-1] >= epoch(session.closes_at)
    )
    if outside or (len(bars) and moment(bars.opened_at[-1]) + MINUTE > now):
        raise ValueError(
            f"{contract} {session.trade_date}: bars from {moment(bars.opened_at[0])} to {moment(bars.opened_at[-1])} "
            f"are not closed bars of the session {session.opens_at} to {session.closes_at}"
        )
    with transaction.atomic():
        row, made = _locked(contract, session, source, now)
        old = row.bars
        merged = _merged(old, bars)
        until = row.covered_until
        if (covered_from or session.opens_at) <= until:
            until = max(until, min(covered_until, session.closes_at))
        complete = until >= session.closes_at
        if not made and merged is old and (until, complete) == (row.covered_until, row.complete):
            return 0
        row.data, row.count, row.covered_until, row.complete = pack(merged), len(merged), until, complete
        row.source = source
        row.updated_at = now if made else max(now, row.updated_at + datetime.resolution)  # a version never comes twice
        row.save(update_fields=["data", "count", "covered_until", "complete", "source", "updated_at"])
    return len(merged) - len(old)


def _merged(old: Bars, new: Bars) -> Bars:
    """Return both as one; `old` itself if `new` says nothing else."""
    both = merge(old, new) if len(new) else old
    pairs = zip((*both.columns, both.deltas), (*old.columns, old.deltas), strict=True)
    same = len(both) == len(old) and all(np.array_equal(one, other) for one, other in pairs)
    return old if same else both


def _locked(contract: Contract, session: Session, source: str, now: datetime) -> tuple[BarDay, bool]:
    """Return the day's row, locked, and whether it was made for this."""
    rows = BarDay.objects.select_for_update(of=("self",))
    wanted = {"contract": contract, "trade_date": session.trade_date}
    empty = {"data": pack(Bars.empty()), "count": 0, "covered_until": session.opens_at}
    return rows.get_or_create(**wanted, defaults={**empty, "source": source, "updated_at": now})


def days(contract: Contract, first: date, last: date) -> list[Day]:
    """Return what is stored of the days `first` to `last`, oldest first, without their bars."""
    rows = BarDay.objects.filter(contract=contract, trade_date__range=(first, last)).order_by("trade_date")
    columns = rows.values_list("trade_date", "complete", "pk", "updated_at", "covered_until", "count")
    return [
        Day(trade_date, Version(pk, updated_at, until, number), complete)
        for trade_date, complete, pk, updated_at, until, number in columns
    ]


def known_sessions(contract: Contract) -> tuple[date | None, date | None, int]:
    """Return first, last and number of the sessions that a product has bars of, in any of its months."""
    rows = BarDay.objects.filter(contract__symbol=contract.symbol, contract__venue=contract.venue, count__gt=0)
    found = rows.aggregate(first=Min("trade_date"), last=Max("trade_date"), number=Count("trade_date", distinct=True))
    return found["first"], found["last"], found["number"]


def load(wanted: list[Day], *, keep: bool = True) -> list[Bars]:
    """Return the bars of `wanted` in the same order: from memory, else from PostgreSQL in one query.

    keep   for the next question; not those of which only a summary is wanted
    """
    found = {day.version: memory.get(day.version) for day in wanted}
    absent = [version.pk for version, bars in found.items() if bars is None]
    if absent:
        stored = dict(BarDay.objects.filter(pk__in=absent).values_list("pk", "data"))
        for version, bars in found.items():
            if bars is None:
                found[version] = unpacked = unpack(bytes(stored[version.pk]))
                if keep:
                    memory.put(version, unpacked)
        count(Source.DATABASE, len(absent))
    if len(wanted) > len(absent):
        count(Source.MEMORY, len(wanted) - len(absent))
    return [bars for day in wanted if (bars := found[day.version]) is not None]


def base(contract: Contract, *, since: date, now: datetime) -> Bars:
    """Return the cached 1-minute bars of the sessions from `since` on that are closed by `now`, in PostgreSQL alone."""
    parts = load(days(contract, since, date.max))
    joined = join(parts)
    return joined[: int(np.searchsorted(joined.opened_at, epoch(now - MINUTE), "right"))]


def last_price(contract: Contract) -> tuple[Decimal, datetime] | None:
    """Return the close of the newest bar and when it closed, None without bars."""
    newest = BarDay.objects.filter(contract=contract, count__gt=0).order_by("-trade_date").first()
    if newest is None:
        return None
    bar = next(iter(newest.bars[newest.count - 1 :]))
    return contract.spec.price(bar.close), moment(bar.opened_at) + MINUTE


_NEWEST = """
SELECT c.id, c.tick_size, day.id, day.updated_at, day.covered_until, day.count
FROM tradingbot_contract c CROSS JOIN LATERAL (
    SELECT id, updated_at, covered_until, count FROM tradingbot_barday
    WHERE contract_id = c.id AND count > 0 ORDER BY trade_date DESC LIMIT 1) day
WHERE c.id = ANY(%(contracts)s)
"""


def last_prices(contract_ids: list[int]) -> dict[int, Decimal]:
    """Return the close of the newest bar of each contract that has one, by contract, in one or two statements."""
    if not contract_ids:
        return {}
    rows = statements.rows(_NEWEST, {"contracts": contract_ids})
    newest = {contract: (tick, Version(*version)) for contract, tick, *version in rows}
    known = {version: memory.get(version) for _, version in newest.values()}
    absent = [version for version, bars in known.items() if bars is None]
    stored = dict(BarDay.objects.filter(pk__in=[v.pk for v in absent]).values_list("pk", "data")) if absent else {}
    for version in absent:
        known[version] = unpack(bytes(stored[version.pk]))
        memory.put(version, known[version])  # type: ignore[arg-type]
    closes = {contract: (tick, known[version]) for contract, (tick, version) in newest.items()}
    return {contract: tick * int(bars.close[-1]) for contract, (tick, bars) in closes.items() if bars is not None}


def coverage(contract: Contract, session: Session) -> datetime:
    """Return until when the bars of `session` are known: its open if none are."""
    row = BarDay.objects.filter(contract=contract, trade_date=session.trade_date)
    return row.values_list("covered_until", flat=True).first() or session.opens_at
