"""The proof that the accounting can be computed again: everything from the fills, beside what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from market.books import Books
from market.positions import book
from tradingbot.models import Account, DayResult, Fill, Position, Trade
from tradingbot.operations import accounts, results, trades


@dataclass(frozen=True, slots=True)
class Change:
    """One figure that is stored otherwise than the fills say; None: there is no row, or there should be none."""

    what: str
    figure: str
    stored: object
    computed: object


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How much was compared, and everything that differs."""

    fills: int
    trades: int
    days: int
    net: Decimal
    changes: list[Change]


def compare(account: Account, *, now: datetime) -> Rebuilt:
    """Compute positions, trades and results of an account from its fills and compare; writes nothing."""
    ended = _ended(now)
    changes: list[Change] = []
    made: list[Trade] = []
    count = 0
    for position in account.positions.select_related("contract"):
        fills, kept = trades.turns(position, ended=ended)
        count += len(fills)
        computed = list(_trades(position, fills, kept))
        changes += _of_position(position, fills)
        changes += _of_trades(position, computed)
        made += computed
    days = _days(made)
    changes += _of_days(account, days)
    return Rebuilt(count, len(made), len(days), sum((trade.net for trade in made), Decimal(0)), changes)


def write(account: Account, *, now: datetime) -> None:
    """Store what the fills say."""
    with transaction.atomic():
        for position in account.positions.select_for_update(of=("self",)).select_related("contract"):
            position.booked_from = None
            trades.rebuild(position, ended=_ended(now))
        keys = {results.key(trade) for trade in Trade.objects.filter(account=account)}
        keys |= {results.Key(row.strategy_id, row.session_date) for row in account.results.all()}
        results.update(account.pk, keys)


def _ended(now: datetime) -> date | None:
    session = accounts.last_ended(now)
    return session.trade_date if session else None


def _trades(position: Position, rows: list[trades.Booked], kept: Books) -> Iterator[Trade]:
    """Yield the trades as they should be stored, unsaved."""
    booked = {row.execution.id: row for row in rows}
    found = Fill.objects.filter(account=position.account_id, contract=position.contract).select_related("order")
    fills = {fill.broker_trade_id: fill for fill in found}
    for one in kept.trades:
        pair = {"entry_fill": fills[one.turn.entry_id], "exit_fill": fills[one.turn.exit_id]}
        yield Trade(**trades.values(position, one, booked), **pair)


def _of_position(position: Position, rows: list[trades.Booked]) -> list[Change]:
    booked = book(row.execution for row in rows)
    stored = Position.objects.get(pk=position.pk)
    average = booked.average_price.quantize(Decimal("1e-9"))
    pairs = (("quantity", stored.quantity, booked.quantity), ("average price", stored.average_price, average))
    return [Change(str(position), name, before, after) for name, before, after in pairs if before != after]


def _of_trades(position: Position, computed: list[Trade]) -> list[Change]:
    found = Trade.objects.filter(account=position.account_id, contract=position.contract)
    stored = {(row.entry_fill_id, row.exit_fill_id): row for row in found}
    wanted = {(row.entry_fill_id, row.exit_fill_id): row for row in computed}
    changes = []
    for pair in sorted(stored.keys() | wanted.keys()):
        before, after = stored.get(pair), wanted.get(pair)
        what = f"trade of fills {pair[0]} and {pair[1]}"
        if before is None or after is None:
            changes.append(Change(what, "net", before and before.net, after and after.net))
            continue
        changes += _of_columns(what, vars(before), {name: getattr(after, name) for name in trades.COMPARED})
    return changes


def _days(made: list[Trade]) -> dict[results.Key, dict[str, Any]]:
    by_key: dict[results.Key, list[Trade]] = {}
    for trade in sorted(made, key=lambda row: (row.exited_at, row.exit_fill.broker_trade_id)):
        by_key.setdefault(results.key(trade), []).append(trade)
    found = {key: results.day(key.session_date, rows) for key, rows in by_key.items()}
    return {key: results.columns(day) for key, day in found.items() if day is not None}


def _of_days(account: Account, computed: Mapping[results.Key, dict[str, Any]]) -> list[Change]:
    rows = account.results.select_related("strategy")
    stored = {results.Key(row.strategy_id, row.session_date): row for row in rows}
    changes = []
    for key in sorted(stored.keys() | computed.keys(), key=lambda key: (key.session_date, key.strategy_id or 0)):
        row, after = stored.get(key), computed.get(key)
        what = f"result of {key.session_date}, {_owner(row, key)}"
        if row is None or after is None:
            changes.append(Change(what, "net", row and row.net, after and after["net"]))
        else:
            changes += _of_columns(what, vars(row), after)
    return changes


def _owner(row: DayResult | None, key: results.Key) -> str:
    if key.strategy_id is None:
        return "by hand"
    return str(row.strategy) if row else f"strategy {key.strategy_id}"


def _of_columns(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    return [
        Change(what, name.removesuffix("_id").replace("_", " "), before[name], value)
        for name, value in after.items()
        if before[name] != value
    ]
