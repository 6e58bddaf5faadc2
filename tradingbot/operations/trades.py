"""Position and trades of a contract, computed from the fills: nothing is added up that could drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from market.books import BY_HAND, Books, Owned, OwnedTurn, keep
from market.orders import Role, Side
from market.positions import Execution, book
from tradingbot.models import Position, Trade
from tradingbot.operations import results, statements

_CENT = Decimal("0.01")
COMPARED = ("strategy_id", "session_date", "quantity", "exit_price", "fees", "commissions", "net", "exit_role")

_UNSETTLED = f"""
SELECT fill.id, fill.broker_trade_id, fill.at, fill.side, fill.quantity, fill.price, fill.fees, fill.commissions,
    fill.session_date, fill.booked_at,
    coalesce(entry.strategy_id, CASE entry.role WHEN 'entry' THEN {BY_HAND} END), own.role
FROM tradingbot_fill fill
LEFT JOIN tradingbot_order own ON own.id = fill.order_id
LEFT JOIN tradingbot_order entry ON entry.id = coalesce(own.parent_id, own.id)
WHERE fill.account_id = %(account)s AND fill.contract_id = %(contract)s AND NOT fill.voided
    AND fill.at >= coalesce(%(since)s::timestamptz, '-infinity')
ORDER BY fill.at, fill.broker_trade_id
"""  # noqa: S608  a constant


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill that counts: the id of its row, what the books need of it, the role of its order (None: of no order).

    booked_at   machine time
    """

    pk: int
    owned: Owned
    role: Role | None
    booked_at: datetime

    @property
    def execution(self) -> Execution:
        return self.owned.execution


def rebuild(position: Position, *, since: datetime | None = None, ended: date | None = None) -> None:
    """Compute position, trades and results of the days that they change again; the caller holds the position's lock.

    Only fills that may still matter are read: those since the account was last flat at a session's end.

    since   when a fill happened that is new or not what it was; one of a settled time opens everything again
    ended   newest session that is over, see `market.books.keep`
    """
    if since is not None and position.booked_from is not None and since < position.booked_from:
        position.booked_from = None
    rows = unsettled(position)
    kept = keep((row.owned for row in rows), ended=ended)
    _write_position(position, rows, kept)
    results.update(position.account_id, _write_trades(position, rows, kept))


def turns(position: Position, *, ended: date | None = None) -> tuple[list[Booked], Books]:
    """Return all fills of the position's contract that count, and what they make."""
    position.booked_from = None
    rows = unsettled(position)
    return rows, keep((row.owned for row in rows), ended=ended)


def values(position: Position, one: OwnedTurn, fills: dict[int, Booked]) -> dict[str, Any]:
    """Return the columns of the trade that a round turn is."""
    turn = one.turn
    gross = turn.gross(position.contract.spec.point_value).quantize(_CENT, ROUND_HALF_UP)
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
        "exit_role": Role.EXIT if one.crossed else fills[turn.exit_id].role or Role.EXTERNAL,
    }


def unsettled(position: Position) -> list[Booked]:
    """Return the fills that count of the time since the account was last flat at a session's end, oldest first.

    A fill is its strategy's: the one of its order, or of the entry that its order protects. It is nobody's when no
    strategy and no entry explains it.
    """
    values = {"account": position.account_id, "contract": position.contract_id, "since": position.booked_from}
    return [
        Booked(
            pk,
            Owned(Execution(id_, at, Side(side), quantity, price.normalize(), fees, commissions), owner, session),
            None if role is None else Role(role),
            booked_at,
        )
        for pk, id_, at, side, quantity, price, fees, commissions, session, booked_at, owner, role in statements.rows(
            _UNSETTLED, values
        )
    ]


def _write_position(position: Position, rows: Sequence[Booked], kept: Books) -> None:
    booked = book(row.execution for row in rows)
    opened = {row.execution.id: row.execution.at for row in rows}
    columns: dict[str, Any] = {
        "quantity": booked.quantity,
        "average_price": booked.average_price,
        "opened_at": opened[booked.open_lots[0][0]] if booked.open_lots else None,
        "booked_from": rows[kept.settled].execution.at if kept.settled else position.booked_from,
    }
    exposure: dict[str, Any] = {}
    if not position.quantity or not booked.quantity:
        exposure = {"exposed_since": Now() if booked.quantity else None, "unprotected_since": None}
    Position.objects.filter(pk=position.pk).update(**columns, **exposure)
    for name, value in columns.items():
        setattr(position, name, value)


def _write_trades(position: Position, rows: Sequence[Booked], kept: Books) -> set[results.Key]:
    """Write the trades that are new or not what they were; returns the days of strategies whose results changed."""
    fills = {row.execution.id: row for row in rows}
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


def _stored(position: Position, rows: Sequence[Booked]) -> QuerySet[Trade]:
    found = Trade.objects.filter(account=position.account_id, contract=position.contract)
    found = found.only("entry_fill_id", "exit_fill_id", *COMPARED).order_by()
    if position.booked_from is not None and rows:
        found = found.filter(entered_at__gte=rows[0].execution.at)
    return found
