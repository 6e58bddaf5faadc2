"""Entries that would stand against what another own account holds: the firm calls it hedging, however short it is."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from market.orders import OrderStatus, Role
from market.sessions import trade_date_of
from risk.rulebook import Conduct, RulebookInvalid
from tradingbot.models import Order, Position
from tradingbot.models.orders import OrderQuerySet
from tradingbot.operations import rulebooks

_UNFILLED = (OrderStatus.NEW, OrderStatus.WORKING, OrderStatus.PARTIAL)


def against_own(among: OrderQuerySet, *, now: datetime) -> list[Order]:
    """Return the entries that may still fill against a position of another account of the owner.

    The gate admits none such; but a position may be opened after that, by a person at the platform, or by the pair that
    this one repeats. While the rulebook cannot be used, the same product alone counts as opposite.
    """
    held = list(Position.objects.exclude(quantity=0, broker_quantity=0).select_related("account__login", "contract"))
    if not held:
        return []
    venues = {position.account.venue for position in held}
    entries = among.filter(role=Role.ENTRY, status__in=_UNFILLED, account__login__venue__in=venues)
    if len({position.account_id for position in held}) == 1:
        entries = entries.filter(~Q(account=held[0].account_id))
    conduct = _conduct(now)
    return [
        entry
        for entry in entries.select_related("account__login", "contract")
        if any(_opposite(entry, position, conduct) for position in held)
    ]


def _opposite(entry: Order, position: Position, conduct: Conduct | None) -> bool:
    symbol, other = entry.contract.symbol, position.contract.symbol
    together = conduct.group_of(symbol) if conduct is not None else {symbol}
    return (
        entry.account_id != position.account_id
        and entry.account.venue == position.account.venue
        and other in together
        and min(position.quantity * entry.side, position.broker_quantity * entry.side) < 0
    )


def _conduct(now: datetime) -> Conduct | None:
    try:
        return rulebooks.current().conduct(trade_date_of(now))
    except RulebookInvalid:
        return None
