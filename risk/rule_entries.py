"""Entries of the rulebook, read strictly: from its file or from stored rows, with one sentence for each mistake.

An entry is a mapping: firm, effective_from, effective_until (optional, the last day), source, checked_on, and the
fields of its topic. A wrong entry is never repaired or left out silently: all of them are right, or none is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from market.products import PRODUCTS
from market.sessions import FIRM_FLAT
from risk.parameters import SPECS, Kind
from risk.stages import Stage

SIZES = (50, 100, 150)  # thousands


class RulebookInvalid(ValueError):
    """The rulebook cannot be used; `problems` has a sentence for each mistake, with entry and field."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Topic(StrEnum):
    ACCOUNT = "account"
    PRODUCTS = "products"
    CAPS = "caps"
    NEWS = "news"
    CONDUCT = "conduct"


@dataclass(frozen=True, slots=True)
class Entry:
    """One dated entry; `values` are typed. Stage and size are those of an account entry, event of a news entry."""

    topic: Topic
    firm: str
    stage: Stage | None
    size: int | None
    event: str
    effective_from: date
    effective_until: date | None
    source: str
    checked_on: date
    values: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return subject(self.topic, self.firm, self.stage, self.size, self.event)

    def holds(self, on: date) -> bool:
        return self.effective_from <= on and (self.effective_until is None or on <= self.effective_until)


def subject(topic: str, firm: str, stage: str | None, size: int | None, event: str = "") -> str:
    """Return what an entry is about: entries of one subject follow each other in time."""
    of = f"{stage} {size}K" if topic == Topic.ACCOUNT else f"{topic} {event}" if topic == Topic.NEWS else topic
    return f"{firm} {of}"


_COMMON = ("firm", "effective_from", "effective_until", "source", "checked_on")
_KEYS: dict[Topic, tuple[str, ...]] = {
    Topic.ACCOUNT: ("stage", "size"),
    Topic.PRODUCTS: (),
    Topic.CAPS: (),
    Topic.NEWS: ("event",),
    Topic.CONDUCT: (),
}


def read(topics: Mapping[str, Any]) -> tuple[Entry, ...]:
    """Return the entries of `{topic: [entry, …]}`. Raises RulebookInvalid with everything that is wrong."""
    problems: list[str] = []
    entries: list[Entry] = []
    for name, raw in topics.items():
        if name not in set(Topic):
            problems.append(f"{name}: unknown kind of entry; known are {', '.join(Topic)}")
        elif not isinstance(raw, list):
            problems.append(f"{name}: write [[{name}]], one for each entry")
        else:
            entries += [entry for item in raw if (entry := _entry(Topic(name), item, problems))]
    problems += [f"there is no {topic} entry" for topic in Topic if topic != Topic.NEWS and not topics.get(topic)]
    problems += _overlaps(entries)
    if problems:
        raise RulebookInvalid(problems)
    return tuple(entries)


class _Wrong(Exception):
    """A value is not what its field must be; the text goes after the field's name."""


class _Item:
    """One raw entry while it is read: takes fields by name and collects what is wrong with them."""

    def __init__(self, raw: Mapping[str, Any], problems: list[str]) -> None:
        self.raw, self.problems, self.title = raw, problems, "an entry"

    def take(self, name: str, read: Callable[[Any], Any], *, required: bool = True) -> Any:
        if name not in self.raw:
            if required:
                self.problems.append(f"{self.title}: {name} is missing")
            return None
        try:
            return read(self.raw[name])
        except _Wrong as wrong:
            self.problems.append(f"{self.title}: {name} {wrong}")
            return None


