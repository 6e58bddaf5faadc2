"""Orders that reduce or protect an open position; each has its own tag."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from market.orders import OrderType, Role, Side
from market.sessions import trade_date_of
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Order, Position
from tradingbot.operations import bars
from tradingbot.operations.orders.opening import new_tag


def exit(account: Account, contract: Contract, quantity: int, *, now: datetime, by: str) -> Order:
    """Return a committed market order that closes `quantity` contracts of the open position; send it next.

    Raises ValueError without a position, or for more contracts than it has.
    """
    held = _held(account, contract)
    if not 1 <= quantity <= abs(held):
        raise ValueError(f"quantity {quantity}: {abs(held)} contract(s) are open, so write 1 to {abs(held)}")
    side = Side.SELL if held > 0 else Side.BUY
    return _create(account, contract, Role.EXIT, OrderType.MARKET, side, quantity, None, now, by, None)


def protect(
    account: Account,
    contract: Contract,
    *,
    stop: Decimal | None,
    target: Decimal | None,
    now: datetime,
    by: str,
    quantity: int | None = None,
    parent_entry: Order | None = None,
) -> list[Order]:
    """Return committed stop and target orders for the open position (its whole size unless `quantity`); send them next.

    Raises ValueError without a position or for a price off the tick grid.
    """
    held = _held(account, contract)
    if not held:
        raise ValueError(f"{contract.symbol}: no position to protect")
    for price in (stop, target):
        if price is not None:
            contract.spec.ticks(price)
    side = Side.SELL if held > 0 else Side.BUY
    size = quantity or abs(held)
    with transaction.atomic():
        return [
            _create(account, contract, role, type_, side, size, price, now, by, parent_entry)
            for role, type_, price in (
                (Role.STOP, OrderType.STOP, stop),
                (Role.TARGET, OrderType.LIMIT, target),
            )
            if price is not None
        ]


def _held(account: Account, contract: Contract) -> int:
    """Return the signed quantity of our fills, the venue's where no fill explains it."""
    position = Position.objects.filter(account=account, contract=contract).first()
    return 0 if position is None else position.quantity or position.broker_quantity


def _newest(contract: Contract) -> Decimal | None:
    newest = bars.last_price(contract)
    return None if newest is None else newest[0]


def _create(
    account: Account,
    contract: Contract,
    role: Role,
    type_: OrderType,
    side: Side,
    quantity: int,
    price: Decimal | None,
    now: datetime,
    by: str,
    entry: Order | None,
) -> Order:
    with transaction.atomic():
        order = Order.objects.create(
            account=account,
            contract=contract,
            strategy=entry.strategy if entry else None,
            session_date=trade_date_of(now),
            tag=new_tag(),
            role=role,
            side=side,
            type=type_,
            quantity=quantity,
            limit_price=price if type_ is OrderType.LIMIT else None,
            stop_price=price if type_ is OrderType.STOP else None,
            reference_price=_newest(contract) if type_ is OrderType.MARKET else None,
            requested_by=by,
            created_at=now,
            updated_at=now,
        )
        order.note("intent", at=now, detail={"by": by})
        point(f"{role}.before_commit")
        transaction.on_commit(lambda: point(f"{role}.after_commit"))  # of whoever began the transaction
    return order
