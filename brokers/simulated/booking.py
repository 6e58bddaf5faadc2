"""What a fill does to a position: size-weighted average, profit realised against it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from brokers.simulated.records import Position
from market.orders import Side

_PRECISION = Decimal("1e-9")  # the venue's decimals; what is rounded off stays with the rest of the position


def add(position: Position, side: Side, quantity: int, price: int) -> tuple[Position, Decimal | None]:
    """Return the position after a fill, and what the fill realised in ticks times contracts, None if it closed nothing.

    A flat position has quantity 0. A fill larger than the position closes it and opens the rest at `price`.
    """
    held = abs(position.quantity)
    if position.quantity * side >= 0:
        cost = (position.cost if held else 0) + Decimal(price * quantity)
        return replace(position, quantity=position.quantity + side * quantity, cost=cost), None
    closed = min(held, quantity)
    share = position.cost if closed == held else (position.cost * closed / held).quantize(_PRECISION)
    profit = (price * closed - share) * -side
    rest = position.quantity + side * quantity
    if quantity > held:
        return replace(position, quantity=rest, cost=Decimal(price * abs(rest))), profit
    cost = (position.cost / held).quantize(_PRECISION) if not rest else position.cost - share
    return replace(position, quantity=rest, cost=cost), profit
