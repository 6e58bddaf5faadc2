"""What follows from a fill, a cancel or the close: executions, positions, balances, bracket legs, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.simulated import wire
from brokers.simulated.booking import add
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import listed
from brokers.simulated.records import IN_FLIGHT, Account, Execution, Order, Position, Status, Type

_NO_POSITION = Decimal(0)


class Clearing:
    """Moves orders on and books what they do; every change leaves an event. The caller holds a transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.events: list[tuple[str, dict[str, Any]]] = []  # of the open transaction

    def accept(self, order: Order) -> None:
        """Store a new order."""
        self._ledger.add_order(order)
        self._event("GatewayUserOrder", wire.order(order), order.updated_at)

    def change(self, order: Order, at: datetime, **changes: Any) -> Order:
        """Store and return the order with `changes`."""
        order = replace(order, **{"updated_at": at, **changes})
        self._ledger.set_order(order)
        self._event("GatewayUserOrder", wire.order(order), at)
        return order

    def fill(self, order_id: int, quantity: int, price: int, at: datetime) -> None:
        """Book an execution of `quantity` at `price` ticks, with everything that hangs on it."""
        order = self._order(order_id)
        done = quantity == order.remaining
        order = self.change(
            order,
            at,
            filled=order.filled + quantity,
            fill_cost=order.fill_cost + quantity * price,
            status=Status.FILLED if done else Status.OPEN,
            updated_at=order.updated_at,  # as seen at the real venue: not the time of the fill
        )
        self._book(order, quantity, price, at)
        legs = self._ledger.legs(order.id)
        exposed = order.filled - sum(leg.filled for leg in legs)
        for leg in legs:
            self._follow_entry(leg, leg.filled + exposed, price, at)
        if order.parent_id is not None:
            self._follow_leg(order, quantity, at)

    def cancel(self, order: Order, at: datetime, status: Status = Status.CANCELLED) -> None:
        """End an order, and its legs as long as they are suspended."""
        self.change(order, at, status=status)
        for leg in self._ledger.legs(order.id):
            if leg.status is Status.SUSPENDED:
                self.change(leg, at, status=status)

    def restate(self, executions: Sequence[Execution], position: Position, difference: Decimal, at: datetime) -> None:
        """Store what a voided execution leaves; the first of `executions` is the voided one."""
        account = self._ledger.account(position.account_id)
        if account is None:
            raise ValueError(f"execution {executions[0].id} has no account {position.account_id}")
        held = self._ledger.position(position.account_id, position.contract_id)
        position = replace(
            position,
            id=held.id if held else self._ledger.next_position_id(),
            opened_at=held.opened_at if held else at,
        )
        balance = account.balance + difference
        self._ledger.restate(executions, position, balance, at)
        self._event("GatewayUserTrade", wire.trade(executions[0], commissions=True), at)
        self._event("GatewayUserPosition", wire.position(position), at)
        self._event("GatewayUserAccount", wire.account(replace(account, balance=balance)), at)

    def account(self, account: Account, at: datetime) -> None:
        """Store whether an account may trade and is shown."""
        self._ledger.set_account(account)
        self._event("GatewayUserAccount", wire.account(account), at)

    def _follow_entry(self, leg: Order, size: int, price: int, at: datetime) -> None:
        """Activate a suspended leg at the fill plus its offset; a working one grows with further fills of its entry."""
        if leg.status is Status.SUSPENDED and leg.offset is not None:
            where = {"limit" if leg.type is Type.LIMIT else "stop": price + leg.offset}
            self.change(leg, at, status=Status.OPEN, size=size, offset=None, **where)
        elif leg.status is Status.OPEN:
            self.change(leg, at, size=size)

    def _follow_leg(self, leg: Order, quantity: int, at: datetime) -> None:
        """One cancels the other: the sibling shrinks with the leg and ends with it; so does what the entry lacks."""
        ended = leg.status is Status.FILLED
        for sibling in self._ledger.legs(leg.parent_id or 0):
            if sibling.id == leg.id or sibling.status not in IN_FLIGHT:
                continue
            if ended or sibling.remaining <= quantity:
                self.cancel(sibling, at)
            else:
                self.change(sibling, at, size=sibling.size - quantity)
        entry = self._order(leg.parent_id or 0)
        if ended and entry.status in IN_FLIGHT:
            self.cancel(entry, at)

    def _book(self, order: Order, quantity: int, price: int, at: datetime) -> None:
        month, account = listed(order.contract_id), self._ledger.account(order.account_id)
        if account is None:
            raise ValueError(f"order {order.id} has no account {order.account_id}")
        position = self._ledger.position(order.account_id, order.contract_id) or Position(
            id=self._ledger.next_position_id(),
            account_id=order.account_id,
            contract_id=order.contract_id,
            opened_at=at,
            quantity=0,
            cost=_NO_POSITION,
        )
        position, realised = add(position, order.side, quantity, price)
        execution = Execution(
            id=self._ledger.next_execution_id(),
            order_id=order.id,
            account_id=order.account_id,
            contract_id=order.contract_id,
            at=at,
            side=order.side,
            quantity=quantity,
            price=price,
            fees=month.product.fees * quantity,
            commissions=month.product.commissions * quantity,
            profit=None if realised is None else realised * month.product.tick_value,
        )
        balance = account.balance + (execution.profit or 0) - execution.fees - execution.commissions
        self._ledger.book(execution, position, balance)
        self._event("GatewayUserTrade", wire.trade(execution, commissions=True), at)
        self._event("GatewayUserPosition", wire.position(position), at)
        self._event("GatewayUserAccount", wire.account(replace(account, balance=balance)), at)

    def _order(self, order_id: int) -> Order:
        order = self._ledger.order(order_id)
        if order is None:
            raise ValueError(f"order {order_id} is not in the ledger")
        return order

    def _event(self, target: str, model: dict[str, Any], at: datetime) -> None:
        model = wire.sparse(model)
        self.events.append((target, model))
        self._ledger.record("event", target, at, wire.encode(model).decode())
