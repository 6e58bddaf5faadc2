"""Fills: booked once, with order, position and trades in the same transaction."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Sum

from brokers.base import FillReport
from market.orders import NEXT, OrderStatus, Role, Side
from market.sessions import trade_date_of
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Fill, Order, Position, Trade
from tradingbot.operations import costs, notifications, order_facts, orders, trades

log = logging.getLogger(__name__)

_EXITS = (Role.STOP, Role.TARGET, Role.EXIT)


def record(account: Account, report: FillReport, *, now: datetime) -> bool:
    """Book one execution. False if it was booked before as it is reported (or is void and never was).

    The first fill of an entry pair puts the other entry into CANCEL_PENDING in the same transaction.
    """
    contract = Contract.objects.get(venue=account.venue, broker_contract_id=report.contract_id)
    with transaction.atomic():
        position = _locked(account, contract)
        known = Fill.objects.filter(account=account, broker_trade_id=report.id).first()
        if known is not None:
            return _correct(known, position, report, now)
        if report.voided:
            return False
        order = _order_of(account, report.order_id)
        paid = costs.of(report, contract.symbol)
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
            fees=paid.fees,
            commissions=paid.commissions,
            estimated=paid.estimated,
        )
        if order is not None:
            _fill_order(order, fill, now)
        trades.rebuild(position, since=fill.at)
        _announce(fill, position, now)
        if order is not None:
            _follow(order, fill, position, now)
        point("book.before_commit")
    point("book.after_commit")
    return True


def link(account: Account, *, now: datetime) -> None:
    """Give fills that were booked before their order was found to that order.

    An entry whose answer was lost may fill before its tag is looked up: its opposite is to be cancelled all the same.
    """
    orders_found = Order.objects.filter(account=account, broker_order_id=OuterRef("broker_order_id"))
    orphans = Fill.objects.filter(Exists(orders_found), account=account, order=None, voided=False)
    for fill in orphans.select_related("contract"):
        with transaction.atomic():
            position = _locked(account, fill.contract)
            order = _order_of(account, fill.broker_order_id)
            if order is None or not Fill.objects.filter(pk=fill.pk, order=None).update(order=order):
                continue
            _fill_order(order, fill, now)
            trades.rebuild(position, since=fill.at)
            _follow(order, fill, position, now)


def _order_of(account: Account, broker_order_id: int) -> Order | None:
    rows = Order.objects.select_for_update(of=("self",)).select_related("strategy", "contract")
    return rows.filter(account=account, broker_order_id=broker_order_id).first()


def _locked(account: Account, contract: Contract) -> Position:
    rows = Position.objects.select_for_update(of=("self",)).filter(account=account, contract=contract)
    position = rows.first()
    if position is None:
        Position.objects.get_or_create(account=account, contract=contract)
        position = rows.get()
    position.contract = contract
    return position


def _fill_order(order: Order, fill: Fill, now: datetime) -> None:
    figures = order.fills.filter(voided=False).aggregate(
        contracts=Sum("quantity"), worth=Sum(F("quantity") * F("price"))
    )
    filled = min(max(figures["contracts"] or 0, order.filled), order.quantity)
    average = figures["worth"] / figures["contracts"]
    explained = figures["contracts"] <= order.filled  # what the venue said that it had filled when it ended
    status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIAL
    before = OrderStatus(order.status)
    if before in order_facts.ENDED and not explained:
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


def _follow(order: Order, fill: Fill, position: Position, now: datetime) -> None:
    """Do what the fill of an order asks for."""
    if order.role in _EXITS and position.quantity * fill.side > 0:
        _undo(order, position, now)
    if order.role == Role.ENTRY and order.oco_group:
        _cancel_opposite(order, now)


def is_news(fill: Fill, report: FillReport) -> bool:
    """Return whether the venue says of a booked fill what the booking does not: that it is void, or other costs."""
    return not fill.voided and (report.voided or costs.told(fill, report) is not None)


def _correct(fill: Fill, position: Position, report: FillReport, now: datetime) -> bool:
    """Take over what the venue says differently of a booked fill; returns whether anything was different."""
    if not is_news(fill, report):
        return False
    if report.voided:
        fill.voided = True
        notifications.notify(
            "risk",
            f"Fill voided by the venue: {fill}",
            account=fill.account,
            body="Position and trades are computed again without it.",
            level="alert",
            now=now,
        )
    elif paid := costs.told(fill, report):
        log.info("%s: execution %s cost %s, %s were booked", fill.account_id, report.id, paid, fill.commissions)
        fill.fees, fill.commissions, fill.estimated = paid
    fill.save(update_fields=["voided", "fees", "commissions", "estimated"])
    trades.rebuild(position, since=fill.at)
    return True


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
