"""Position and trades of a contract, computed from the fills: nothing is added up that could drift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from market.books import BY_HAND, Books, Owned, OwnedTurn, keep
from market.orders import Role
from market.positions import book
from tradingbot.models import Fill, Order, Position, Trade
from tradingbot.operations import results

_CENT = Decimal("0.01")
COMPARED = ("strategy_id", "session_date", "quantity", "exit_price", "fees", "commissions", "net", "exit_role")


def rebuild(position: Position, *, since: datetime | None = None, ended: date | None = None) -> None:
    """Compute position, trades and results of the days that they change again; the caller holds the position's lock.

    Only fills that may still matter are read: those since the account was last flat at a session's end.

    since   when a fill happened that is new or not what it was; one of a settled time opens everything again
    ended   newest session that is over, see `market.books.keep`
    """
    if since is not None and position.booked_from is not None and since < position.booked_from:
        position.booked_from = None
    rows = unsettled(position)
    kept = keep(map(owned, rows), ended=ended)
    _write_position(position, rows, kept)
    results.update(position.account_id, _write_trades(position, rows, kept))


def owned(fill: Fill) -> Owned:
    """Return the fill with its owner: the strategy of its order; nobody's, if no strategy and no entry explains it."""
    return Owned(fill.execution, _owner(fill.order), fill.session_date)


def turns(position: Position, *, ended: date | None = None) -> tuple[list[Fill], Books]:
    """Return all fills of the position's contract that count, and what they make."""
    position.booked_from = None
    rows = unsettled(position)
    return rows, keep(map(owned, rows), ended=ended)


def values(position: Position, one: OwnedTurn, fills: dict[int, Fill]) -> dict[str, Any]:
    """Return the columns of the trade that a round turn is."""
    turn = one.turn
    gross = turn.gross(position.contract.spec.point_value).quantize(_CENT, ROUND_HALF_UP)
    leaving = fills[turn.exit_id].order
    return {
        "account_id": position.account_id,
        "contract": position.contract,
        "strategy_id": None if one.owner == BY_HAND else one.owner,
        "session_date": one.session,
        "direction": turn.direction,
        "quantity": turn.quantity,
        "entry_price": turn.entry_price,
        "exit_price": turn.exit_price,
        "entered_at": turn.entered_at,
        "exited_at": turn.exited_at,
        "gross": gross,
        "fees": turn.fees,
        "commissions": turn.commissions,
        "net": gross - turn.fees - turn.commissions,
        "exit_role": Role.EXIT if one.crossed else leaving.role if leaving else Role.EXTERNAL,
    }


def unsettled(position: Position) -> list[Fill]:
    """Return the fills that count of the time since the account was last flat at a session's end, oldest first."""
    found = Fill.objects.filter(account=position.account_id, contract=position.contract, voided=False)
    if position.booked_from is not None:
        found = found.filter(at__gte=position.booked_from)
    return list(found.select_related("order__parent").order_by("at", "broker_trade_id"))


def _owner(order: Order | None) -> int | None:
    if order is None:
        return None
    entry = order.parent or order
    if entry.strategy_id is not None:
        return entry.strategy_id
    return BY_HAND if entry.role == Role.ENTRY else None


def _write_position(position: Position, rows: Sequence[Fill], kept: Books) -> None:
    booked = book(fill.execution for fill in rows)
    was_flat = position.quantity == 0
    position.quantity, position.average_price = booked.quantity, booked.average_price
    opened = {fill.broker_trade_id: fill.at for fill in rows}
    position.opened_at = opened[booked.open_lots[0][0]] if booked.open_lots else None
    if kept.settled:
        position.booked_from = rows[kept.settled].at
    position.save(update_fields=["quantity", "average_price", "opened_at", "booked_from"])
    exposed = Now() if booked.quantity else None
    if was_flat or not booked.quantity:
        Position.objects.filter(pk=position.pk).update(exposed_since=exposed, unprotected_since=None)


def _write_trades(position: Position, rows: Sequence[Fill], kept: Books) -> set[results.Key]:
    """Write the trades that are new or not what they were; returns the days of strategies whose results changed."""
    fills = {fill.broker_trade_id: fill for fill in rows}
    stored = {(trade.entry_fill_id, trade.exit_fill_id): trade for trade in _stored(position, rows)}
    changed: set[results.Key] = set()
    wanted = {}
    for one in kept.trades:
        wanted[fills[one.turn.entry_id].pk, fills[one.turn.exit_id].pk] = values(position, one, fills)
    for pair in stored.keys() - wanted.keys():
        changed.add(results.key(stored[pair]))
        stored[pair].delete()
    for pair, columns in wanted.items():
        before = stored.get(pair)
        if before is not None and all(getattr(before, name) == columns[name] for name in COMPARED):
            continue
        if before is None:
            Trade.objects.create(entry_fill_id=pair[0], exit_fill_id=pair[1], **columns)
        else:
            changed.add(results.key(before))
            Trade.objects.filter(pk=before.pk).update(**columns)
        changed.add(results.Key(columns["strategy_id"], columns["session_date"]))
    return changed


def _stored(position: Position, rows: Sequence[Fill]) -> QuerySet[Trade]:
    found = Trade.objects.filter(account=position.account_id, contract=position.contract)
    if position.booked_from is not None and rows:
        found = found.filter(entered_at__gte=rows[0].at)
    return found
