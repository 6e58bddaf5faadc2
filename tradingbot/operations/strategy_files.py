"""Strategies as a file: written, read back, checked as a whole, compared with what is configured, and put in force."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml
from django.db import transaction

import strategies as registry
from strategies.parameters import ParameterError, dump, parse
from tradingbot.models import Account, Contract, Strategy
from tradingbot.operations import strategies
from tradingbot.operations.differences import Difference, differences

_FIELDS = ("kind", "account", "symbol", "enabled", "parameters")
_FIXED = ("kind", "account")
_HEAD = (
    "# Strategies of tradingbot. `python manage.py strategies import FILE` shows what would change before it asks.\n"
)


class BadFile(Exception):
    """The file cannot be used; `problems` names the place and what is wrong about it, line by line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Change:
    """What a file changes about one strategy, or the new one that it makes (`row` without a key)."""

    row: Strategy
    differences: tuple[Difference, ...]

    @property
    def is_new(self) -> bool:
        return self.row.pk is None


def write(rows: Iterable[Strategy]) -> str:
    """Return the strategies as a file, with every parameter."""
    named = {row.name: _told(row) for row in rows}
    return _HEAD + yaml.safe_dump({"strategies": named}, sort_keys=False, allow_unicode=True)


def compare(text: str) -> list[Change]:
    """Return what a file would change, in its order; strategies that it does not name stay as they are.

    Raises BadFile with everything that is wrong about it: nothing is put in force of a file that is wrong anywhere.
    """
    problems: list[str] = []
    changes = []
    for name, asked in _strategies(text).items():
        try:
            change = _change(name, asked)
        except BadFile as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
        else:
            changes += [change] if change.is_new or change.differences else []
    if problems:
        raise BadFile(problems)
    return changes


def put_in_force(changes: Iterable[Change], *, by: str, now: datetime) -> None:
    """Write the changes, all or none; they hold from the next bar that closes, entries that are placed keep theirs.

    What else was written to a row since it was compared stays. Raises ValueError for values that no longer fit it.
    """
    switched = []
    with transaction.atomic():
        for change in changes:
            asked = {one.name: one.after for one in change.differences}
            wanted = asked.pop("enabled", None)
            row = change.row if change.is_new else _current(change.row, asked)
            row._change_reason = f"imported by {by}"  # type: ignore[attr-defined]  # simple_history reads it
            row.save(update_fields=None if change.is_new else ("symbol", "parameters"))
            switched += [(row, wanted)] if wanted is not None else []
    for row, wanted in switched:
        (strategies.start if wanted else strategies.stop)(row, by=by, now=now)


def _current(compared: Strategy, asked: dict[str, Any]) -> Strategy:
    """Return the row as it is now, locked, with the symbol and the parameters that are asked."""
    row = Strategy.objects.select_for_update(of=("self",)).select_related("account__login").get(pk=compared.pk)
    row.symbol, row.parameters = asked.get("symbol", row.symbol), row.parameters | asked
    row.typed_parameters()
    return row


def _told(row: Strategy) -> dict[str, Any]:
    parameters = {name: value for name, value in _parameters(row).items() if name != "symbol"}
    return {
        "kind": row.kind,
        "account": row.account.name,
        "symbol": row.symbol,
        "enabled": row.enabled,
        "parameters": parameters,
    }


def _parameters(row: Strategy) -> dict[str, Any]:
    """Return the parameters in force; as stored if they no longer fit."""
    try:
        return dump(row.typed_parameters())
    except (KeyError, ParameterError):
        return dict(row.parameters)


