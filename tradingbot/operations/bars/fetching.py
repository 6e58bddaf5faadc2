"""Bars from the venue: only what is missing, only what is closed, and never more believed than was read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from brokers.base import BarReport, ReadFailed
from market.bars import Bar, Bars, Timeframe, epoch, moment
from market.calendar import minutes
from market.contracts import Contract as Spec
from market.sessions import Session
from tradingbot.faults import point
from tradingbot.models import Contract
from tradingbot.operations import contracts
from tradingbot.operations.bars.counting import Source, count
from tradingbot.operations.bars.storing import MINUTE, coverage, days, record_in
from tradingbot.operations.calendar import recent

log = logging.getLogger(__name__)

SESSIONS = 150  # what the daily average of a strategy wants
_CLOSED_FOR = timedelta(seconds=2)
_SETTLED = timedelta(seconds=20)  # after that a minute which the venue does not show had no trade
_SESSIONS_A_CALL = 5  # 6,900 bars take 4 MB while they are read; the venue would give 20,000
_THIN = 4  # a contract that traded in fewer than a fourth of the minutes was not the front month
_OVERLAP = 10  # sessions before that of the previous month, to compare the two
_MONTHS_BACK = 4  # for SESSIONS; a month is mostly the front for 65 sessions, of metals for 40
_LEAST_A_MONTH = 40


def last_closed(now: datetime) -> datetime:
    """Return when the newest minute closed that the venue may be asked for."""
    return (now - _CLOSED_FOR).replace(second=0, microsecond=0)


def is_behind(contract: Contract, *, now: datetime) -> bool:
    """Return whether a closed minute of the open or the last session is not known yet."""
    return _missing(contract, now) is not None


def fetch(contract: Contract, *, now: datetime) -> int:
    """Read what is missing of the open and the last session in one call. Returns how many bars are new.

    Raises ReadFailed or NotSent, and then nothing counts as read.
    """
    missing = _missing(contract, now)
    if missing is None:
        return 0
    start, opened = missing
    return _read(contract, opened, start, last_closed(now), now)


def backfill(
    contract: Contract,
    *,
    sessions: int = SESSIONS,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Read what is missing of the last `sessions` sessions, from earlier months where this one was not the front yet.

    progress   told how many of how many sessions of a contract are there
    Returns how many bars are new. Raises ReadFailed or NotSent; what was read until then stays.
    """
    wanted = recent(now, sessions)
    month: Contract | None = contract
    new = 0
    for _ in range(max(_MONTHS_BACK, 1 + sessions // _LEAST_A_MONTH)):
        if month is None or not wanted:
            break
        new += _fill(month, wanted, now, progress)
        wanted = wanted[: _first_liquid(month, wanted)]
        if wanted:
            wanted += [s for s in recent(now, sessions) if s.trade_date > wanted[-1].trade_date][:_OVERLAP]
            month = contracts.previous(month, now=now)
    return new


def ticks(report: BarReport, spec: Spec) -> Bar:
    """Return a bar of the venue in ticks. Raises ReadFailed for one that cannot be."""
    try:
        return Bar(
            opened_at=epoch(report.opened_at),
            open=spec.ticks(report.open),
            high=spec.ticks(report.high),
            low=spec.ticks(report.low),
            close=spec.ticks(report.close),
            volume=report.volume,
        )
    except ValueError as error:
        raise ReadFailed(f"the venue's bar of {report.opened_at}: {error}") from error


def believed(bars: Bars, length: timedelta, start: datetime, end: datetime, now: datetime) -> datetime:
    """Return until when an answer for [start, end) tells everything: the venue may not show the newest bars at once."""
    newest = moment(bars.opened_at[-1]) + length if len(bars) else start
    settled = epoch(now - _SETTLED)
    return end if newest >= end else max(newest, min(end, moment(settled - settled % int(length.total_seconds()))))


def _missing(contract: Contract, now: datetime) -> tuple[datetime, list[Session]] | None:
    """Return from when on bars are missing, and the sessions to fill; None if nothing closed is missing."""
    until = last_closed(now)
    for first, session in enumerate(opened := recent(now, 2)):
        covered = coverage(contract, session)
        if covered < min(until, session.closes_at):
            return covered, opened[first:]
    return None


def _fill(contract: Contract, wanted: list[Session], now: datetime, progress: Callable[[int, int], None] | None) -> int:
    """Fill the incomplete ones of `wanted`, the newest first, a few sessions a call."""
    known = {day.trade_date: day for day in days(contract, wanted[0].trade_date, wanted[-1].trade_date)}
    until = last_closed(now)
    new = 0
    lacking: list[Session] = []
    for number, session in enumerate(reversed(wanted), start=1):
        day = known.get(session.trade_date)
        covered = day.covered_until if day else session.opens_at
        lacks = covered < min(until, session.closes_at)
        if lacks:
            lacking.append(session)
        whole = len(lacking) == _SESSIONS_A_CALL or number == len(wanted)
        if lacking and (whole or not lacks):
            lacking.reverse()
            new += _read(contract, lacking, lacking[0].opens_at, min(until, lacking[-1].closes_at), now)
            lacking = []
        if progress and (whole or number % _SESSIONS_A_CALL == 0):
            progress(number, len(wanted))
    return new


def _first_liquid(contract: Contract, wanted: list[Session]) -> int:
    """Return the position in `wanted` from which on the contract traded like a front month."""
    known = {day.trade_date: day for day in days(contract, wanted[0].trade_date, wanted[-1].trade_date)}
    for position in range(len(wanted) - 1, -1, -1):
        day = known.get(wanted[position].trade_date)
        whole = minutes(wanted[position])
        if day is None or (day.complete and day.version.bars * _THIN < whole):
            return position + 1
    return 0


def _read(contract: Contract, wanted: Sequence[Session], start: datetime, end: datetime, now: datetime) -> int:
    """Read the bars of [start, end) in one call and record them by session."""
    count(Source.VENUE)
    point("capture.before_call")
    reports = contracts.broker(contract).bars(contract.broker_contract_id, Timeframe.M1, start, end)
    point("capture.after_call")
    spec = contract.spec
    bars = Bars.of([ticks(report, spec) for report in reports])
    until = believed(bars, MINUTE, start, end, now)
    new = inside = 0
    for session in wanted:
        part = bars.between(max(start, session.opens_at), min(end, session.closes_at))
        inside += len(part)
        if len(part) or until > session.opens_at:
            new += record_in(
                contract,
                session,
                part,
                source="venue",
                covered_from=start,
                covered_until=until,
                now=now,
            )
    if inside < len(bars):
        log.warning("%s: %d bars of the venue lie outside of the calendar's sessions", contract, len(bars) - inside)
    return new