def _entry(topic: Topic, raw: Any, problems: list[str]) -> Entry | None:
    """Return the entry, None if it has a mistake: those are added to `problems`."""
    if not isinstance(raw, Mapping):
        problems.append(f"{topic}: {raw!r} is not an entry with fields")
        return None
    before = len(problems)
    item = _Item(raw, problems)
    about = subject(topic, *(raw.get(key, "?") for key in ("firm", "stage", "size", "event")))
    item.title = f"{about} from {raw.get('effective_from', '(no date)')}"
    firm = item.take("firm", _text)
    stage = item.take("stage", _stage) if topic is Topic.ACCOUNT else None
    size = item.take("size", _size) if topic is Topic.ACCOUNT else None
    event = item.take("event", _text) if topic is Topic.NEWS else ""
    start = item.take("effective_from", _date)
    until = item.take("effective_until", _date, required=False)
    source, checked_on = item.take("source", _text), item.take("checked_on", _date)
    if start and until and until < start:
        problems.append(f"{item.title}: effective_until {until} is before effective_from")
    values = _parameters(item, stage) if topic is Topic.ACCOUNT else _lists(item, topic)
    allowed = {*_COMMON, *_KEYS[topic], *values}
    problems += [f"{item.title}: {name} is not a field of {topic} entries" for name in raw if name not in allowed]
    if len(problems) > before:
        return None
    return Entry(topic, firm, stage, size, event, start, until, source, checked_on, values)


def _parameters(item: _Item, stage: Stage | None) -> dict[str, Any]:
    wanted = {name: spec for name, spec in SPECS.items() if stage in spec.stages or stage is None}
    values = {name: item.take(name, _KINDS[spec.kind], required=stage is not None) for name, spec in wanted.items()}
    if values.get("flat_by") is not None and values["flat_by"] < FIRM_FLAT:
        item.problems.append(
            f"{item.title}: flat_by {values['flat_by']:%H:%M} is before {FIRM_FLAT:%H:%M}, by which this version closes"
        )
    return values


def _lists(item: _Item, topic: Topic) -> dict[str, Any]:
    match topic:
        case Topic.PRODUCTS:
            return {"symbols": item.take("symbols", _symbols)}
        case Topic.CAPS:
            return {"caps": item.take("caps", _caps)}
        case Topic.NEWS:
            fields: dict[str, Callable[[Any], Any]] = {
                "minutes_before": _count,
                "minutes_after": _count,
                "blocked": _symbols,
                "capped": _symbols,
                "contracts": _by_size,
            }
        case _:
            fields = {"trades_a_day": _count, "holding_seconds": _count, "groups": _groups}
    return {name: item.take(name, read) for name, read in fields.items()}


def _overlaps(entries: list[Entry]) -> list[str]:
    """Return a sentence for each two entries of one subject that hold on the same day although both say until when.

    An open entry ends the day before the next one begins.
    """
    problems = []
    ordered = sorted(entries, key=lambda entry: (entry.subject, entry.effective_from))
    for first, second in pairwise(ordered):
        if first.subject != second.subject:
            continue
        if first.effective_from == second.effective_from:
            problems.append(f"{first.subject}: two entries are effective_from {first.effective_from}")
        elif first.effective_until is not None and second.effective_from <= first.effective_until:
            problems.append(
                f"{first.subject}: the entry from {first.effective_from} holds until {first.effective_until}, "
                f"the next is effective_from {second.effective_from}: they overlap"
            )
    return problems


# --- values


