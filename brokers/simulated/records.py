"""What the ledger holds. Times are aware UTC (market time), prices and distances ticks, money dollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum

from market.orders import Side


class Status(IntEnum):
    """The venue's order statuses."""

    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8


class Type(IntEnum):
    """The venue's order types."""

    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


IN_FLIGHT = (Status.OPEN, Status.PENDING, Status.PENDING_CANCELLATION, Status.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    name: str
    balance: Decimal
    can_trade: bool = True
    visible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order, bracket legs included.

    limit, stop   prices; a working trailing stop keeps its present trigger in `stop`
    trail         ticks that a trailing stop stays behind
    offset        signed ticks from the entry's fill, while the leg is suspended
    fill_cost     sum of price times quantity over the fills
    reason        why the venue rejected it; never sent over the wire
    """

    id: int
    account_id: int
    contract_id: str
    created_at: datetime
    updated_at: datetime
    status: Status
    type: Type
    side: Side
    size: int
    limit: int | None = None
    stop: int | None = None
    trail: int | None = None
    offset: int | None = None
    filled: int = 0
    fill_cost: int = 0
    tag: str | None = None
    parent_id: int | None = None
    linked_id: int | None = None
    reason: str | None = None

    @property
    def remaining(self) -> int:
        return self.size - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill; `profit` before costs, None when it opened or added."""

    id: int
    order_id: int
    account_id: int
    contract_id: str
    at: datetime
    side: Side
    quantity: int
    price: int
    fees: Decimal
    commissions: Decimal
    profit: Decimal | None
    voided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The net position of an account in a contract; `quantity` is signed, `cost` ticks times contracts, positive."""

    id: int
    account_id: int
    contract_id: str
    opened_at: datetime
    quantity: int
    cost: Decimal

    @property
    def average(self) -> Decimal:
        """Return the size-weighted entry price in ticks; of a closed position, the last one."""
        return self.cost / abs(self.quantity) if self.quantity else self.cost
