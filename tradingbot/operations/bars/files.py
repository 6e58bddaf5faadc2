"""Bars from a file: read strictly, looked at as a whole, and written only if nothing is wrong with any line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction

from market.bars import Bar, Bars, epoch, moment
from market.contracts import Contract as Spec
from market.sessions import Session, regular_session, trade_date_of
from tradingbot.models import Contract
from tradingbot.operations import calendar
from tradingbot.operations.bars.reading import REQUIRED, Problem, cells
from tradingbot.operations.bars.storing import MINUTE, record_in

_SHOWN_GAP = 5  # minutes from which on a stretch without bars is reported
_NOT_TRUSTED = timedelta(hours=1)  # a longer stretch without bars is missing data, not a quiet market
_NEAR = timedelta(minutes=5)  # of the session's open or close
_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a session without bars."""

    start: datetime
    end: datetime

    @property
    def minutes(self) -> int:
        return (self.end - self.start) // MINUTE


@dataclass(frozen=True, slots=True)
class Report:
    """What a file holds. With problems nothing was written; gaps are told and are no problem.

    missing   minutes of its sessions, between its first and last bar, without one; `gaps` those of 5 minutes and more
    new       bars that the cache did not have
    left_out  bars after an early close of the equity index futures, whose hours rule for every product: others may
              trade on for half an hour and more, we do not; `early_closes` which
    """

    rows: int = 0
    sessions: int = 0
    first: datetime | None = None
    last: datetime | None = None
    missing: int = 0
    gaps: tuple[Gap, ...] = ()
    problems: tuple[Problem, ...] = ()
    new: int = 0
    left_out: int = 0
    early_closes: tuple[datetime, ...] = ()


def import_file(path: Path | str, contract: Contract, *, zone: str, now: datetime) -> Report:
    """Read 1-minute bars of `contract` from CSV (also .gz) or Parquet into the cache, all of them or none.

    Columns: timestamp (start of the bar), open, high, low, close in points, volume if known. A timestamp without an
    offset is in `zone`. Raises OSError for a file that cannot be read, ZoneInfoNotFoundError for an unknown zone.
    """
    path = Path(path)
    problems: list[Problem] = []
    rows = list(_rows(path, contract.spec, ZoneInfo(zone), now, problems))
    by_session: list[tuple[Session, Bars]] = []
    closes: list[datetime] = []
    if rows:
        first, last = (trade_date_of(moment(at)) for at in (min(rows)[0], max(rows)[0]))
        calendar.ensure_calendar(now=now, since=first)
        by_session, closes = _by_session(rows, calendar.between(first, last), problems)
    if problems or not by_session:
        problems = problems or [Problem(1, "the file has no bars of a session" if rows else "the file has no bars")]
        return Report(rows=len(rows), problems=tuple(sorted(problems, key=lambda problem: problem.line)))
    report = replace(_described(by_session), left_out=len(closes), early_closes=tuple(dict.fromkeys(closes)))
    new = 0
    with transaction.atomic():
        for session, bars in by_session:
            start, until = _covered(session, bars, last=session is by_session[-1][0])
            new += record_in(
                contract,
                session,
                bars,
                source=path.name[:40],
                covered_from=start,
                covered_until=until,
                now=now,
            )
    return replace(report, new=new)


Row = tuple[int, int, Bar]  # opening time, line, bar


def _rows(path: Path, spec: Spec, zone: ZoneInfo, now: datetime, problems: list[Problem]) -> Iterator[Row]:
    for line, row in cells(path, problems):
        try:
            bar = _bar(row, spec, zone, now)
        except ValueError as error:
            problems.append(Problem(line, str(error)))
        else:
            yield bar.opened_at, line, bar


