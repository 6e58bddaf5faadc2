"""Fills: booked once, with order, position and trades in the same transaction."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Now

from brokers.base import FillReport
from market.orders import NEXT, OrderStatus, Role, Side
from market.positions import book
from market.sessions import trade_date_of
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Fill, Order, Position, Trade
from tradingbot.operations import notifications, orders

log = logging.getLogger(__name__)

_EXITS = (Role.STOP, Role.TARGET, Role.EXIT)
_BOOK_SPAN = timedelta(days=10)  # no position of ours is older: every session ends flat


def record(account: Account, report: FillReport, *, now: datetime) -> bool:
    """Book one execution. False if it was booked before (or is void and never was).

    The first fill of an entry pair puts the other entry into CANCEL_PENDING in the same transaction.
    """
    contract = Contract.objects.get(venue=account.venue, broker_contract_id=report.contract_id)
    with transaction.atomic():
        Position.objects.get_or_create(account=account, contract=contract)
        position = Position.objects.select_for_update(of=("self",)).get(account=account, contract=contract)
        position.contract = contract
        known = Fill.objects.filter(account=account, broker_trade_id=report.id).first()
        if known is not None:
            return _void(known, position, report, now)
        if report.voided:
            return False
        order = (
            Order.objects.select_for_update(of=("self",))
            .filter(account=account, broker_order_id=report.order_id)
            .select_related("contract", "strategy")
            .first()
        )
        fill = Fill.objects.create(
            account=account,
            contract=contract,
            order=order,
            broker_trade_id=report.id,
            broker_order_id=report.order_id,
            session_date=trade_date_of(report.at),
            at=report.at,
            side=report.side,
            quantity=report.quantity,
            price=report.price,
            fees=report.fees,
            commissions=report.commissions or Decimal(0),
        )
        if order is not None:
            _fill_order(order, fill, now)
        _rebuild(position)
        _announce(fill, position, now)
        if order is not None and order.role in _EXITS and position.quantity * fill.side > 0:
            _undo(order, position, now)
        if order is not None and order.role == Role.ENTRY and order.oco_group:
            _cancel_opposite(order, now)
        point("book.before_commit")
    point("book.after_commit")
    return True


def _fill_order(order: Order, fill: Fill, now: datetime) -> None:
    figures = order.fills.filter(voided=False).aggregate(
        contracts=Sum("quantity"), worth=Sum(F("quantity") * F("price"))
    )
    filled = min(max(figures["contracts"] or 0, order.filled), order.quantity)
    average = figures["worth"] / figures["contracts"]
    status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIAL
    before = OrderStatus(order.status)
    if before in (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.ABANDONED):
        order.advance(OrderStatus.GHOST, at=now, detail={"fill": fill.broker_trade_id})
        notifications.notify(
            "risk",
            f"Fill of an order that had ended: {order.describe()}",
            account=order.account,
            body=f"It was {before}; the fill is booked and the position is looked after.",
            level="alert",
            key=f"ghost:{order.pk}",
            now=now,
        )
        if order.role == Role.ENTRY:
            orders.request_flatten(order.account, reason=f"fill of an ended entry: {order}", by="booking", now=now)
        before = OrderStatus.GHOST
    if before is OrderStatus.CANCEL_PENDING and status is OrderStatus.PARTIAL:
        status = before  # the cancel of the rest is still under way
    detail = {"fill": fill.broker_trade_id, "quantity": fill.quantity, "price": str(fill.price.normalize())}
    if status != before and status in NEXT[before]:
        order.advance(status, at=now, detail=detail, filled=filled, average_price=average, desired_price=None)
    else:
        Order.objects.filter(pk=order.pk).update(filled=filled, average_price=average, updated_at=now)
        order.refresh_from_db()
        order.note("fill", at=now, detail=detail)


def _void(fill: Fill, position: Position, report: FillReport, now: datetime) -> bool:
    if not report.voided or fill.voided:
        return False
    fill.voided = True
    fill.save(update_fields=["voided"])
    _rebuild(position)
    notifications.notify(
        "risk",
        f"Fill voided by the venue: {fill}",
        account=fill.account,
        body="Position and trades are computed again without it.",
        level="alert",
        now=now,
    )
    return True


def _rebuild(position: Position) -> None:
    """Compute position and trades again from the fills, first in, first out."""
    newest = Fill.objects.filter(account=position.account_id, contract=position.contract).order_by("-at").first()
    if newest is None:
        return
    rows = {
        fill.pk: fill
        for fill in Fill.objects.filter(
            account=position.account_id, contract=position.contract, voided=False, at__gte=newest.at - _BOOK_SPAN
        )
        .select_related("order")
        .order_by("at", "broker_trade_id")
    }
    booked = book(fill.execution for fill in rows.values())
    was_flat = position.quantity == 0
    position.quantity, position.average_price = booked.quantity, booked.average_price
    position.opened_at = rows[booked.open_lots[0][0]].at if booked.open_lots else None
    position.save(update_fields=["quantity", "average_price", "opened_at"])
    exposed = Now() if booked.quantity else None
    if was_flat or not booked.quantity:
        Position.objects.filter(pk=position.pk).update(exposed_since=exposed, unprotected_since=None)
    point_value = position.contract.spec.point_value
    turns = {(turn.entry_id, turn.exit_id): turn for turn in booked.trades}
    stored = {
        (trade.entry_fill_id, trade.exit_fill_id): trade
        for trade in Trade.objects.filter(
            account=position.account_id, contract=position.contract, exited_at__gte=newest.at - _BOOK_SPAN
        )
    }
    for pair in stored.keys() - turns.keys():
        stored[pair].delete()
    for pair, turn in turns.items():
        entry, leaving = rows[turn.entry_id], rows[turn.exit_id]
        values = {
            "account_id": position.account_id,
            "contract": position.contract,
            "strategy_id": entry.order.strategy_id if entry.order else None,
            "session_date": leaving.session_date,
            "direction": turn.direction,
            "quantity": turn.quantity,
            "entry_price": turn.entry_price,
            "exit_price": turn.exit_price,
            "entered_at": turn.entered_at,
            "exited_at": turn.exited_at,
            "gross": turn.gross(point_value),
            "fees": turn.fees,
            "commissions": turn.commissions,
            "net": turn.net(point_value),
            "exit_role": leaving.order.role if leaving.order else Role.EXTERNAL,
        }
        if pair not in stored or stored[pair].quantity != turn.quantity or stored[pair].net != values["net"]:
            Trade.objects.update_or_create(entry_fill_id=pair[0], exit_fill_id=pair[1], defaults=values)


def _undo(order: Order, position: Position, now: datetime) -> None:
    """A stop, target or exit that came too late has opened a position nobody wanted: close it."""
    reason = f"{order} opened {position.quantity:+d} {position.contract.symbol} instead of closing"
    orders.request_flatten(order.account, reason=reason, by="booking", now=now)
    notifications.notify("risk", f"{order.account}: {reason}", account=order.account, level="alert", now=now)


def _cancel_opposite(order: Order, now: datetime) -> None:
    """Cancel the other entry of the pair; if it has filled as well, flatten and stand still for the session."""
    for sibling in Order.objects.filter(account=order.account_id, oco_group=order.oco_group).exclude(pk=order.pk):
        if sibling.filled:
            if order.strategy is not None:
                order.strategy.halted_on, order.strategy.halt_reason = order.session_date, "both entries filled"
                order.strategy.save(update_fields=["halted_on", "halt_reason"])
            orders.request_flatten(
                order.account, reason="both entries of a pair filled", by=str(order.strategy), now=now
            )
        else:
            orders.request_cancel(sibling, by="the fill of its opposite", now=now)


def _announce(fill: Fill, position: Position, now: datetime) -> None:
    order, contract = fill.order, fill.contract
    facts: dict[str, str] = {
        "Price": contract.text(fill.price),
        "Position": f"{position.quantity:+d} {contract.symbol}",
    }
    if order is not None and order.role == Role.ENTRY and order.stop_ticks:
        spec, sign = contract.spec, Side(order.side)
        stop = fill.price - sign * spec.price(order.stop_ticks)
        facts["Stop"] = f"{contract.text(stop)} (${spec.money(order.stop_ticks, fill.quantity):,.2f})"
        if order.target_ticks:
            target = fill.price + sign * spec.price(order.target_ticks)
            facts["Target"] = f"{contract.text(target)} (${spec.money(order.target_ticks, fill.quantity):,.2f})"
    if order is not None:
        facts["Strategy"] = str(order.strategy or order.requested_by)
        facts["Order"] = f"#{order.pk} {order.role}"
    if position.quantity == 0:
        net = Trade.objects.filter(exit_fill=fill).aggregate(total=Sum("net"))["total"] or Decimal(0)
        facts["Net result"] = f"{net:+,.2f}"
    notifications.notify(
        "fill",
        f"Filled: {fill}",
        account=fill.account,
        facts=facts,
        key=f"fill:{fill.account_id}:{fill.broker_trade_id}",
        now=now,
    )
