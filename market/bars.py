"""Bars as columns: the shape in which prices travel between cache, strategies, kernel and venue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from struct import Struct

import numpy as np
import numpy.typing as npt

from market.sessions import regular_session

Int = npt.NDArray[np.int64]

_COLUMNS = ("opened_at", "open", "high", "low", "close", "volume")
_SESSION_SECONDS = 23 * 3600
_DAY = 86_400
_HEADER = Struct("<2sHIq")  # magic, version, number of bars, opening time of the first
_MAGIC = b"TB"
_PACKED = ("<u4", "<i4", "<i4", "<i4", "<i4", "<u4")  # seconds since the first bar, prices in ticks, volume
_VERSIONS = {1: _PACKED, 2: (*_PACKED, "<i4")}  # the second one has the delta too
UNKNOWN = -(2**31)
"""In a column of deltas: that of a bar whose trades are not all known with their sides."""


class Timeframe(StrEnum):
    """Length of a bar; the value is what a user types."""

    S1 = "1s"
    S5 = "5s"
    S15 = "15s"
    S30 = "30s"
    M1 = "1m"
    M2 = "2m"
    M3 = "3m"
    M5 = "5m"
    M10 = "10m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"
    MN1 = "1M"

    @property
    def unit(self) -> str:
        """Return s, m, h, d, w or M."""
        return self.value[-1]

    @property
    def number(self) -> int:
        """Return how many units one bar spans."""
        return int(self.value[:-1])

    @property
    def seconds(self) -> int:
        """Return the length of an intraday bar. Raises ValueError for days, weeks and months: those follow sessions."""
        length = {"s": 1, "m": 60, "h": 3600}.get(self.unit)
        if length is None:
            raise ValueError(f"{self.value} bars follow sessions, they have no fixed length")
        return length * self.number


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar; prices in ticks, `opened_at` in epoch seconds (UTC), `delta` as in `Bars`, None if unknown."""

    opened_at: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    delta: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError(f"not a bar: open {self.open} high {self.high} low {self.low} close {self.close}")


@dataclass(frozen=True, slots=True)
class Bars:
    """Closed bars of one contract and timeframe, oldest first; every column an int64 array of the same length.

    opened_at   epoch seconds UTC, strictly increasing
    open, high, low, close   ticks
    volume      contracts, 0 where the source has none
    delta       contracts bought less contracts sold at market, from trades, UNKNOWN where they are not all known; None
                where no bar's are
    """

    opened_at: Int
    open: Int
    high: Int
    low: Int
    close: Int
    volume: Int
    delta: Int | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.opened_at)

    def __getitem__(self, rows: slice) -> Bars:
        delta = None if self.delta is None else self.delta[rows]
        return Bars(*(column[rows] for column in self.columns), delta=delta)

    def __iter__(self) -> Iterator[Bar]:
        for *row, delta in zip(*(column.tolist() for column in self.columns), self.deltas.tolist(), strict=True):
            yield Bar(*row, delta=None if delta == UNKNOWN else delta)

    @property
    def columns(self) -> tuple[Int, Int, Int, Int, Int, Int]:
        """Return what every bar has."""
        return (self.opened_at, self.open, self.high, self.low, self.close, self.volume)

    @property
    def deltas(self) -> Int:
        """Return `delta` as a column in any case."""
        return np.full(len(self), UNKNOWN, np.int64) if self.delta is None else self.delta

    def between(self, start: datetime, end: datetime) -> Bars:
        """Return the bars that opened in [start, end)."""
        low, high = np.searchsorted(self.opened_at, [epoch(start), epoch(end)])
        return self[int(low) : int(high)]

    @classmethod
    def empty(cls) -> Bars:
        return cls(*(np.empty(0, np.int64) for _ in range(6)))

    @classmethod
    def of(cls, rows: list[Bar]) -> Bars:
        """Return `rows` as columns, sorted by opening time. Raises ValueError when two rows open together."""
        rows = sorted(rows, key=lambda bar: bar.opened_at)
        columns = [np.fromiter(map(attrgetter(name), rows), np.int64, len(rows)) for name in _COLUMNS]
        if len(rows) > 1 and not (np.diff(columns[0]) > 0).all():
            raise ValueError("two bars open at the same time")
        deltas = np.fromiter((UNKNOWN if bar.delta is None else bar.delta for bar in rows), np.int64, len(rows))
        return cls(*columns, delta=deltas if (deltas != UNKNOWN).any() else None)


def epoch(at: datetime) -> int:
    """Return whole epoch seconds of an aware time. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return int(at.timestamp())


def moment(seconds: int) -> datetime:
    """Return epoch seconds as an aware UTC time."""
    return datetime.fromtimestamp(int(seconds), UTC)


def merge(old: Bars, new: Bars) -> Bars:
    """Return the bars of both by opening time; where both have one, the new one.

    If that one's delta is unknown, the old one's is kept as long as the volume is the same: they are the same trades.
    """
    opened_at, first = np.unique(np.concatenate((new.opened_at, old.opened_at)), return_index=True)
    columns = [np.concatenate(pair)[first] for pair in zip(new.columns, old.columns, strict=True)]
    if new.delta is None and old.delta is None:
        return Bars(*columns)
    delta = np.concatenate((new.deltas, old.deltas))[first]
    _, mine, its = np.intersect1d(new.opened_at, old.opened_at, assume_unique=True, return_indices=True)
    kept = (new.deltas[mine] == UNKNOWN) & (new.volume[mine] == old.volume[its])
    delta[np.searchsorted(opened_at, new.opened_at[mine[kept]])] = old.deltas[its[kept]]
    return Bars(*columns, delta=delta)


def join(parts: Sequence[Bars]) -> Bars:
    """Return bars that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Bars.empty()
    told = any(part.delta is not None for part in parts)
    delta = np.concatenate([part.deltas for part in parts]) if told else None
    columns = (np.concatenate(column) for column in zip(*(part.columns for part in parts), strict=True))
    return Bars(*columns, delta=delta)


