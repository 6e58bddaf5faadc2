"""What is asked of the gate: one entry, or a pair of entries of which one shall fill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from market.contracts import Contract
from market.orders import OrderType, Side


@dataclass(frozen=True, slots=True)
class EntrySide:
    """One entry order with its bracket.

    price         limit or stop price in ticks; None for a market order
    stop_ticks, target_ticks   positive distances from the entry's fill; target None for none
    expires_at    the entry is cancelled then; None works until the session's flat time
    """

    side: Side
    type: OrderType
    price: int | None
    stop_ticks: int
    target_ticks: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """A wish to open a position.

    quantity      contracts of each side; the gate may grant fewer, never fewer than `minimum_quantity`
    sides         one entry, or with `oco` a buy and a sell of which the first fill cancels the other
    reference     newest price in ticks, None when there is none
    """

    contract: Contract
    quantity: int
    sides: tuple[EntrySide, ...]
    oco: bool = False
    reference: int | None = None
    minimum_quantity: int = 1
