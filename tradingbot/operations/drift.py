"""One strategy on several own accounts: what each made of a session, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from tradingbot.models import Contract, Strategy, Trade
from tradingbot.operations.results import entry_of

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Part:
    """What one account made of it; None where it did not trade. Dollars.

    entry       average price of the contracts that were closed; a_contract: net of one of them
    drift       a_contract less that of the first account which traded in the session, None for that one
    """

    session_date: date
    account: str
    strategy: str
    entries: int
    quantity: int
    contract: Contract | None
    entered_at: datetime | None
    entry: Decimal | None
    net: Decimal | None
    a_contract: Decimal | None
    drift: Decimal | None


def side_by_side(strategies: Sequence[Strategy], *, first: date, last: date) -> list[Part]:
    """Return a row for each strategy in every session in which one of them closed a trade, newest session first."""
    rows = Trade.objects.filter(strategy__in=strategies, session_date__range=(first, last))
    by_session: dict[date, dict[int, list[Trade]]] = {}
    for trade in rows.select_related("contract", "entry_fill").order_by("entered_at", "pk"):
        by_session.setdefault(trade.session_date, {}).setdefault(trade.strategy_id or 0, []).append(trade)
    parts = []
    for session in sorted(by_session, reverse=True):
        base: Decimal | None = None
        for strategy in strategies:
            part = _part(session, strategy, by_session[session].get(strategy.pk, []), base)
            base = part.a_contract if base is None else base
            parts.append(part)
    return parts


def _part(session: date, strategy: Strategy, trades: Sequence[Trade], base: Decimal | None) -> Part:
    quantity = sum(trade.quantity for trade in trades)
    net = each = entry = None
    if quantity:
        net = sum((trade.net for trade in trades), Decimal(0))
        each = (net / quantity).quantize(_CENT, ROUND_HALF_UP)
        entry = sum((trade.entry_price * trade.quantity for trade in trades), Decimal(0)) / quantity
    return Part(
        session_date=session,
        account=strategy.account.name,
        strategy=strategy.name,
        entries=len({entry_of(trade) for trade in trades}),
        quantity=quantity,
        contract=trades[0].contract if trades else None,
        entered_at=trades[0].entered_at if trades else None,
        entry=entry,
        net=net,
        a_contract=each,
        drift=None if each is None or base is None else each - base,
    )
