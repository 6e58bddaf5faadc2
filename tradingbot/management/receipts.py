"""What became of an order that a person asked for: sent, followed until the venue shows it, and told."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Sum

from brokers.base import BrokerError
from market.orders import OrderStatus, OrderType, Side
from market.plans import Management
from market.sessions import trade_date_of
from risk.requests import EntryRequest
from tradingbot.clock import now
from tradingbot.management.tables import Price, Table, price
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Account, Contract, Decision, Order, Outcome
from tradingbot.operations import orders, reconciliation, snapshots

COLUMNS = (
    "id",
    "at",
    "contract",
    "role",
    "side",
    "quantity",
    "type",
    "price",
    "filled",
    "status",
    "note",
)
_CONFIRM = 3.0  # machine seconds in which the venue shows what it has taken
_LOOK = 0.3  # machine seconds that a reading may be old
_PAUSE = 0.1
ENDED_WITHOUT_FILL = (OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.CANCELLED, OrderStatus.ABANDONED)
_NOT_SEEN = (OrderStatus.NEW, OrderStatus.SENDING, OrderStatus.UNKNOWN)


def enter(
    command: TerminalCommand, account: Account, contract: Contract, request: EntryRequest, management: Management
) -> None:
    """Ask the gate, send what it allows and tell what became of it. Raises CommandError for a denial or a rejection."""
    moment = now()
    decision = orders.open(
        account=account,
        contract=contract,
        request=request,
        session_date=trade_date_of(moment),
        now=moment,
        inputs={"newest": None if request.reference is None else str(request.contract.price(request.reference))},
        requested_by=person(),
        management=management,
    )
    if decision.outcome != Outcome.ORDERED:
        _tell_denial(command, decision)
    entries = list(decision.orders.filter(parent=None).select_related("account__login", "contract"))
    follow(command, entries, decision=decision)


def follow(command: TerminalCommand, sent: Sequence[Order], *, decision: Decision | None = None) -> None:
    """Send NEW orders, wait until the venue shows all of them, print them. Raises CommandError for one that failed."""
    for order in sent:
        try:
            orders.send(order, now=now())
        except BrokerError as error:
            command.progress(f"order #{order.pk} was not sent ({error}); a worker tries again")
    watch(command, sent, until=_settled)
    document: dict[str, Any] = {"orders": [row(order) for order in sent]}
    if decision is not None:
        document["decision"] = _document(decision)
    command.show(document, *map(line, sent))
    for order in sent:
        if order.status in ENDED_WITHOUT_FILL:
            raise CommandError(f"order #{order.pk} is {order.status}: {order.reason or 'the venue gave no reason'}")
        if order.status in _NOT_SEEN:
            raise CommandError(
                f"order #{order.pk} is not confirmed yet ({order.status}); it is watched, do not repeat it: "
                "`python manage.py orders` shows what became of it"
            )


def watch(
    command: TerminalCommand, watched: Sequence[Order], *, until: Callable[[Order, Collection[int]], bool]
) -> None:
    """Read the venue until each order is as it should be, three seconds at most; the rows are fresh afterwards.

    until   told the order and the ids of the orders that the venue shows in flight
    """
    give_up = time.monotonic() + _CONFIRM
    account, shown = watched[0].account, frozenset[int]()
    while True:
        for order in watched:
            order.refresh_from_db()
        if all(until(order, shown) for order in watched) or time.monotonic() > give_up:
            return
        try:
            reading = snapshots.read(account, max_age=_LOOK, now=now())
            reconciliation.apply_orders_and_fills(account, reading, now=now())
        except BrokerError as error:
            command.progress(f"the venue could not be read: {error}")
            return
        shown = frozenset(report.id for report in reading.orders)
        if not all(until(order, shown) for order in Order.objects.filter(pk__in=[o.pk for o in watched])):
            time.sleep(_PAUSE)


def line(order: Order) -> str:
    """Return one line: `order #12 buy 1 MNQ market is filled at 21,480.25 (tag tb-…, venue id 7)`."""
    at = f" at {order.contract.text(order.average_price)}" if order.average_price is not None else ""
    venue_id = f", venue id {order.broker_order_id}" if order.broker_order_id else ""
    return f"order {order} is {order.status.replace('_', ' ')}{at} (tag {order.tag}{venue_id})"


def row(order: Order) -> dict[str, Any]:
    """Return an order as tables and JSON show it."""
    contract = order.contract
    return {
        "id": order.pk,
        "tag": order.tag,
        "venue_id": order.broker_order_id,
        "parent": order.parent_id,
        "session": order.session_date,
        "at": order.created_at,
        "contract": contract.name,
        "role": order.role,
        "side": Side(order.side).name.lower(),
        "quantity": order.quantity,
        "type": order.type.replace("_", " "),
        "price": price(order.price, contract),
        "stop_ticks": order.stop_ticks,
        "target_ticks": order.target_ticks,
        "filled": order.filled,
        "fill_price": price(order.average_price, contract),
        "status": order.status,
        "requested_by": order.requested_by or None,
        "note": _note(order),
    }


def _settled(order: Order, shown: Collection[int]) -> bool:
    """Return whether nothing more is to be expected soon: ended and booked, or shown to rest at the venue."""
    if order.status in ENDED_WITHOUT_FILL:
        return True
    if order.status == OrderStatus.FILLED:
        booked: int | None = order.fills.filter(voided=False).aggregate(total=Sum("quantity"))["total"]
        return booked == order.filled
    return order.status not in _NOT_SEEN and order.type != OrderType.MARKET and order.broker_order_id in shown


def _note(order: Order) -> str | None:
    notes = []
    if order.desired_price is not None:
        notes.append(f"moving to {order.contract.text(order.desired_price)}")
    if order.stop_ticks:
        distances = [("stop", order.stop_ticks), ("target", order.target_ticks)]
        notes.append(
            ", ".join(
                f"{name} {Price(order.contract.spec.price(ticks), order.contract)} away"
                for name, ticks in distances
                if ticks
            )
        )
    if order.reason:
        notes.append(order.reason)
    return "; ".join(notes) or None


def _document(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.pk,
        "at": decision.at,
        "outcome": decision.outcome,
        "code": decision.code,
        "sentence": decision.sentence,
        "rules": decision.rules,
    }


def _tell_denial(command: TerminalCommand, decision: Decision) -> None:
    failing = [rule for rule in decision.rules if rule["ok"] is False]
    table = Table(failing, ("rule", "value", "limit", "note"), "")
    command.show({"decision": _document(decision), "orders": []}, *([table] if failing else []))
    raise CommandError(f"denied: {decision.sentence}")
