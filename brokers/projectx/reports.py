"""From the venue's numbers to our words. Raises ReadFailed for a row that cannot be what it says."""

from __future__ import annotations

import re
from decimal import Decimal

from brokers.base import (
    AccountReport,
    BarReport,
    ContractReport,
    FillReport,
    OrderReport,
    PositionReport,
    ReadFailed,
)
from brokers.projectx import wire
from market.contracts import Contract
from market.orders import OrderStatus, OrderType, Side

TYPES = {OrderType.LIMIT: 1, OrderType.MARKET: 2, OrderType.STOP: 4, OrderType.TRAILING_STOP: 5}
SIDES = {Side.BUY: 0, Side.SELL: 1}
UNITS = {"s": 1, "m": 2, "h": 3, "d": 4, "w": 5, "M": 6}

IN_FLIGHT = (1, 6, 7, 8)
"""Open, Pending, PendingCancellation, Suspended."""
ENDED = frozenset({2, 3, 4, 5})

_STATUSES = {
    2: OrderStatus.FILLED,
    3: OrderStatus.CANCELLED,
    4: OrderStatus.EXPIRED,
    5: OrderStatus.REJECTED,
    7: OrderStatus.CANCEL_PENDING,
    8: OrderStatus.SUSPENDED,
}
_OUR_TYPES = {number: kind for kind, number in TYPES.items()}
_OUR_SIDES = {number: side for side, number in SIDES.items()}
_EXPIRY = re.compile(r"(?P<root>.+?)[FGHJKMNQUVXZ]\d{1,2}")


def account(row: wire.Account) -> AccountReport:
    _finite(row.balance)
    return AccountReport(row.id, row.name, row.balance, row.can_trade, row.is_visible, row.simulated)


def contract(row: wire.Contract) -> ContractReport:
    _finite(row.tick_size, row.tick_value)
    try:
        ours = Contract(row.id, root(row.name), row.tick_size, row.tick_value)
    except ValueError as error:
        raise ReadFailed(str(error)) from error
    return ContractReport(ours, row.name, row.description, row.active_contract)


def root(name: str) -> str:
    """Return MNQ of MNQZ6 or MNQZ26; a name without month and year as it is."""
    match = _EXPIRY.fullmatch(name)
    return match["root"] if match else name


def bar(row: wire.Bar) -> BarReport:
    _finite(row.o, row.h, row.l, row.c)
    return BarReport(row.t, row.o, row.h, row.l, row.c, row.v)


def status(number: int, filled: int) -> OrderStatus | None:
    """Return our status; None for Pending (6), which is on its way and not yet working, and for numbers we do not know.

    The venue has no "partially filled": it is Open with fills.
    """
    if number == 1:
        return OrderStatus.PARTIAL if filled else OrderStatus.WORKING
    return _STATUSES.get(number)


def order(row: wire.Order) -> OrderReport:
    _finite(row.limit_price, row.stop_price, row.filled_price)
    return OrderReport(
        id=row.id,
        account_id=row.account_id,
        contract_id=row.contract_id,
        created_at=row.creation_timestamp,
        updated_at=row.update_timestamp,
        status=status(row.status, row.fill_volume),
        type=_OUR_TYPES.get(row.type),
        side=_side(row.side),
        quantity=row.size,
        filled=row.fill_volume,
        limit_price=row.limit_price,
        stop_price=row.stop_price,
        filled_price=row.filled_price,
        tag=row.custom_tag,
        parent_id=row.parent_order_id,
        linked_id=row.linked_order_id,
    )


def position(row: wire.Position) -> PositionReport | None:
    """Return a position, None for a row that says flat."""
    _finite(row.average_price)
    if row.size == 0:
        return None
    sign = {1: 1, 2: -1}.get(row.type)
    if sign is None:
        raise ReadFailed(f"a position of {row.size} {row.contract_id} has the unknown type {row.type}")
    return PositionReport(row.contract_id, sign * row.size, row.average_price)


def fill(row: wire.Trade) -> FillReport:
    _finite(row.price, row.fees, row.commissions, row.profit_and_loss)
    return FillReport(
        id=row.id,
        account_id=row.account_id,
        contract_id=row.contract_id,
        order_id=row.order_id,
        at=row.creation_timestamp,
        side=_side(row.side),
        quantity=row.size,
        price=row.price,
        fees=row.fees,
        commissions=row.commissions,
        profit=row.profit_and_loss,
        voided=row.voided,
    )


def _side(number: int) -> Side:
    if number not in _OUR_SIDES:
        raise ReadFailed(f"side {number} is neither 0 (buy) nor 1 (sell)")
    return _OUR_SIDES[number]


def _finite(*numbers: Decimal | None) -> None:
    if any(number is not None and not number.is_finite() for number in numbers):
        raise ReadFailed(f"not a number among {numbers}")
