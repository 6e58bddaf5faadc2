"""A file of bars as cells of text, line by line: CSV, also .gz, and Parquet, which are then judged alike."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
REQUIRED = COLUMNS[:5]
PARQUET = ".parquet"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one line of the file (the header is line 1, also of Parquet, which has none)."""

    line: int
    text: str


def cells(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells of each bar; what cannot be read becomes a problem. Raises OSError."""
    yield from (_parquet if path.suffix == PARQUET else _csv)(path, problems)


def _csv(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    line = 1
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            if not _is_header(header, problems):
                return
            for row in reader:
                line = reader.line_num
                if row and len(row) != len(header):
                    problems.append(Problem(line, f"{len(row)} values, the header has {len(header)}"))
                elif row:
                    yield line, dict(zip(header, map(str.strip, row), strict=True))
    except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        problems.append(Problem(line, f"not a CSV file: {error}"))


def _parquet(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = 1
    try:
        with path.open("rb") as source, pq.ParquetFile(source) as file:
            header = [name.strip().lower() for name in file.schema_arrow.names]
            if not _is_header(header, problems):
                return
            for batch in file.iter_batches():
                columns = [_plain(pa, column) for column in batch.columns]
                for row in zip(*columns, strict=True):
                    line += 1
                    yield line, dict(zip(header, map(_text, row), strict=True))
    except pa.ArrowException as error:
        problems.append(Problem(line, f"not a Parquet file of bars: {error}"))


def _plain(pa: Any, column: Any) -> list[Any]:
    """Return the values of a column; moments to the microsecond, which is as much as Python has."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz))
    values: list[Any] = column.to_pylist()
    return values


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case float():
            return f"{value:.9f}"
        case _:
            return str(value).strip()


def _is_header(header: Sequence[str], problems: list[Problem]) -> bool:
    if set(REQUIRED) <= set(header) <= set(COLUMNS) and len(set(header)) == len(header):
        return True
    text = f"the header is {','.join(header)!r}; write {','.join(COLUMNS)} (volume may be left out)"
    problems.append(Problem(1, text))
    return False
