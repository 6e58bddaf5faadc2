"""What happens at the venue without a request of ours: fills on demand, foreign orders, voided trades, locks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from brokers.simulated.booking import add
from brokers.simulated.clearing import Clearing
from brokers.simulated.codes import Refusal
from brokers.simulated.ledger import Ledger
from brokers.simulated.market import Market, last_price
from brokers.simulated.products import listed
from brokers.simulated.records import Order, Position, Status, Type
from brokers.simulated.tickets import Place


class Fill(msgspec.Struct, tag="fill", forbid_unknown_fields=True):
    """An order that works is filled now, at the market's last price; `quantity` None fills all of it."""

    order_id: int
    quantity: Annotated[int, msgspec.Meta(ge=1)] | None = None


class BothSides(msgspec.Struct, tag="both_sides", forbid_unknown_fields=True):
    """Every stop entry of the account is filled at once, as by a bar that runs over a whole range."""

    account_id: int


class Foreign(msgspec.Struct, tag="foreign", forbid_unknown_fields=True):
    """Somebody places a market order, or with `stop_price` (points) a stop, at the platform by hand."""

    account_id: int
    contract_id: str
    side: Annotated[int, msgspec.Meta(ge=0, le=1)]
    size: Annotated[int, msgspec.Meta(ge=1)] = 1
    stop_price: Decimal | None = None


class Void(msgspec.Struct, tag="void", forbid_unknown_fields=True):
    """The venue takes an execution back."""

    execution_id: int


class CanTrade(msgspec.Struct, tag="can_trade", forbid_unknown_fields=True):
    """The account is locked, or opened again."""

    account_id: int
    allowed: bool = False


Event = Fill | BothSides | Foreign | Void | CanTrade


class Happenings:
    """Lets events happen. The caller holds a transaction and has walked the market. Raises ValueError."""

    def __init__(
        self,
        ledger: Ledger,
        clearing: Clearing,
        market: Market,
        place: Callable[[Place, datetime], int | Refusal],
    ) -> None:
        self._ledger = ledger
        self._clearing = clearing
        self._market = market
        self._place = place

    def let(self, event: Event, at: datetime) -> None:
        match event:
            case Fill():
                self._fill(self._working(event.order_id), event.quantity, at)
            case BothSides():
                for entry in self._entries(event.account_id):
                    self._fill(entry, None, at)
            case Foreign():
                self._by_hand(event, at)
            case Void():
                self._void(event.execution_id, at)
            case CanTrade():
                account = self._ledger.account(event.account_id)
                if account is None:
                    raise ValueError(f"there is no account {event.account_id}")
                self._clearing.account(replace(account, can_trade=event.allowed), at)

    def _fill(self, order: Order, quantity: int | None, at: datetime) -> None:
        price = last_price(self._market, listed(order.contract_id), at)
        if price is None or (quantity or 1) > order.remaining:
            raise ValueError(f"order {order.id} cannot be filled: {order.remaining} left, last price {price}")
        self._clearing.fill(order.id, quantity or order.remaining, price, at)

    def _working(self, order_id: int) -> Order:
        order = self._ledger.order(order_id)
        if order is None or order.status is not Status.OPEN:
            raise ValueError(f"order {order_id} does not work: {order and order.status.name.lower()}")
        return order

    def _entries(self, account_id: int) -> list[Order]:
        found = [
            order
            for order in self._ledger.in_flight()
            if order.account_id == account_id
            and (order.status, order.type, order.parent_id) == (Status.OPEN, Type.STOP, None)
            and self._ledger.legs(order.id)
        ]
        if not found:
            raise ValueError(f"account {account_id} has no stop entry that works")
        return found

    def _by_hand(self, event: Foreign, at: datetime) -> None:
        outcome = self._place(
            Place(
                account_id=event.account_id,
                contract_id=event.contract_id,
                type=Type.MARKET if event.stop_price is None else Type.STOP,
                side=event.side,
                size=event.size,
                stop_price=event.stop_price,
            ),
            at,
        )
        if isinstance(outcome, Refusal):
            raise ValueError(f"the order by hand is refused: {outcome.message}")

    def _void(self, execution_id: int, at: datetime) -> None:
        """Take an execution back: position, profits and balance as if it had never been."""
        gone = self._ledger.execution(execution_id)
        if gone is None or gone.voided:
            raise ValueError(f"there is no execution {execution_id} to be voided")
        position = Position(
            id=0, account_id=gone.account_id, contract_id=gone.contract_id, opened_at=at, quantity=0, cost=Decimal(0)
        )
        tick_value = listed(gone.contract_id).product.tick_value
        changed, difference = [replace(gone, voided=True)], gone.fees + gone.commissions - (gone.profit or 0)
        for one in self._ledger.executions(gone.account_id, None, None):
            if one.contract_id != gone.contract_id or one.voided or one.id == gone.id:
                continue
            position, realised = add(position, one.side, one.quantity, one.price)
            profit = None if realised is None else realised * tick_value
            if profit != one.profit:
                difference += (profit or 0) - (one.profit or 0)
                changed.append(replace(one, profit=profit))
        self._clearing.restate(changed, position, difference, at)
