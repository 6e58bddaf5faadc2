"""The rulebook's file into rows at every start, and the rows back into rules; a mistake in either stops entries."""

from __future__ import annotations

import hashlib
import logging
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import transaction

from risk import rulebook
from risk.rule_entries import Entry, Topic, read
from risk.rulebook import Rulebook, RulebookInvalid
from tradingbot.models import Rule, RulebookLoad
from tradingbot.operations import notifications, statements

log = logging.getLogger(__name__)

_KEYS = ("topic", "firm", "stage", "size", "event", "effective_from")
_FACTS = ("effective_until", "source", "checked_on", "values")


def load(text: str | None = None, *, now: datetime) -> list[str]:
    """Bring the rows to what the file says; returns what changed, in sentences.

    text   of another file than the shipped one
    A file with mistakes changes no row: entries of orders are refused until it is right, everything else goes on with
    the rules as they were.
    """
    text = rulebook.FILE.read_text() if text is None else text
    digest = hashlib.sha256(text.encode()).hexdigest()
    try:
        entries = rulebook.parse(text).entries
    except RulebookInvalid as error:
        _keep_load(digest, 0, list(error.problems))
        notifications.notify(
            "risk",
            "The rulebook is wrong",
            body=f"No entries until it is right: {error}"[:900],
            level="alert",
            key=f"rulebook:{digest}",
            now=now,
        )
        return [f"rulebook: {problem}" for problem in error.problems]
    with transaction.atomic():
        changed = _write(entries)
        _keep_load(digest, len(entries), [])
    return [f"rulebook: {changed} entries written"] if changed else []


def current() -> Rulebook:
    """Return the rules that bind. Raises RulebookInvalid for rows that are wrong or missing, or a file that was wrong.

    Rows are read as strictly as the file, whoever wrote them; they are parsed once for each state that they are in.
    """
    ((digest, problems),) = statements.rows(_STATE, {})
    return known(digest, problems)


def known(digest: str | None, problems: list[str] | None) -> Rulebook:
    """Return the rules of the rows with this digest (`_STATE`). Raises RulebookInvalid."""
    if problems:
        raise RulebookInvalid(problems)
    if digest is None:
        raise RulebookInvalid(["it was never loaded: run `python manage.py prepare`"])
    return _parsed(digest)


_STATE = """
SELECT (SELECT md5(string_agg(rule::text, '|' ORDER BY id)) FROM tradingbot_rule rule),
       (SELECT problems::json FROM tradingbot_rulebookload ORDER BY id DESC LIMIT 1)
"""


@lru_cache(maxsize=4)
def _parsed(digest: str) -> Rulebook:
    topics: dict[str, list[dict[str, Any]]] = {}
    for row in Rule.objects.all():
        values = row.values if isinstance(row.values, dict) else {"values": row.values}
        entry = {name: getattr(row, name) for name in ("firm", "effective_from", "source", "checked_on")} | values
        if row.effective_until is not None:
            entry["effective_until"] = row.effective_until
        if row.topic == Topic.ACCOUNT:
            entry |= {"stage": row.stage, "size": row.size}
        if row.topic == Topic.NEWS:
            entry["event"] = row.event
        topics.setdefault(row.topic, []).append(entry)
    return Rulebook(read(topics))


def problems() -> tuple[str, ...]:
    """Return why the rulebook cannot be used, nothing if it can."""
    try:
        current()
    except RulebookInvalid as error:
        return error.problems
    return ()


def _write(entries: tuple[Entry, ...]) -> int:
    """Make the rows those of the file; returns how many were added, changed or removed."""
    stored = {tuple(getattr(row, key) for key in _KEYS): row for row in Rule.objects.select_for_update()}
    changed = 0
    for entry in entries:
        key, facts = _key(entry), _facts(entry)
        row = stored.pop(key, None)
        if row is None:
            row = Rule(**dict(zip(_KEYS, key, strict=True)))
        elif all(getattr(row, name) == value for name, value in facts.items()):
            continue
        for name, value in facts.items():
            setattr(row, name, value)
        row.save()
        changed += 1
    for row in stored.values():  # its history stays
        row.delete()
    return changed + len(stored)


def _key(entry: Entry) -> tuple[Any, ...]:
    return (entry.topic.value, entry.firm, entry.stage or "", entry.size, entry.event, entry.effective_from)


def _facts(entry: Entry) -> dict[str, Any]:
    values = {name: plain(value) for name, value in entry.values.items()}
    if entry.topic is Topic.ACCOUNT:
        values = {name: value for name, value in values.items() if value is not None}
    if entry.topic is Topic.CAPS:
        values = {"caps": [{"symbols": [s], "contracts": c} for s, c in values["caps"].items()]}
    facts = (entry.effective_until, entry.source, entry.checked_on, values)
    return dict(zip(_FACTS, facts, strict=True))


def plain(value: Any) -> Any:
    """Return a value of an entry as JSON carries it, and as `risk.rule_entries.read` takes it back."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case time():
            return f"{value:%H:%M}"
        case date():
            return value.isoformat()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case frozenset():
            return sorted(value)
        case tuple() if value and isinstance(value[0], tuple):  # levels of the scaling plan
            return [{"lots": plain(lots)} | ({} if up is None else {"up_to": plain(up)}) for up, lots in value]
        case tuple():
            return [plain(item) for item in value]
        case _:
            return value


def _keep_load(digest: str, entries: int, problems: list[str]) -> None:
    newest = RulebookLoad.objects.first()
    if newest is None or (newest.digest, newest.problems) != (digest, problems):
        RulebookLoad.objects.create(digest=digest, entries=entries, problems=problems)
