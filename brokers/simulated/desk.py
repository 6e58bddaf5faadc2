"""The order desk: judges requests, puts what it takes into the ledger, and words every refusal."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from brokers.simulated import hours, rules, wire
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.clearing import Clearing
from brokers.simulated.codes import Changing, Closing, PartlyClosing, Placing, Refusal
from brokers.simulated.faults import Faults
from brokers.simulated.ledger import Ledger
from brokers.simulated.market import Market, last_price
from brokers.simulated.products import Listing, is_active, listed, listing
from brokers.simulated.records import IN_FLIGHT, Account, Order, Position, Status, Type
from brokers.simulated.tickets import Close, Modify, OneOrder, PartialClose, Place
from brokers.simulated.timers import Timers
from market.orders import Side

LONGEST_TAG = 64


class Desk:
    """Takes or refuses. The caller holds a transaction and has walked the market to the time of the request."""

    def __init__(
        self,
        ledger: Ledger,
        clearing: Clearing,
        market: Market,
        behaviour: Behaviour,
        faults: Faults,
        timers: Timers,
    ) -> None:
        self._ledger = ledger
        self._clearing = clearing
        self._market = market
        self._behaviour = behaviour
        self._faults = faults
        self._timers = timers
        for order in ledger.in_flight():
            if order.status is Status.PENDING:
                self._work_later(order)

    def place(self, ticket: Place, at: datetime) -> int | Refusal:
        account, month = self._ledger.account(ticket.account_id), listing(ticket.contract_id)
        if account is None:
            return Refusal(Placing.ACCOUNT_NOT_FOUND)
        if month is None:
            return Refusal(Placing.CONTRACT_NOT_FOUND)
        tag = ticket.custom_tag or None
        if tag and self._ledger.tag_used(account.id, (tag, f"{tag}-SL", f"{tag}-TP")):
            return Refusal(Placing.ORDER_REJECTED, "Specified custom tag is already in use")
        if tag and len(tag) > LONGEST_TAG:
            return Refusal(Placing.ORDER_REJECTED, f"Custom tag is longer than {LONGEST_TAG} characters")
        if not account.can_trade:
            return self._reject(
                ticket, at, Placing.ACCOUNT_VIOLATION, f"Account {account.name} is not allowed to trade."
            )
        if not is_active(month, at):
            return self._reject(ticket, at, Placing.CONTRACT_NOT_ACTIVE, f"{month.name} is not active.")
        if not self._takes_orders(at):
            text = f"{month.name} is not in an active trading status."
            return self._reject(ticket, at, Placing.OUTSIDE_TRADING_HOURS, text)
        try:
            terms = rules.terms(ticket, month, last_price(self._market, month, at), self._behaviour)
            self._check_lots(account, month, terms.side * terms.size)
        except rules.Rejected as rejected:
            return self._reject(ticket, at, Placing.ORDER_REJECTED, str(rejected))
        return self._accept(account, month, terms, tag, at)

    def _accept(self, account: Account, month: Listing, terms: rules.Terms, tag: str | None, at: datetime) -> int:
        entry = Order(
            id=self._ledger.next_order_id(),
            account_id=account.id,
            contract_id=month.contract.id,
            created_at=at,
            updated_at=at,
            status=Status.PENDING,
            type=terms.type,
            side=terms.side,
            size=terms.size,
            limit=terms.limit,
            stop=terms.stop,
            trail=terms.trail,
            tag=tag,
        )
        self._clearing.accept(entry)
        legs = [("-SL", Type.STOP, terms.stop_offset), ("-TP", Type.LIMIT, terms.target_offset)]
        if terms.stop_offset is not None and not self._faults.takes_legs(account.id):
            legs = []
        stop_id: int | None = None
        for suffix, kind, offset in legs:
            if offset is not None:
                leg = Order(
                    id=self._ledger.next_order_id(),
                    account_id=account.id,
                    contract_id=month.contract.id,
                    created_at=at,
                    updated_at=at,
                    status=Status.SUSPENDED,
                    type=kind,
                    side=terms.side.opposite,
                    size=terms.size,
                    offset=offset,
                    tag=tag and tag + suffix,
                    parent_id=entry.id,
                    linked_id=stop_id,
                )
                self._clearing.accept(leg)
                stop_id = leg.id
        if self._behaviour.pending:
            self._work_later(entry)
        else:
            self._work(entry.id, at)
        return entry.id

    def _work_later(self, order: Order) -> None:
        due_at = order.created_at + timedelta(seconds=self._behaviour.pending)
        self._timers.set(due_at, lambda at: self._work(order.id, at))

    def _work(self, order_id: int, at: datetime) -> None:
        """Let an order that was taken work, unless it has ended meanwhile or was never committed."""
        order = self._ledger.order(order_id)
        if order is None or order.status is not Status.PENDING:
            return
        if order.type is Type.MARKET:
            self._fill_at_market(order, listed(order.contract_id), at)
        else:
            self._clearing.change(order, at, status=Status.OPEN)

    def _reject(self, ticket: Place, at: datetime, code: Placing, message: str) -> Refusal:
        """Store the order as rejected, which uses up its tag, and return the refusal."""
        order_id = self._ledger.next_order_id()
        self._clearing.accept(
            Order(
                id=order_id,
                account_id=ticket.account_id,
                contract_id=ticket.contract_id,
                created_at=at,
                updated_at=at,
                status=Status.REJECTED,
                type=Type(ticket.type) if ticket.type in set(Type) else Type.MARKET,
                side=wire.side(ticket.side) or Side.BUY,
                size=max(ticket.size, 0),
                tag=ticket.custom_tag or None,
                reason=message,
            )
        )
        return Refusal(code, message, order_id=order_id if self._behaviour.rejected_order_id else None)

    def modify(self, ticket: Modify, at: datetime) -> Refusal | None:
        order = self._changeable(ticket.account_id, ticket.order_id)
        if isinstance(order, Refusal):
            return order
        if order.status is Status.SUSPENDED:
            return Refusal(Changing.REJECTED, "Order is suspended.")
        if not self._takes_orders(at):
            return Refusal(Changing.REJECTED, "The contract is not in an active trading status.")
        try:
            changes = rules.changes(ticket, order, listed(order.contract_id), self._last(order, at), self._behaviour)
        except rules.Rejected as rejected:
            return Refusal(Changing.REJECTED, str(rejected))
        self._clearing.change(order, at, **changes)
        return None

    def cancel(self, ticket: OneOrder, at: datetime) -> Refusal | None:
        order = self._changeable(ticket.account_id, ticket.order_id)
        if isinstance(order, Refusal):
            return order
        self._clearing.cancel(order, at)
        return None

    def _changeable(self, account_id: int, order_id: int) -> Order | Refusal:
        if self._ledger.account(account_id) is None:
            return Refusal(Changing.ACCOUNT_NOT_FOUND)
        order = self._ledger.order(order_id)
        if order is None or order.account_id != account_id:
            return Refusal(Changing.ORDER_NOT_FOUND)
        if order.status not in IN_FLIGHT:
            return Refusal(Changing.REJECTED, f"Order is {order.status.name.lower()}.")
        return order

    def close(
        self, ticket: Close | PartialClose, at: datetime, size: int | None, codes: type[Closing] | type[PartlyClosing]
    ) -> Refusal | None:
        account, month = self._ledger.account(ticket.account_id), listing(ticket.contract_id)
        if account is None:
            return Refusal(codes.ACCOUNT_NOT_FOUND)
        if month is None:
            return Refusal(codes.CONTRACT_NOT_FOUND)
        position = self._ledger.position(account.id, month.contract.id)
        if position is None:
            return Refusal(codes.POSITION_NOT_FOUND)
        if size is not None and not 0 < size <= abs(position.quantity):
            return Refusal(PartlyClosing.INVALID_CLOSE_SIZE, f"Invalid close size ({size}).")
        if not self._takes_orders(at) or self._last(position, at) is None:
            return Refusal(codes.ORDER_REJECTED, f"{month.name} is not in an active trading status.")
        side = Side.SELL if position.quantity > 0 else Side.BUY
        self._accept(account, month, rules.Terms(side, Type.MARKET, size or abs(position.quantity)), None, at)
        if self._behaviour.legs_after_close:
            due_at = at + timedelta(seconds=self._behaviour.legs_after_close)
            self._timers.set(due_at, lambda at: self._remove_legs(account.id, month.contract.id, at))
        elif self._behaviour.legs_after_close is not None:
            self._remove_legs(account.id, month.contract.id, at)
        return None

    def _remove_legs(self, account_id: int, contract_id: str, at: datetime) -> None:
        for order in self._ledger.in_flight():
            same = order.account_id == account_id and order.contract_id == contract_id
            if same and order.parent_id is not None and order.status is Status.OPEN:
                self._clearing.cancel(order, at)

    def _fill_at_market(self, order: Order, month: Listing, at: datetime) -> None:
        """Fill at the price of the moment; what a partial fill leaves goes on as the market walks."""
        last = last_price(self._market, month, at)
        if last is None:
            raise ValueError(f"{month.name} has no price at {at}, a market order cannot have been taken")
        quantity = min(order.size, self._behaviour.partial or order.size)
        self._clearing.fill(order.id, quantity, last + order.side * self._behaviour.slippage, at)

    def _check_lots(self, account: Account, month: Listing, quantity: int) -> None:
        """Raise Rejected if the position of all contracts, with this order filled, would be above the limit."""
        if self._behaviour.max_lots is None:
            return
        book = {position.contract_id: position.quantity for position in self._ledger.positions(account.id)}
        held = book.get(month.contract.id, 0)
        book[month.contract.id] = held + quantity
        lots = sum((abs(q) * listed(id_).product.lots for id_, q in book.items()), Decimal(0))
        if lots > self._behaviour.max_lots and abs(held + quantity) > abs(held):
            raise rules.Rejected(f"Order exceeds the maximum position size ({self._behaviour.max_lots}).")

    def _takes_orders(self, at: datetime) -> bool:
        session = hours.session_at(at)
        return session is not None and at < session.closes_at - timedelta(minutes=self._behaviour.orders_until)

    def _last(self, row: Order | Position, at: datetime) -> int | None:
        return last_price(self._market, listed(row.contract_id), at)
