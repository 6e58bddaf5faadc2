"""The open positions of an account as a trader asks for them: at the newest price, and with what protects them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet

from market.orders import OrderStatus, OrderType, Role, Side
from tradingbot.models import Account, Contract, Order, Position
from tradingbot.operations import bars

_AT_THE_VENUE = (OrderStatus.WORKING, OrderStatus.PARTIAL)
_STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)


@dataclass(frozen=True, slots=True)
class Holding:
    """One open position; `price` is None while no bar of its contract is known."""

    position: Position
    price: Decimal | None
    price_at: datetime | None
    stops: tuple[Order, ...]
    targets: tuple[Order, ...]

    @property
    def profit(self) -> Decimal | None:
        """Return dollars at the newest price before costs."""
        return None if self.price is None else self.position.open_profit(self.price)

    @property
    def protected(self) -> bool:
        """Return whether working stops cover the whole position."""
        return sum(order.quantity - order.filled for order in self.stops) >= max(
            abs(self.position.quantity), abs(self.position.broker_quantity)
        )


def of(account: Account) -> list[Holding]:
    """Return what the account holds, by our fills or by the venue's word."""
    return [_holding(position) for position in open_positions(account)]


def open_positions(account: Account) -> QuerySet[Position]:
    """Return the positions by our fills, and those that the last comparison found at the venue alone."""
    differs = Q(differs_since__isnull=False) & ~Q(broker_quantity=0)
    return Position.objects.filter(~Q(quantity=0) | differs, account=account).select_related(
        "contract", "account__login"
    )


def size(position: Position) -> int:
    """Return the signed contracts: the venue's word where the last comparison found a difference, else our fills'."""
    return position.quantity if position.differs_since is None else position.broker_quantity


def held(account: Account, contract: Contract) -> int:
    """Return the signed contracts that the account holds, 0 when flat."""
    position = open_positions(account).filter(contract=contract).first()
    return size(position) if position else 0


def open_profit(holdings: list[Holding]) -> Decimal | None:
    """Return dollars of all of them together, None if the price of one is unknown."""
    total = Decimal(0)
    for holding in holdings:
        if holding.profit is None:
            return None
        total += holding.profit
    return total


def _holding(position: Position) -> Holding:
    price, price_at = bars.last_price(position.contract) or (None, None)
    side = Side.SELL if size(position) > 0 else Side.BUY
    orders = Order.objects.filter(
        account=position.account, contract=position.contract, side=side, status__in=_AT_THE_VENUE
    ).exclude(role__in=(Role.ENTRY, Role.EXIT))
    return Holding(
        position,
        price,
        price_at,
        stops=tuple(orders.filter(type__in=_STOPS)),
        targets=tuple(orders.filter(type=OrderType.LIMIT)),
    )