def number(value: Any) -> Decimal:
    """Return a finite number, exact as written; a text, a truth value or nothing is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Wrong(f"is {value!r}: a number is needed")
    found = Decimal(str(value))
    if not found.is_finite():
        raise _Wrong(f"is {value!r}: a finite number is needed")
    return found


def _above_zero(value: Any) -> Decimal:
    found = number(value)
    if found <= 0:
        raise _Wrong(f"is {found}: it must be above 0")
    return found


def _balance(value: Any) -> Decimal:
    found = number(value)
    if found < 0:
        raise _Wrong(f"is {found}: it must not be negative")
    return found


def _ratio(value: Any) -> Decimal:
    found = number(value)
    if not 0 < found <= 1:
        raise _Wrong(f"is {found}: it must be above 0 and at most 1")
    return found


def _count(value: Any) -> int:
    found = number(value)
    if found < 0 or found != int(found):
        raise _Wrong(f"is {found}: it must be a whole number, 0 or more")
    return int(found)


def _clock(value: Any) -> time:
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise _Wrong(f"is {value!r}: write a time like 15:08")
    return time.fromisoformat(value)


def _levels(value: Any) -> tuple[tuple[Decimal | None, Decimal], ...]:
    rows = value if isinstance(value, list) and value else [None]
    levels: list[tuple[Decimal | None, Decimal]] = []
    for place, row in enumerate(rows):
        last = place == len(rows) - 1
        if not isinstance(row, Mapping) or set(row) != ({"lots"} if last else {"up_to", "lots"}):
            raise _Wrong("needs levels like { up_to = 1500, lots = 2 }, the last one without up_to")
        levels.append((None if last else number(row["up_to"]), _above_zero(row["lots"])))
    bounds = [up_to for up_to, _ in levels if up_to is not None]
    if bounds != sorted(set(bounds)):
        raise _Wrong("has levels that do not rise")
    return tuple(levels)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong(f"is {value!r}: a text is needed")
    return value.strip()


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _Wrong(f"is {value!r}: write a date like 2026-10-10")


def _stage(value: Any) -> Stage:
    known = [stage.value for stage in Stage if stage is not Stage.UNKNOWN]
    if value not in known:
        raise _Wrong(f"is {value!r}: known are {', '.join(known)}")
    return Stage(value)


def _size(value: Any) -> int:
    if isinstance(value, bool) or value not in SIZES:
        raise _Wrong(f"is {value!r}: known are {', '.join(map(str, SIZES))}, in thousands")
    return int(value)


def _symbols(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise _Wrong("needs a list of products")
    unknown = [symbol for symbol in value if symbol not in PRODUCTS]
    if unknown:
        raise _Wrong(f"names {', '.join(map(str, unknown))}: no such product")
    if len(set(value)) < len(value):
        raise _Wrong("names a product twice")
    return tuple(value)


def _by_size(value: Any) -> dict[int, int]:
    if not isinstance(value, Mapping) or set(map(str, value)) != set(map(str, SIZES)):
        raise _Wrong(f"needs contracts for each of {', '.join(map(str, SIZES))}")
    return {int(size): _count(contracts) for size, contracts in value.items()}


def _caps(value: Any) -> dict[str, dict[int, int]]:
    """Return contracts by size of each product that is named."""
    found: dict[str, dict[int, int]] = {}
    for row in value if isinstance(value, list) and value else [None]:
        if not isinstance(row, Mapping) or set(row) != {"symbols", "contracts"}:
            raise _Wrong("needs rows with symbols and contracts")
        contracts = _by_size(row["contracts"])
        for symbol in _symbols(row["symbols"]):
            if symbol in found:
                raise _Wrong(f"names {symbol} twice")
            found[symbol] = contracts
    return found


def _groups(value: Any) -> tuple[frozenset[str], ...]:
    if not isinstance(value, list) or not value:
        raise _Wrong("needs a list of groups of products")
    groups = tuple(frozenset(_symbols(group)) for group in value)
    if sum(map(len, groups)) > len(frozenset().union(*groups)):
        raise _Wrong("has a product in two groups")
    return groups


_KINDS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BALANCE: _balance,
    Kind.DOLLARS: _above_zero,
    Kind.RATIO: _ratio,
    Kind.LOTS: _above_zero,
    Kind.COUNT: _count,
    Kind.CLOCK: _clock,
    Kind.LEVELS: _levels,
}


def parameter(name: str, value: Any) -> Any:
    """Return the typed value of one parameter. Raises ValueError, naming it, for one that cannot be."""
    try:
        return _KINDS[SPECS[name].kind](value)
    except _Wrong as wrong:
        raise ValueError(f"{name} {wrong}") from None
