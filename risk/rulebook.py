"""The firm's rules on a day: what binds a stage and size, which products, caps, news windows and groups there are.

The data is `rulebook.toml`; a rehearsal of a day before the oldest account entry uses the oldest entry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from risk.parameters import Parameters, lots
from risk.rule_entries import SIZES, Entry, RulebookInvalid, Topic, read, subject
from risk.stages import TRADED, Stage, infer

__all__ = ["SIZES", "TRADED", "Parameters", "Rulebook", "RulebookInvalid", "Stage", "infer", "lots", "shipped"]

FIRM = "topstep"
FILE = Path(__file__).with_name("rulebook.toml")
STALE_AFTER = 90  # days after which somebody should read the firm's pages again


@dataclass(frozen=True, slots=True)
class NewsRule:
    """What the firm forbids around an event: new positions in `blocked`, more than `contracts` in `capped`."""

    minutes_before: int
    minutes_after: int
    blocked: frozenset[str]
    capped: frozenset[str]
    contracts: dict[int, int]


@dataclass(frozen=True, slots=True)
class Conduct:
    """Figures of prohibited conduct; opposite positions inside a group on two own accounts are hedging."""

    trades_a_day: int
    holding_seconds: int
    groups: tuple[frozenset[str], ...]

    def group_of(self, symbol: str) -> frozenset[str]:
        return next((group for group in self.groups if symbol in group), frozenset({symbol}))


class Rulebook:
    """Entries that were read without a mistake."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(sorted(entries, key=lambda entry: (entry.topic, entry.subject, entry.effective_from)))
        self._by_subject: dict[str, list[Entry]] = {}
        for entry in self.entries:
            self._by_subject.setdefault(entry.subject, []).append(entry)

    @property
    def checked_on(self) -> date:
        """Return the oldest day on which an entry that is the newest of its subject was read at its source."""
        return min(entries[-1].checked_on for entries in self._by_subject.values())

    def accounts(self) -> list[tuple[Stage, int]]:
        """Return the stages and sizes that it knows."""
        found = {(e.stage, e.size) for e in self.entries if e.stage is not None and e.size is not None}
        order = list(Stage)
        return sorted(found, key=lambda pair: (order.index(pair[0]), pair[1]))

    def parameters(self, stage: str, size: int | None, on: date, *, firm: str = FIRM) -> Parameters | None:
        """Return what binds an account on that date, None for a stage or size that the rulebook does not know."""
        entries = self._by_subject.get(subject(Topic.ACCOUNT, firm, stage, size))
        if not entries or size is None:
            return None
        entry = entries[0] if on < entries[0].effective_from else _newest(entries, on)
        if entry is None:
            return None
        return Parameters(
            stage=Stage(stage),
            size=size,
            effective_from=entry.effective_from,
            source=entry.source,
            checked_on=entry.checked_on,
            **entry.values,
        )

    def permitted(self, on: date, *, firm: str = FIRM) -> frozenset[str] | None:
        """Return the products that may be traded, None, which permits none, if no entry holds on that date."""
        entries = self._by_subject.get(subject(Topic.PRODUCTS, firm, None, None), [])
        entry = _newest(entries, max(on, entries[0].effective_from)) if entries else None
        return frozenset(entry.values["symbols"]) if entry else None

    def caps(self, size: int | None, on: date, *, firm: str = FIRM) -> dict[str, int]:
        """Return the most contracts of each product under the firm's temporary caps; products without one are left out.

        An unknown size gets the smallest cap.
        """
        entry = _newest(self._by_subject.get(subject(Topic.CAPS, firm, None, None), []), on)
        return {symbol: smallest(of, size) for symbol, of in entry.values["caps"].items()} if entry else {}

    def news(self, event: str, on: date, *, firm: str = FIRM) -> NewsRule | None:
        """Return what the firm forbids around an event of that name, None if nothing."""
        entry = _newest(self._by_subject.get(subject(Topic.NEWS, firm, None, None, event), []), on)
        if entry is None:
            return None
        values = dict(entry.values)
        return NewsRule(
            values["minutes_before"],
            values["minutes_after"],
            frozenset(values["blocked"]),
            frozenset(values["capped"]),
            values["contracts"],
        )

    def conduct(self, on: date, *, firm: str = FIRM) -> Conduct | None:
        entries = self._by_subject.get(subject(Topic.CONDUCT, firm, None, None), [])
        entry = _newest(entries, max(on, entries[0].effective_from)) if entries else None
        return Conduct(**entry.values) if entry else None


def smallest(contracts: Mapping[int, int], size: int | None) -> int:
    """Return the contracts of a size, the fewest for a size that is not known."""
    return contracts.get(size or 0, min(contracts.values()))


def parse(text: str) -> Rulebook:
    """Return the rulebook that a file describes. Raises RulebookInvalid with everything that is wrong in it."""
    return Rulebook(read(document(text)))


def document(text: str) -> dict[str, Any]:
    """Return the tables of a file as they are written. Raises RulebookInvalid for what is no TOML."""
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise RulebookInvalid([f"{FILE.name} is not TOML: {error}"]) from error


@lru_cache(maxsize=1)
def shipped() -> Rulebook:
    """Return the rulebook of this version's file. Raises RulebookInvalid."""
    return parse(FILE.read_text())


def _newest(entries: Iterable[Entry], on: date) -> Entry | None:
    """Return the entry that holds: the last begun, unless it is over."""
    begun = [entry for entry in entries if entry.effective_from <= on]
    return begun[-1] if begun and begun[-1].holds(on) else None
