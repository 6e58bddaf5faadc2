"""One contract and day as the chart draws it: bars, lines with a beginning and an end, fills."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Prefetch

from market.bars import Bars, epoch
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import NEW_YORK, flat_by, regular_session
from tradingbot.models import BarDay, Contract, Decision, Fill, Order, OrderEvent, OvernightRange
from tradingbot.operations import sessions

_ZONES = ("zone_above_near", "zone_above_far", "zone_below_near", "zone_below_far")
_NEVER_RESTED = (OrderStatus.NEW, OrderStatus.SUSPENDED, OrderStatus.REJECTED, OrderStatus.ABANDONED)


def draw(contract: Contract, day: date, *, now: datetime) -> dict[str, Any]:
    """Return the day as JSON: times in epoch seconds, prices in points; `running` while the session is open.

    new_york   seconds to add for the New York clock; the same all day, clocks change on Sundays before the open
    """
    session = sessions.session_for(day) or regular_session(day)
    local = session.opens_at.astimezone(ZoneInfo(NEW_YORK))
    row = BarDay.objects.filter(contract=contract, trade_date=day).first()
    start, end = session.opens_at, min(now, flat_by(session))
    return {
        "decimals": len(contract.text(Decimal(0)).partition(".")[2]),
        "tick": float(contract.tick_size),
        "now": epoch(now),
        "running": session.opens_at <= now < session.closes_at,
        "opens_at": epoch(session.opens_at),
        "new_york": epoch(local.replace(tzinfo=UTC)) - epoch(session.opens_at),
        "bars": _bars(contract, row.bars) if row else [],
        "lines": [*_levels(contract, day, start, end), *_orders(contract, day, now)],
        "fills": [_fill(fill) for fill in _fills(contract, day)],
    }


def _bars(contract: Contract, bars: Bars) -> list[list[float]]:
    tick = float(contract.tick_size)
    prices = [(column * tick).tolist() for column in (bars.open, bars.high, bars.low, bars.close)]
    columns = (bars.opened_at.tolist(), *prices, bars.volume.tolist())
    return [list(row) for row in zip(*columns, strict=True)]


def _levels(contract: Contract, day: date, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    captured = OvernightRange.objects.filter(contract=contract, session_date=day).first()
    if captured:
        yield _line("range", "overnight high", captured.high, start, end)
        yield _line("range", "overnight low", captured.low, start, end)
    decision = (
        Decision.objects.filter(contract=contract, session_date=day, inputs__has_key=_ZONES[0]).order_by("at").first()
    )
    for name in _ZONES if decision else ():
        if (value := decision.inputs.get(name)) is not None:  # type: ignore[union-attr]
            yield _line("zone", name.replace("_", " "), Decimal(str(value)), start, end)


def _orders(contract: Contract, day: date, now: datetime) -> Iterator[dict[str, Any]]:
    events = Prefetch("events", OrderEvent.objects.filter(kind__in=("facts", "modify asked")))
    orders = Order.objects.filter(contract=contract, session_date=day).exclude(status__in=_NEVER_RESTED)
    for order in orders.select_related("contract").prefetch_related(events).order_by("pk"):
        if order.price is None or order.role == Role.EXIT:
            continue
        until = now if order.is_live else order.updated_at
        for since, till, price in _stretches(order, until):
            yield _line(
                order.role, f"{order.role} {Side(order.side).name.lower()} {order.quantity}", price, since, till
            )


def _stretches(order: Order, until: datetime) -> Iterator[tuple[datetime, datetime, Decimal]]:
    """Return from when to when the order rested at which price, by its events."""
    key = "limit_price" if order.type == OrderType.LIMIT else "stop_price"
    since, price = order.sent_at or order.created_at, None
    for event in order.events.all():
        if event.kind == "modify asked" and price is None:
            price = Decimal(event.detail["from"])
        elif event.kind == "facts" and key in event.detail:
            if price is not None:
                yield since, event.at, price
            since, price = event.at, Decimal(event.detail[key])
    yield since, until, order.price if price is None else price


def _line(kind: str, name: str, price: Decimal, since: datetime, until: datetime) -> dict[str, Any]:
    return {"kind": kind, "name": name, "price": float(price), "from": epoch(since), "until": epoch(until)}


def _fills(contract: Contract, day: date) -> list[Fill]:
    fills = Fill.objects.filter(contract=contract, session_date=day, voided=False)
    return list(fills.select_related("contract").order_by("at", "pk"))


def _fill(fill: Fill) -> dict[str, Any]:
    text = f"{fill.side * fill.quantity:+d} at {fill.contract.text(fill.price)}"
    return {"time": epoch(fill.at), "side": Side(fill.side).name.lower(), "price": float(fill.price), "text": text}