def resample(
    bars: Bars, timeframe: Timeframe, session_open: Int, *, source: Timeframe = Timeframe.M1
) -> tuple[Bars, Int]:
    """Return the bars of a longer timeframe made of `bars`, and when each of them is closed (epoch seconds).

    session_open   per bar: epoch seconds at which its session opened, 18:00 New York

    Intraday bars are counted from the session's open, as charts of CME futures do it: up to 2h that is the New York
    clock, 4h bars open at 18, 22, 02, 06, 10 and 14. Days are sessions, weeks and months hold the sessions whose dates
    fall into them; all three open at 18:00 New York before their first weekday and close at 17:00 on their last.
    A bar never holds two sessions unless it is longer than a day. Left out are a last bar that is not closed by the end
    of the last of `bars`, and a first bar whose beginning may lie before the first of them.
    """
    if not len(bars):
        return bars, np.empty(0, np.int64)
    if timeframe.unit in "dwM":
        begins, ends = _days(timeframe, session_open)
        whole = begins[0] == session_open[0] and bars.opened_at[0] == session_open[0]
    else:
        begins = session_open + (bars.opened_at - session_open) // timeframe.seconds * timeframe.seconds
        ends = begins + timeframe.seconds
        whole = begins[0] == bars.opened_at[0]
    first = np.flatnonzero(np.diff(begins, prepend=begins[0] - 1))
    last = np.append(first[1:], len(bars)) - 1
    longer = Bars(
        begins[first],
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )
    length = _SESSION_SECONDS if source is Timeframe.D1 else source.seconds
    closed = int(np.searchsorted(ends[first], bars.opened_at[-1] + length, "right"))
    rows = slice(0 if whole else 1, closed)
    return longer[rows], ends[first][rows]


def trade_dates(session_open: Int) -> Int:
    """Return the dates, as days since 1970-01-01, of the sessions that open at these epoch seconds."""
    return (session_open + _SESSION_SECONDS) // _DAY  # 17:00 New York is on the same date in UTC, summer and winter


def pack(bars: Bars) -> bytes:
    """Return `bars` as bytes for storage: little-endian, with a version in front; 24 a bar, 28 if a delta is known.

    Raises ValueError for a number outside of its column (prices and volume 32 bits, 136 years from first to last).
    """
    origin = int(bars.opened_at[0]) if len(bars) else 0
    columns = [bars.opened_at - origin, *bars.columns[1:]]
    version = 1
    if bars.delta is not None and (bars.delta != UNKNOWN).any():
        version = 2
        columns.append(bars.delta)
    packed = [column.astype(kind) for column, kind in zip(columns, _VERSIONS[version], strict=True)]
    if not all((wide == narrow).all() for wide, narrow in zip(columns, packed, strict=True)):
        raise ValueError(f"{len(bars)} bars from {origin} on hold a number that does not fit into 32 bits")
    return _HEADER.pack(_MAGIC, version, len(bars), origin) + b"".join(column.tobytes() for column in packed)


def unpack(stored: bytes | memoryview) -> Bars:
    """Return the bars of `pack`. Raises ValueError for anything else."""
    stored = bytes(stored)
    if len(stored) < _HEADER.size:
        raise ValueError(f"not packed bars: {len(stored)} bytes")
    magic, version, count, origin = _HEADER.unpack_from(stored)
    kinds = _VERSIONS.get(version, ())
    if magic != _MAGIC or not kinds or len(stored) != _HEADER.size + count * 4 * len(kinds):
        raise ValueError(f"not packed bars of version 1 or 2: {len(stored)} bytes beginning {stored[:4]!r}")
    columns = [
        np.frombuffer(stored, kind, count, _HEADER.size + number * count * 4).astype(np.int64)
        for number, kind in enumerate(kinds)
    ]
    columns[0] += origin
    return Bars(*columns[:6], delta=columns[6] if len(columns) > 6 else None)


def _days(timeframe: Timeframe, session_open: Int) -> tuple[Int, Int]:
    """Return when the day, week or month of each session begins and ends: first open and last close of its weekdays."""
    dates, each = np.unique(trade_dates(session_open), return_inverse=True)
    if timeframe.unit == "d":
        first = last = dates.astype("datetime64[D]")
    elif timeframe.unit == "w":
        first = (dates - (dates + 3) % 7).astype("datetime64[D]")  # 1970-01-01 was a Thursday
        last = first + np.timedelta64(4, "D")
    else:
        month = dates.astype("datetime64[D]").astype("datetime64[M]")
        first = np.busday_offset(month.astype("datetime64[D]"), 0, roll="forward")
        last = np.busday_offset((month + 1).astype("datetime64[D]"), -1, roll="forward")
    begins = [epoch(regular_session(day).opens_at) for day in first.tolist()]
    ends = [epoch(regular_session(day).closes_at) for day in last.tolist()]
    return np.array(begins, np.int64)[each], np.array(ends, np.int64)[each]
