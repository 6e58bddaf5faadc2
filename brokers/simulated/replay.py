"""A market out of a file of 1-minute bars: timestamp,open,high,low,close,volume; the timestamp is the bar's start."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from brokers.simulated.market import Market
from brokers.simulated.products import Listing, Product, product
from market.bars import Bar, Bars, epoch, moment
from market.sessions import Session

COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


class ReplayedMarket:
    """Files for some products, whose contract months all trade at the file's prices; the rest from elsewhere."""

    def __init__(self, files: Mapping[str, Path], otherwise: Market) -> None:
        """`files` by symbol, e.g. {"MNQ": …}. Raises ValueError as `read` does, and for an unknown symbol."""
        self._bars = {symbol: read(file, product(symbol)) for symbol, file in files.items()}
        self._otherwise = otherwise

    def minutes(self, listing: Listing, session: Session) -> Bars:
        bars = self._bars.get(listing.product.root)
        if bars is None:
            return self._otherwise.minutes(listing, session)
        return bars.between(session.opens_at, session.closes_at)

    def covers(self) -> dict[str, tuple[datetime, datetime]]:
        """Return per symbol the opening times of its first and last bar."""
        return {root: (moment(bars.opened_at[0]), moment(bars.opened_at[-1])) for root, bars in self._bars.items()}


def read(file: Path, of: Product) -> Bars:
    """Return the bars of `file` (.csv or .csv.gz).

    Raises ValueError, naming file and line, for a missing file or column, a value that is no number, no time with zone
    or not on the tick, a bar whose high is not its highest price, and minutes that are not in order.
    """
    try:
        rows = [_bar(row, of, f"{file}, line {number}") for number, row in _rows(file)]
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror or error}") from error
    if not rows:
        raise ValueError(f"{file}: no bars")
    for number, (before, after) in enumerate(pairwise(rows), start=3):
        if after.opened_at <= before.opened_at:
            raise ValueError(f"{file}, line {number}: {moment(after.opened_at)} does not come after the line before it")
    return Bars.of(rows)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as text:
        lines = csv.DictReader(text, strict=True)
        if lines.fieldnames != COLUMNS:
            raise ValueError(f"{file}, line 1: the columns must be {','.join(COLUMNS)}, not {lines.fieldnames}")
        try:
            for row in lines:
                yield lines.line_num, row
        except csv.Error as error:
            raise ValueError(f"{file}, line {lines.line_num}: {error}") from error


def _bar(row: dict[str, str], of: Product, where: str) -> Bar:
    if None in row or None in row.values():
        raise ValueError(f"{where}: {len(COLUMNS)} values expected")
    try:
        opened_at = datetime.fromisoformat(row["timestamp"])
        if opened_at.utcoffset() is None or opened_at.second or opened_at.microsecond:
            raise ValueError(f"timestamp {row['timestamp']!r} must be the start of a minute with its zone")
        opened, high, low, close = (_ticks(name, row[name], of) for name in ("open", "high", "low", "close"))
        volume = int(row["volume"])
        if volume < 0:
            raise ValueError(f"volume {volume} is negative")
        return Bar(epoch(opened_at), opened, high, low, close, volume)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _ticks(name: str, text: str, of: Product) -> int:
    try:
        price = Decimal(text)
        ticks, rest = divmod(price, of.tick_size) if price.is_finite() else (price, price)
    except InvalidOperation as error:
        raise ValueError(f"{name} {text!r} is not a price") from error
    if rest or price <= 0:
        raise ValueError(f"{name} {text} is not a price on the tick of {of.root}, {of.tick_size}")
    return int(ticks)
