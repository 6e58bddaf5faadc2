"""How values look at the prompt: as a table for a person, as JSON for a script."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.timezone import is_aware
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from market.sessions import NEW_YORK
from tradingbot.models import Contract

_SHORT = 24  # characters that stay in one line on a terminal
_WIDE = 10_000  # columns: nothing wraps in a pipe


@dataclass(frozen=True, slots=True)
class Money:
    """Dollars; with `signed` a profit or loss, which always shows its sign."""

    value: Decimal
    signed: bool = False

    def __str__(self) -> str:
        sign = "-" if self.value < 0 else "+" if self.signed and self.value > 0 else ""
        return f"{sign}${abs(self.value):,.2f}"


@dataclass(frozen=True, slots=True)
class Price:
    """A price in points, with the decimals of its contract's tick."""

    value: Decimal
    contract: Contract

    def __str__(self) -> str:
        return self.contract.text(self.value)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that is text already, a percentage or a ratio: aligned as numbers are."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a line of column names; `empty` is said instead of a table without rows."""

    rows: Sequence[Mapping[str, Any]]
    columns: tuple[str, ...]
    empty: str
    title: str = ""


def money(value: Decimal | None, *, signed: bool = False) -> Money | None:
    return None if value is None else Money(value, signed)


def price(value: Decimal | None, contract: Contract) -> Price | None:
    return None if value is None else Price(value, contract)


def text(value: Any) -> str:
    """Return a value as a person reads it: times in New York, a dash for nothing."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(ZoneInfo(NEW_YORK)):%Y-%m-%d %H:%M:%S} ET"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


def plain(value: Any) -> Any:
    """Return a value as JSON carries it: decimals as strings, times as ISO in UTC. Raises TypeError otherwise."""
    if isinstance(value, Money):
        return f"{value.value:.2f}"
    if isinstance(value, Price):
        return str(value).replace(",", "")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        if not is_aware(value):
            raise TypeError(f"{value} has no time zone")
        return value.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def render(part: Table | Mapping[str, Any] | str, *, terminal: bool, color: bool, width: int) -> str:
    """Return a table, a list of facts (a mapping) or a line as text; on a terminal boxed and `width` columns wide."""
    if isinstance(part, str):
        return part + "\n"
    if isinstance(part, Table) and not part.rows:
        return part.empty + "\n"
    grid = _facts(part) if isinstance(part, Mapping) else _table(part, terminal=terminal)
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=color,
        color_system="auto" if color else None,
        width=_WIDE,
        highlight=False,
        emoji=False,
        markup=False,
    )
    narrowest = Measurement.get(console, console.options, grid).minimum  # nothing short is ever cut off
    console.print(grid, width=max(width, narrowest) if terminal else None)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    title = f"{part.title}\n" if isinstance(part, Table) and part.title else ""
    return title + "\n".join(lines) + "\n"


def _facts(facts: Mapping[str, Any]) -> RichTable:
    grid = RichTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name.replace("_", " "), Text(text(value)))
    return grid


def _table(table: Table, *, terminal: bool) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in table.columns:
        values = [row[name] for row in table.rows]
        number = any(isinstance(v, int | Decimal | Money | Price | Figure) and not isinstance(v, bool) for v in values)
        longest = max(len(name), *(len(text(value)) for value in values))
        grid.add_column(
            name.replace("_", " "),
            justify="right" if number else "left",
            min_width=min(longest, _SHORT),
            overflow="fold",
        )
    for row in table.rows:
        grid.add_row(*(Text(text(row[name]), style=_style(row[name])) for name in table.columns))
    return grid


def _style(value: Any) -> str:
    """Return green for a profit and red for a loss."""
    if isinstance(value, Money) and value.signed and value.value:
        return "green" if value.value > 0 else "red"
    return ""
