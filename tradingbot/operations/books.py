"""An account's book: what is open or may open, read lean, since the market does not wait for the gate."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from uuid import UUID

from market.contracts import Contract as Spec
from market.orders import OrderStatus, OrderType, Role, Side
from risk.exposures import Exposure
from tradingbot.models import Contract, Order, Position
from tradingbot.operations import statements

_STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)
_PROTECTING = (OrderStatus.WORKING, OrderStatus.PARTIAL)
_ABANDONED, _SUSPENDED, _UNKNOWN = OrderStatus.ABANDONED, OrderStatus.SUSPENDED, OrderStatus.UNKNOWN
_ENTRY, _PROTECTS = Role.ENTRY, (Role.STOP, Role.EXTERNAL)
_SIDES = {side.value: side for side in Side}


class Entry(NamedTuple):
    """Of the order that a leg hangs on, what tells whether and how the leg protects."""

    pk: int
    filled: int
    stop_ticks: int | None
    oco_group: UUID | None


class LiveOrder(NamedTuple):
    """An order that may still fill, with the names of `Order`."""

    pk: int
    contract_id: int
    strategy_id: int | None
    session_date: date
    role: str
    side: int
    type: str
    status: str
    quantity: int
    filled: int
    stop_ticks: int | None
    stop_price: Decimal | None
    oco_group: UUID | None
    spec: Spec
    parent: Entry | None


class OpenPosition(NamedTuple):
    """An open position, ours or the venue's, with the names of `Position`."""

    contract_id: int
    quantity: int
    broker_quantity: int
    average_price: Decimal
    spec: Spec

    def open_profit(self, price: Decimal) -> Decimal:
        """Return dollars of the open position at `price`, before costs."""
        return (price - self.average_price) * self.quantity * self.spec.point_value


AnyOrder: TypeAlias = Order | LiveOrder
AnyPosition: TypeAlias = Position | OpenPosition

_ORDERS = f"""
SELECT o.id, o.contract_id, o.strategy_id, o.session_date, o.role, o.side, o.type, o.status, o.quantity, o.filled,
    o.stop_ticks, o.stop_price, o.oco_group,
    c.broker_contract_id, c.symbol, c.tick_size, c.tick_value,
    p.id, p.filled, p.stop_ticks, p.oco_group
FROM tradingbot_order o
JOIN tradingbot_contract c ON c.id = o.contract_id
LEFT JOIN tradingbot_order p ON p.id = o.parent_id
WHERE o.account_id = %(account)s
  AND (o.status IN ({statements.LIVE}) OR (o.status = 'abandoned' AND o.role = 'entry'))
"""  # noqa: S608
_POSITIONS = """
SELECT p.contract_id, p.quantity, p.broker_quantity, p.average_price,
    c.broker_contract_id, c.symbol, c.tick_size, c.tick_value
FROM tradingbot_position p JOIN tradingbot_contract c ON c.id = p.contract_id
WHERE p.account_id = %(account)s AND (p.quantity <> 0 OR p.broker_quantity <> 0)
"""


def live_orders(account_id: int) -> list[LiveOrder]:
    """Return the orders of the account that may still fill, and entries whose end is not proven."""
    return [
        LiveOrder._make((*row[:13], _spec(*row[13:17]), Entry._make(row[17:]) if row[17] is not None else None))
        for row in statements.rows(_ORDERS, {"account": account_id})
    ]


def open_positions(account_id: int) -> list[OpenPosition]:
    """Return the positions of the account that are open by our fills or by the venue's word."""
    rows = statements.rows(_POSITIONS, {"account": account_id})
    return [OpenPosition._make((*row[:4], _spec(*row[4:]))) for row in rows]


@lru_cache(maxsize=512)
def _spec(broker_contract_id: str, symbol: str, tick_size: Decimal, tick_value: Decimal) -> Spec:
    return Contract(
        broker_contract_id=broker_contract_id, symbol=symbol, tick_size=tick_size, tick_value=tick_value
    ).spec


def exposures(positions: Iterable[OpenPosition], orders: Iterable[LiveOrder]) -> list[Exposure]:
    """Return what is open or may open: positions split by their stops, entries, other orders that would open."""
    orders = list(orders)
    held = {position.contract_id: _held(position) for position in positions}
    against: dict[int, list[LiveOrder]] = {}
    for order in orders:
        if order.contract_id in held:
            against.setdefault(order.contract_id, []).append(order)
    found = [
        item
        for position in positions
        for item in _position(position, held[position.contract_id], against.get(position.contract_id, []))
    ]
    for order in orders:
        left = order.quantity - order.filled
        if left <= 0 or order.status == _ABANDONED:
            continue
        if order.role == _ENTRY:
            found.append(_exposure(order, left, order.stop_ticks))
        elif order.status != _SUSPENDED and not _reduces(order, left, held.get(order.contract_id, [])):
            found.append(_exposure(order, left, None))
    return found


def stop_ticks(order: LiveOrder, position: OpenPosition, side: Side) -> int | None:
    """Return the ticks that the position loses at this order, None if the order does not protect it."""
    if order.type not in _STOPS or order.role not in _PROTECTS:
        return None
    if order.status == _SUSPENDED:  # the venue activates it at this distance from the fill
        return order.parent.stop_ticks if order.parent is not None and order.parent.filled else None
    if order.status not in _PROTECTING or order.stop_price is None:
        return None
    price = position.average_price or order.stop_price
    ticks = (price - order.stop_price) * side / position.spec.tick_size
    return int(ticks.to_integral_value(ROUND_CEILING))


def _exposure(order: LiveOrder, quantity: int, ticks: int | None) -> Exposure:
    unknown = order.status == _UNKNOWN
    return Exposure(order.spec, _SIDES[order.side], quantity, ticks, is_unknown=unknown, oco_group=order.oco_group)


def _held(position: OpenPosition) -> list[int]:
    """Return the signed sizes that count: the larger of ours and the venue's, both where they disagree on the side."""
    ours, theirs = position.quantity, position.broker_quantity
    if ours * theirs < 0:
        return [ours, theirs]
    return [max(ours, theirs, key=abs)]


def _position(position: OpenPosition, held: list[int], orders: list[LiveOrder]) -> list[Exposure]:
    found = []
    for signed in held:
        side, left = Side.BUY if signed > 0 else Side.SELL, abs(signed)
        opposite = side.opposite
        risks = [
            (risk, order.quantity - order.filled)
            for order in orders
            if order.side == opposite and (risk := stop_ticks(order, position, side)) is not None
        ]
        for risk, quantity in sorted(risks, reverse=True):
            if left and quantity > 0:
                found.append(Exposure(position.spec, side, min(left, quantity), risk, is_position=True))
                left -= min(left, quantity)
        if left:
            found.append(Exposure(position.spec, side, left, None, is_position=True))
    return found


def _reduces(order: LiveOrder, quantity: int, held: list[int]) -> bool:
    return any(signed * order.side < 0 and quantity <= abs(signed) for signed in held)