class _Loader(yaml.BaseLoader):
    """Leaves everything text, as typed: YAML reads 15:30 as the number 930, and `parse` knows the types."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise BadFile([f"line {node.start_mark.line + 1}: {', '.join(twice)} is there twice"])
        return dict(super().construct_mapping(node, deep=deep))


def _strategies(text: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, _Loader)  # noqa: S506  builds text, lists and mappings only
    except yaml.YAMLError as error:
        raise BadFile([f"it is no YAML: {' '.join(str(error).split())}"]) from error
    named = document.get("strategies") if isinstance(document, dict) else None
    if not isinstance(named, dict) or not named:
        raise BadFile(["it has no `strategies:` with a strategy under its name; `strategies export` writes one"])
    return named


def _change(name: str, asked: Any) -> Change:
    """Return what is asked of one strategy, compared with the row of that name. Raises BadFile."""
    if not isinstance(asked, dict):
        raise BadFile([f"write its fields under it: {', '.join(_FIELDS)}"])
    row = Strategy.objects.filter(name=name).select_related("account__login").first()
    problems = [
        f"{field}: is no field; did you mean {_nearest(field, _FIELDS)}?" for field in asked.keys() - {*_FIELDS}
    ]
    if row is None:
        problems += [
            f"{field}: is missing, and there is no strategy of that name" for field in _FIXED if not asked.get(field)
        ]
        problems += _new_name(name)
    elif row.kind not in registry.STRATEGIES:
        problems.append(f"kind: {row.kind} is not shipped any more")
    else:
        now = {"kind": row.kind, "account": row.account.name}
        problems += [
            f"{field}: stays {now[field]}, its orders refer to it; {asked[field]} takes a strategy of another name"
            for field in _FIXED
            if field in asked and asked[field] != now[field]
        ]
    if problems:
        raise BadFile(problems)
    return _checked(row or _made(name, asked), asked)


def _new_name(name: str) -> list[str]:
    fits = name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 50
    return [] if fits else ["its name may have 50 letters, digits, - and _"]


def _made(name: str, asked: dict[str, Any]) -> Strategy:
    """Return the unsaved row of a strategy that is not there yet. Raises BadFile."""
    problems = []
    if asked["kind"] not in registry.STRATEGIES:
        nearest = _nearest(asked["kind"], registry.STRATEGIES)
        problems.append(f"kind: there is no strategy {asked['kind']}; did you mean {nearest}?")
    accounts = list(Account.objects.filter(name=asked["account"]).select_related("login")[:2])
    if len(accounts) != 1:
        known = ", ".join(Account.objects.order_by("name").values_list("name", flat=True)) or "none yet"
        what = "no account" if not accounts else "more than one account"
        problems.append(f"account: {what} is named {asked['account']}; there is {known}")
    if problems:
        raise BadFile(problems)
    kind = registry.STRATEGIES[asked["kind"]]
    return Strategy(
        name=name, kind=kind.name, account=accounts[0], symbol="", enabled=False, parameters=dump(kind.parameters())
    )


def _checked(row: Strategy, asked: dict[str, Any]) -> Change:
    """Return the change with the row as it would be; parameters that the file leaves out stay. Raises BadFile."""
    kind, before = registry.STRATEGIES[row.kind], _parameters(row)
    given = asked.get("parameters") or {}
    if not isinstance(given, dict):
        raise BadFile(["parameters: write them as NAME: VALUE"])
    symbol = str(asked.get("symbol") or row.symbol or before.get("symbol", ""))
    try:
        enabled = parse(strategies.Switch, {"enabled": asked["enabled"]}).enabled if "enabled" in asked else row.enabled
        after = dump(parse(kind.parameters, {**before, **given, "symbol": symbol}))
    except ParameterError as error:
        raise BadFile([f"{name}: {message}" for name, message in error.errors.items()]) from error
    if not Contract.objects.filter(venue=row.account.venue, symbol=symbol, active=True).exists():
        raise BadFile([f"symbol: the venue of {row.account} lists no contract {symbol}"])
    fields = {"symbol": (row.symbol, symbol), "enabled": (row.enabled, enabled)}
    found = [Difference(name, *values) for name, values in fields.items() if values[0] != values[1]]
    found += [one for one in differences(before, after) if one.name != "symbol"]
    locked = strategies.pinned(row)
    if wrong := [one for one in found if one.name in locked]:
        raise BadFile(
            [
                f"{one.name}: is set by {locked[one.name]}={os.environ[locked[one.name]]}; change it there"
                for one in wrong
            ]
        )
    if row.pk is None:
        found = [Difference(one.name, None, one.after) for one in found]
    row.symbol, row.parameters = symbol, after
    return Change(row, tuple(found))


def _nearest(name: str, known: Iterable[str]) -> str:
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0)[0]
