"""Results of a strategy's session, summed anew from its trades whenever one of them changes: a day, never more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from market.performance import Day
from tradingbot.models import DayResult, Trade

_ORDERED = ("exited_at", "pk")
_NEEDED = (
    "quantity", "gross", "fees", "commissions", "net", "entered_at", "exited_at", "entry_fill__order__stop_ticks",
    "contract__broker_contract_id", "contract__symbol", "contract__tick_size", "contract__tick_value",
)  # fmt: skip
_LOCK = 7_310_007  # of PostgreSQL, with the account's id: until the end of the transaction


class Key(NamedTuple):
    """A session of a strategy (None: by hand)."""

    strategy_id: int | None
    session_date: date


def key(trade: Trade) -> Key:
    return Key(trade.strategy_id, trade.session_date)


def update(account_id: int, changed: Iterable[Key]) -> None:
    """Write the results of these sessions from their trades; without a trade there is no row.

    Call it in the transaction that wrote the trades: two of one account sum one after the other, and the second sees
    what the first has written.
    """
    changed = sorted(changed, key=lambda one: (one.session_date, one.strategy_id or 0))
    if changed:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, account_id % 2**31])
    for strategy_id, session_date in changed:
        where: dict[str, Any] = {"account_id": account_id, "strategy_id": strategy_id, "session_date": session_date}
        trades = Trade.objects.filter(**where).select_related("entry_fill__order", "contract").only(*_NEEDED)
        found = day(session_date, trades.order_by(*_ORDERED))
        if found is None:
            DayResult.objects.filter(**where).delete()
        else:
            figures = columns(found)
            DayResult.objects.bulk_create(
                [DayResult(**where, **figures)],
                update_conflicts=True,
                unique_fields=("account", "strategy", "session_date"),
                update_fields=list(figures),
            )


def columns(found: Day) -> dict[str, Any]:
    """Return the figures of a day as columns of its row."""
    return {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "session_date"}


def day(session_date: date, trades: Iterable[Trade]) -> Day | None:
    """Return the figures of one strategy's trades of a session in the order of their exits, None without any."""
    rows = list(trades)
    if not rows:
        return None
    nets = list(_by_entry(rows).values())
    risks = [(entry_of(trade), risk) for trade in rows if (risk := _risk(trade)) is not None]
    gross, costs = sum((t.gross for t in rows), Decimal(0)), sum((t.fees + t.commissions for t in rows), Decimal(0))
    total = low = Decimal(0)
    for trade in rows:
        total += trade.net
        low = min(low, total)
    return Day(
        session_date=session_date,
        trades=len(nets),
        won=sum(net > 0 for net in nets),
        lost=sum(net < 0 for net in nets),
        gross=gross,
        costs=costs,
        net=total,
        gain=sum((net for net in nets if net > 0), Decimal(0)),
        loss=sum((net for net in nets if net < 0), Decimal(0)),
        low=low,
        risk=sum((risk for _, risk in risks), Decimal(0)),
        risked=len({entry for entry, _ in risks}),
        held=held((trade.entered_at, trade.exited_at) for trade in rows),
    )


def entry_of(trade: Trade) -> int:
    """Return what the pieces of one entry have in common: its order; without a row of it, its fill."""
    return trade.entry_fill.order_id or -trade.entry_fill_id


def held(spans: Iterable[tuple[datetime, datetime]]) -> int:
    """Return the seconds that are in at least one of the spans."""
    seconds, until = 0.0, None
    for begin, end in sorted(spans):
        begin = begin if until is None else max(begin, until)
        if until is None or end > until:
            seconds += max((end - begin).total_seconds(), 0.0)
            until = end
    return round(seconds)


def _by_entry(trades: Iterable[Trade]) -> dict[int, Decimal]:
    nets: dict[int, Decimal] = {}
    for trade in trades:
        entry = entry_of(trade)
        nets[entry] = nets.get(entry, Decimal(0)) + trade.net
    return nets


def _risk(trade: Trade) -> Decimal | None:
    """Return what the contracts would have lost at the first stop of their entry, None without one."""
    entry = trade.entry_fill.order
    if entry is None or not entry.stop_ticks:
        return None
    return trade.contract.spec.money(entry.stop_ticks, trade.quantity)
