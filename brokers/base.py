"""The port: what every venue does for us, in our words, and errors that say what we know of the outcome.

A mutation (place, modify, cancel, close) raises exactly one of

    NotSent         provably nothing happened at the venue: may be repeated
    Refused         the venue said no; final
    OutcomeUnknown  it may have happened or may still happen: read before anything else is sent

A read raises ReadFailed (also for an answer that proves nothing) or NotSent; a failed read is never an empty list.
Both kinds raise LoginFailed when the venue does not know us, OverBudget (a NotSent) when our own rate budget is spent;
reads and entries raise CircuitOpen (a NotSent) while the venue is left alone because it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Protocol

from market.bars import Timeframe
from market.contracts import Contract
from market.orders import OrderStatus, OrderType, Side


class BrokerError(Exception):
    """Anything that a venue or the way to it can answer.

    code   the venue's number where it gave one
    raw    what it answered where that proves nothing, shortened and without tokens; empty if nothing came
    """

    def __init__(self, message: str, *, code: int | None = None, raw: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.raw = raw


class NotSent(BrokerError):
    """Nothing left this process, or nothing can have arrived: safe to repeat."""


class OverBudget(NotSent):
    """Our own rate budget is spent. `retry_after` seconds of machine time."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CircuitOpen(NotSent):
    """The venue has failed several times in a row: reads and entries wait for a moment, nothing was sent."""


class Refused(BrokerError):
    """The venue refused the request for good."""


class TagInUse(Refused):
    """An order with this tag exists at the venue already: an earlier send of ours landed."""


class LoginFailed(Refused):
    """The venue does not accept our key or token."""


class OutcomeUnknown(BrokerError):
    """The request may have taken effect."""


class ReadFailed(BrokerError):
    """A read did not bring an answer that proves anything."""


class Lane(IntEnum):
    """Who goes first when the rate budget runs low; lower goes first."""

    CANCEL = 0  # cancel and close
    STOP = 1
    RESOLVE = 2
    PLACE = 3
    RECONCILE = 4
    BARS = 5


@dataclass(frozen=True, slots=True)
class AccountReport:
    id: int
    name: str
    balance: Decimal
    can_trade: bool
    visible: bool
    simulated: bool


@dataclass(frozen=True, slots=True)
class ContractReport:
    """A contract as the venue lists it; `symbol` is the root of its name (MNQ of MNQZ6)."""

    contract: Contract
    name: str
    description: str
    active: bool


@dataclass(frozen=True, slots=True)
class BarReport:
    """One bar of the venue; prices in points."""

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue shows it. `status` is None for a number we do not know: treat as not ended."""

    id: int
    account_id: int
    contract_id: str
    created_at: datetime
    updated_at: datetime | None
    status: OrderStatus | None
    type: OrderType | None
    side: Side
    quantity: int
    filled: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_price: Decimal | None = None
    tag: str | None = None
    parent_id: int | None = None
    linked_id: int | None = None


@dataclass(frozen=True, slots=True)
class FillReport:
    """One execution at the venue (its "trade"); costs in dollars of this execution, None when the venue gives none."""

    id: int
    account_id: int
    contract_id: str
    order_id: int
    at: datetime
    side: Side
    quantity: int
    price: Decimal
    fees: Decimal
    commissions: Decimal | None
    profit: Decimal | None
    voided: bool


@dataclass(frozen=True, slots=True)
class PositionReport:
    """A net position; `quantity` is signed."""

    contract_id: str
    quantity: int
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class BracketTicks:
    """Distance from the entry's fill in ticks, always positive here; the adapter gives them the venue's sign."""

    stop: int
    target: int | None = None


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A request to place one order. `tag` is ours, unique for ever, and echoed by the venue."""

    account_id: int
    contract_id: str
    tag: str
    side: Side
    type: OrderType
    quantity: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    bracket: BracketTicks | None = None


class Broker(Protocol):
    """One login at one venue. Account ids are the venue's. Every call has a deadline; none is ever retried here."""

    def accounts(self) -> list[AccountReport]:
        """Return the active accounts of this login."""

    def contracts(self) -> list[ContractReport]:
        """Return every listed contract, one active month a product."""

    def contract(self, contract_id: str) -> ContractReport:
        """Return one contract, expired ones too. Raises Refused if the venue does not know it."""

    def bars(
        self, contract_id: str, timeframe: Timeframe, start: datetime, end: datetime, *, limit: int = 20_000
    ) -> list[BarReport]:
        """Return closed bars that opened in [start, end), oldest first; the newest `limit` when there are more."""

    def place(self, order: PlaceOrder, *, lane: Lane = Lane.PLACE) -> int:
        """Return the venue's order id: accepted for processing, nothing more."""

    def modify(
        self,
        account_id: int,
        order_id: int,
        *,
        quantity: int | None = None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        trail_price: Decimal | None = None,
        lane: Lane = Lane.STOP,
    ) -> None:
        """Set absolute values; None leaves a value as it is."""

    def cancel(self, account_id: int, order_id: int) -> None:
        """Ask for a cancel; the order may still fill."""

    def close(self, account_id: int, contract_id: str, quantity: int | None = None) -> None:
        """Close the whole position at market, or `quantity` contracts of it. Raises Refused(code=2) when flat."""

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        """Return every order that has not ended: working, pending, pending cancellation, suspended bracket legs."""

    def orders_between(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[OrderReport]:
        """Return the orders created in [start, end], ended ones too; suspended legs may be missing."""

    def positions(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[PositionReport]:
        """Return the open positions."""

    def fills(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[FillReport]:
        """Return the executions in [start, end], oldest first, voided ones marked."""

    def clock_skew(self) -> float | None:
        """Return seconds that the venue's clock is ahead of ours by its last answer, None before the first."""
