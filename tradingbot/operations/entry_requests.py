"""What a plan's row asks the gate for: the same entry in the words of risk."""

from __future__ import annotations

from market.contracts import Contract as Spec
from market.orders import OrderType, Side
from market.plans import Kind, Management, SidePlan, Signal
from risk.gate import EntryRequest, EntrySide
from tradingbot.operations.sights import Sight

_TYPES = {Kind.MARKET: OrderType.MARKET, Kind.LIMIT: OrderType.LIMIT, Kind.STOP: OrderType.STOP}


def entry_request(spec: Spec, sight: Sight, signal: Signal, managed: Management, size: int) -> EntryRequest:
    """Return the request of a row that has an entry, of at most `size` contracts."""
    sides = tuple(
        _side(side, plan) for side, plan in ((Side.BUY, signal.long), (Side.SELL, signal.short)) if plan is not None
    )
    return EntryRequest(
        contract=spec,
        quantity=min(managed.quantity(size, side.stop_ticks or 0, spec) for side in sides),
        sides=sides,
        oco=signal.oco,
        reference=int(sight.frames.base.close[-1]),
    )


def _side(side: Side, plan: SidePlan) -> EntrySide:
    return EntrySide(
        side=side,
        type=_TYPES[plan.kind],
        price=None if plan.kind is Kind.MARKET else plan.price,
        stop_ticks=plan.stop_ticks,
        target_ticks=plan.target_ticks or None,
        expires_at=plan.expires_at,
    )
