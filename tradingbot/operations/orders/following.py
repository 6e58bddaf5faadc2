"""Tick mode: a stop goes where a price between two closed bars wants it. A backtest knows minutes only: outside parity.

Only strategies that say so (`Strategy.follow_ticks`). The stream holds prices against `goals` and hints; `follow` looks
again and moves. What it misses, `manage` does with the next closed bar, by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from market.sessions import trade_date_of
from tradingbot.models import Decision, Login, Order, Position, Strategy
from tradingbot.operations.orders.holdings import Holding, holdings
from tradingbot.operations.orders.managing import Held, breakeven, movable, move_stops


@dataclass(frozen=True, slots=True)
class Goal:
    """The price in points at which a stop of an entry is to move next; `side` is the entry's."""

    entry_id: int
    contract_id: str
    side: int
    price: Decimal


def goals(login: Login, *, now: datetime) -> list[Goal]:
    """Return one goal for each open entry that follows ticks and whose stop may still move."""
    if not Strategy.objects.filter(account__login=login, follow_ticks=True).exists():
        return []
    rows = Position.objects.filter(account__login=login, account__enabled=True).exclude(quantity=0)
    found = []
    for row in rows.select_related("contract"):
        for holding in holdings({row.account_id}, row.contract, trade_date_of(now)):
            if _follows(holding) and (price := _next(holding)) is not None:
                entry = holding.entry
                found.append(Goal(entry.pk, row.contract.broker_contract_id, entry.side, price))
    return found


def follow(entry: Order, price: Decimal, *, now: datetime) -> list[Decision]:
    """Move the stops of an entry to where a price in points, reached since its fill, wants them; never back."""
    contract = entry.contract
    found = holdings({entry.account_id}, contract, entry.session_date)
    holding = next((one for one in found if one.entry.pk == entry.pk), None)
    if holding is None or not _follows(holding):
        return []
    return move_stops(Held(holding, contract.spec, contract.spec.ticks(price)), now)


def _follows(holding: Holding) -> bool:
    strategy = holding.entry.strategy
    ours = strategy is not None and strategy.follow_ticks
    return ours and holding.left > 0 and holding.filled_at is not None and holding.entry.average_price is not None


def _next(holding: Holding) -> Decimal | None:
    """Return the nearest price at which the rearmost stop has to move."""
    entry, spec = holding.entry, holding.entry.contract.spec
    rearmost = _rearmost(holding, entry.side)
    if rearmost is None or entry.average_price is None:
        return None
    prices = []
    if entry.breakeven_ticks and (breakeven(entry, spec) - rearmost) * entry.side > 0:
        prices.append(entry.average_price + spec.price(entry.side * entry.breakeven_ticks))
    if entry.trail_ticks:
        prices.append(rearmost + spec.price(entry.side * (entry.trail_ticks + 1)))
    return min(prices, key=lambda price: price * entry.side, default=None)


def _rearmost(holding: Holding, side: int) -> Decimal | None:
    resting: Iterable[Decimal] = (
        stop.desired_price or stop.stop_price for stop in holding.stops if movable(stop) and stop.stop_price is not None
    )
    return min(resting, key=lambda price: price * side, default=None)
