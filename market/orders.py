"""Orders as every part of the system speaks of them; the numbers of a venue stay in its adapter."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Side(IntEnum):
    """Direction of an order; the value is the sign of the position that it adds."""

    BUY = 1
    SELL = -1

    def __init__(self, sign: int) -> None:
        self.word = "buy" if sign > 0 else "sell"

    @property
    def opposite(self) -> Side:
        return Side(-self)


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    TRAILING_STOP = "trailing_stop"


class Role(StrEnum):
    """What an order is for: it opens, protects, takes profit or closes; `external` orders are not ours."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"
    EXTERNAL = "external"


class OrderStatus(StrEnum):
    """Life of an order, from our intent on; see NEXT for what may follow what."""

    NEW = "new"  # intent committed, not sent
    SUSPENDED = "suspended"  # bracket leg that travels with its entry; the venue activates it on the fill
    SENDING = "sending"  # claimed by one process, the call may be under way
    UNKNOWN = "unknown"  # the call's outcome is not known; counts as live and as filled for risk
    WORKING = "working"
    PARTIAL = "partial"
    CANCEL_PENDING = "cancel_pending"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ABANDONED = "abandoned"  # proven absent after an unknown outcome; watched, never resent
    GHOST = "ghost"  # an abandoned or ended order that appeared after all


_ENDED_AT_VENUE = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
_AT_VENUE = frozenset({OrderStatus.WORKING, OrderStatus.PARTIAL, OrderStatus.CANCEL_PENDING}) | _ENDED_AT_VENUE

NEXT: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.NEW: frozenset({OrderStatus.SENDING, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}),
    OrderStatus.SUSPENDED: _AT_VENUE,
    OrderStatus.SENDING: _AT_VENUE | {OrderStatus.NEW, OrderStatus.UNKNOWN, OrderStatus.SUSPENDED},
    OrderStatus.UNKNOWN: _AT_VENUE | {OrderStatus.ABANDONED, OrderStatus.SUSPENDED},
    OrderStatus.WORKING: _AT_VENUE - {OrderStatus.WORKING},
    OrderStatus.PARTIAL: _AT_VENUE - {OrderStatus.WORKING},
    OrderStatus.CANCEL_PENDING: _ENDED_AT_VENUE | {OrderStatus.CANCEL_PENDING, OrderStatus.PARTIAL},
    OrderStatus.FILLED: frozenset(),
    OrderStatus.CANCELLED: frozenset({OrderStatus.GHOST}),
    OrderStatus.EXPIRED: frozenset({OrderStatus.GHOST}),
    OrderStatus.REJECTED: frozenset({OrderStatus.GHOST}),
    OrderStatus.ABANDONED: frozenset({OrderStatus.GHOST}),
    OrderStatus.GHOST: frozenset({OrderStatus.CANCEL_PENDING, OrderStatus.FILLED, OrderStatus.CANCELLED}),
}

LIVE = frozenset(
    {
        OrderStatus.NEW,
        OrderStatus.SUSPENDED,
        OrderStatus.SENDING,
        OrderStatus.UNKNOWN,
        OrderStatus.WORKING,
        OrderStatus.PARTIAL,
        OrderStatus.CANCEL_PENDING,
        OrderStatus.GHOST,
    }
)
"""Statuses in which an order may still change the position."""

ENTRY_TAKEN = frozenset(
    {
        OrderStatus.NEW,
        OrderStatus.SENDING,
        OrderStatus.UNKNOWN,
        OrderStatus.WORKING,
        OrderStatus.PARTIAL,
        OrderStatus.CANCEL_PENDING,
        OrderStatus.ABANDONED,
    }
)
"""Statuses in which an entry keeps its (account, strategy, session, side) to itself: I1."""