def _bar(row: dict[str, str], spec: Spec, zone: ZoneInfo, now: datetime) -> Bar:
    at = _moment(row["timestamp"], zone)
    if at + MINUTE > now:
        raise ValueError(f"timestamp: the bar of {row['timestamp']} is not closed yet")
    opened, high, low, close = (spec.ticks(_number(name, row[name])) for name in REQUIRED[1:])
    volume = _number("volume", row.get("volume", "0") or "0")
    if volume < 0 or volume != int(volume):
        raise ValueError(f"volume: {volume} is not a whole number of contracts")
    return Bar(epoch(at), opened, high, low, close, int(volume))


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"timestamp: {text!r} is not a time; write for example 2026-11-18T09:30:00Z") from None
    if at.tzinfo is None:
        local = at.replace(tzinfo=zone)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise ValueError(
                f"timestamp: {text} is not one moment in {zone.key}, clocks change there; write its offset"
            )
        at = local
    at = at.astimezone(UTC)
    if at.second or at.microsecond:
        raise ValueError(f"timestamp: {text} is not the start of a minute")
    return at


def _number(name: str, text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name}: {text!r} is not a number")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{name}: {text!r} is not a number") from error


def _by_session(
    rows: list[Row], sessions: list[Session], problems: list[Problem]
) -> tuple[list[tuple[Session, Bars]], list[datetime]]:
    """Return the bars of each session that has some, and of each bar that is left out the early close before it.

    Double minutes and bars outside of sessions become problems.
    """
    rows.sort(key=lambda row: row[:2])
    found: list[tuple[Session, list[Bar]]] = [(session, []) for session in sessions]
    opens = [epoch(session.opens_at) for session in sessions]
    closes = [epoch(session.closes_at) for session in sessions]
    left_out: list[datetime] = []
    before: Row | None = None
    for row in rows:
        at, line, bar = row
        position = int(np.searchsorted(opens, at, "right")) - 1
        if before is not None and before[0] == at:
            problems.append(Problem(line, f"timestamp: {moment(at):%Y-%m-%d %H:%M} UTC stands in line {before[1]} too"))
        elif position >= 0 and at >= closes[position] and _is_of_others(sessions[position], at):
            left_out.append(sessions[position].closes_at)
        elif position < 0 or at >= closes[position]:
            problems.append(
                Problem(line, f"timestamp: {moment(at):%Y-%m-%d %H:%M} UTC lies in no session of the exchange")
            )
        else:
            found[position][1].append(bar)
        before = row
    return [(session, Bars.of(bars)) for session, bars in found if bars] if not problems else [], left_out


def _is_of_others(session: Session, at: int) -> bool:
    """Return whether a minute after the session's close is one in which other products than equities may trade."""
    return session.early_close and at < epoch(regular_session(session.trade_date).closes_at)


def _gaps(session: Session, bars: Bars, *, first: bool, last: bool) -> list[Gap]:
    """Return every stretch of the session without bars; none before the file's first bar or after its last."""
    opened = [moment(at) for at in bars.opened_at.tolist()]
    starts = [opened[0] if first else session.opens_at, *(at + MINUTE for at in opened)]
    ends = [*opened, opened[-1] + MINUTE if last else session.closes_at]
    return [Gap(start, end) for start, end in zip(starts, ends, strict=True) if end > start]


def _described(by_session: list[tuple[Session, Bars]]) -> Report:
    gaps = [
        gap
        for number, (session, bars) in enumerate(by_session)
        for gap in _gaps(session, bars, first=number == 0, last=number == len(by_session) - 1)
    ]
    return Report(
        rows=sum(len(bars) for _, bars in by_session),
        sessions=len(by_session),
        first=moment(by_session[0][1].opened_at[0]),
        last=moment(by_session[-1][1].opened_at[-1]),
        missing=sum(gap.minutes for gap in gaps),
        gaps=tuple(gap for gap in gaps if gap.minutes >= _SHOWN_GAP),
    )


def _covered(session: Session, bars: Bars, *, last: bool) -> tuple[datetime, datetime]:
    """Return from when until when the file is believed to hold every bar of the session that there was."""
    start, end = moment(bars.opened_at[0]), moment(bars.opened_at[-1]) + MINUTE
    start = session.opens_at if start - session.opens_at <= _NEAR else start
    if not last or session.closes_at - end <= _NEAR:
        end = session.closes_at
    for gap in _gaps(session, bars, first=False, last=False):
        if gap.end - gap.start > _NOT_TRUSTED and gap.start >= start:
            return start, min(end, gap.start)
    return start, end
