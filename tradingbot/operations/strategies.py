"""Rows of the strategies: seeded and pinned by the environment, switched by people."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

import strategies as registry
from market.orders import Role
from strategies.parameters import ParameterError, dump, param, parse
from tradingbot.models import Account, Order, Stage, Strategy
from tradingbot.operations import notifications, orders, sessions

_SWITCHES = {name: kind for name, (kind, field) in registry.ENVIRONMENT.items() if field == registry.ENABLED}
_FAMILIES = tuple(name.removesuffix("ENABLED") for name in _SWITCHES)
_TRADED = (Stage.PRACTICE, Stage.COMBINE, Stage.EXPRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """What of the environment is no parameter of a strategy."""

    enabled: bool = param(False, help="Whether the strategy trades")


@dataclass(frozen=True, slots=True)
class Seed:
    """What the environment says of one strategy: its switch, None if it says nothing, and typed parameters by name."""

    enabled: bool | None
    parameters: dict[str, Any]


def read_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Seed]:
    """Return what the environment sets, by strategy; an empty variable sets nothing.

    Raises ImproperlyConfigured with a line for every variable that is misspelt or has a wrong value.
    """
    given = {name: value for name, value in environment.items() if value.strip() and _is_ours(name)}
    wrong = [f"{name}: there is no such variable; did you mean {_nearest(name)}?" for name in given if not _known(name)]
    seeds: dict[str, Seed] = {}
    for kind in _SWITCHES.values():
        variables = {
            name: value for name, value in given.items() if _known(name) and registry.ENVIRONMENT[name][0] == kind
        }
        enabled, errors = _switch(variables)
        wrong += errors
        named = {registry.ENVIRONMENT[name][1]: name for name in variables}
        named.pop(registry.ENABLED, None)
        texts = {parameter: variables[name].strip() for parameter, name in named.items()}
        try:
            params = parse(registry.STRATEGIES[kind].parameters, texts)
        except ParameterError as error:
            wrong += [f"{named.get(name, name)}: {message}" for name, message in error.errors.items()]
            continue
        seeds[kind] = Seed(enabled, {name: value for name, value in dump(params).items() if name in texts})
    if wrong:
        raise ImproperlyConfigured("the environment cannot be used:\n  " + "\n  ".join(wrong))
    return seeds


def sync(*, now: datetime) -> list[Strategy]:
    """Make a row of every strategy that can be configured, and set again what the environment pins. Returns the rows.

    Without an account there is nothing to make yet. Raises ImproperlyConfigured like `read_environment`.
    """
    seeds = read_environment()
    account = _account()
    if account is None:
        return []
    return [_row(kind, seeds.get(kind.name, Seed(None, {})), account, now) for kind in registry.STRATEGIES.values()]


def pinned(strategy: Strategy) -> dict[str, str]:
    """Return which fields the environment sets, with the variable that does: `enabled` and names of parameters."""
    if strategy.name != strategy.kind:
        return {}  # a second one of a kind is a person's
    return {
        field: name
        for name, (kind, field) in registry.ENVIRONMENT.items()
        if kind == strategy.kind and os.environ.get(name, "").strip()
    }


def start(strategy: Strategy, *, by: str, now: datetime) -> bool:
    """Let the strategy trade, from the open session on. False if it does already.

    Raises ValueError if the environment pins it, or its parameters cannot be used.
    """
    return _set_enabled(strategy, True, by, now)


def stop(strategy: Strategy, *, by: str, now: datetime) -> bool:
    """Let the strategy place nothing more and cancel its entries; a position keeps its stop. False if it is off.

    Raises ValueError if the environment pins it.
    """
    return _set_enabled(strategy, False, by, now)


def _set_enabled(strategy: Strategy, enabled: bool, by: str, now: datetime) -> bool:
    variable = pinned(strategy).get(registry.ENABLED)
    if variable and parse(Switch, {"enabled": os.environ[variable]}).enabled != enabled:
        raise ValueError(f"{strategy} is set by {variable}={os.environ[variable]}; change it there")
    if enabled:
        strategy.typed_parameters()
    with transaction.atomic():
        row = Strategy.objects.select_for_update(of=("self",)).select_related("account__login").get(pk=strategy.pk)
        if row.enabled == enabled:
            return False
        row.enabled = enabled
        row.save(update_fields=["enabled"])
        word = "started" if enabled else "stopped"
        notifications.notify("strategy", f"{row} {word}", account=row.account, body=f"by {by}", now=now)
    strategy.enabled = enabled
    if enabled:
        sessions.plan(row.account, now=now)
    else:
        for order in Order.objects.live().filter(strategy=row, role=Role.ENTRY, filled=0):
            orders.request_cancel(order, by=f"{row} stopped by {by}", now=now)
    return True


def _row(kind: registry.Strategy, seed: Seed, account: Account, now: datetime) -> Strategy:
    with transaction.atomic():
        row = Strategy.objects.select_for_update(of=("self",)).filter(name=kind.name).first()
        before = (row.enabled, row.symbol, dict(row.parameters)) if row else None
        if row is None:
            parameters = dump(parse(kind.parameters, seed.parameters))
            row = Strategy(name=kind.name, kind=kind.name, account=account, parameters=parameters)
            row.enabled = kind.enabled_by_default
        row.parameters = row.parameters | seed.parameters
        row.symbol = row.parameters.get("symbol", row.symbol)
        row.enabled = row.enabled if seed.enabled is None else seed.enabled
        if (row.enabled, row.symbol, row.parameters) != before:
            row.save()
            notifications.notify(
                "strategy",
                f"{row} is {'on' if row.enabled else 'off'}",
                account=row.account,
                body=f"{row.symbol} on {row.account}, as configured.",
                now=now,
            )
    return row


def _account() -> Account | None:
    """Return the account that a new strategy trades: the selected one, else the first tradeable, practice first."""
    rows = Account.objects.filter(enabled=True, login__enabled=True).select_related("login").order_by("name")
    traded = sorted((row for row in rows if row.stage in _TRADED), key=lambda row: _TRADED.index(Stage(row.stage)))
    return next((row for row in rows if row.selected), None) or next(iter(traded), None) or rows.first()


def _is_ours(name: str) -> bool:
    return name.startswith(_FAMILIES)


def _known(name: str) -> bool:
    return name in registry.ENVIRONMENT


def _nearest(name: str) -> str:
    return difflib.get_close_matches(name, registry.ENVIRONMENT, n=1, cutoff=0)[0]


def _switch(variables: Mapping[str, str]) -> tuple[bool | None, list[str]]:
    """Return what the strategy's switch says, None for nothing, and what is wrong about it."""
    name = next((name for name in variables if name in _SWITCHES), None)
    if name is None:
        return None, []
    try:
        return parse(Switch, {"enabled": variables[name]}).enabled, []
    except ParameterError as error:
        return None, [f"{name}: {message}" for message in error.errors.values()]
