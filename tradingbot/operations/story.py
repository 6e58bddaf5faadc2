"""A trading day told line by line, in a trader's words, from the rows that everybody left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from market.orders import OrderStatus, OrderType, Role, Side
from tradingbot.models import (
    Decision,
    Fill,
    Notification,
    Order,
    OrderEvent,
    Outcome,
    OvernightRange,
    SessionStep,
    Trade,
)
from tradingbot.operations.figures import in_order
from tradingbot.operations.reports import dollars

_LATE = 200  # rows whose transaction may end after that of rows with a higher number


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened.

    at      market time
    mood    "good", "bad", "info" or "quiet", for the eye
    is_end  the day's summary: nothing of interest follows
    """

    at: datetime
    text: str
    mood: str = "info"
    is_end: bool = False


class Story:
    """Tells each row once. `since` leaves out what happened before that market time."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._told: set[tuple[str, int, str]] = set()
        self._newest: dict[str, int] = {}
        self._sentences: set[str] = set()

    def lines(self) -> list[Line]:
        """Return what has happened since the last call, oldest first."""
        found = [line for source in _SOURCES for line in self._read(source)]
        return sorted(found, key=lambda line: line.at)

    def _read(self, source: _Source) -> Iterator[Line]:
        name = source.rows.model.__name__
        for row in source.rows.filter(pk__gt=self._newest.get(name, 0) - _LATE).order_by("pk"):
            mark = (name, row.pk, source.stage(row))
            if mark in self._told:
                continue
            self._told.add(mark)
            self._newest[name] = max(self._newest.get(name, 0), row.pk)
            line = source.tell(row)
            if line is not None and line.at >= self._since and not self._known(row):
                yield line

    def _known(self, row: Any) -> bool:
        """Return whether a message only repeats the sentence of a decision."""
        if isinstance(row, Decision):
            self._sentences.add(row.sentence)
        return isinstance(row, Notification) and row.body in self._sentences


def _range(row: OvernightRange) -> Line:
    contract = row.contract
    text = (
        f"Overnight range of {contract.symbol}: {contract.text(row.low)} to {contract.text(row.high)}, "
        f"{contract.text(row.high - row.low)} points ({row.bars} of {row.expected_bars} minutes traded)"
    )
    return Line(row.captured_at, text, "info" if row.complete else "bad")


def _decision(row: Decision) -> Line | None:
    who = row.strategy.name if row.strategy else row.requested_by
    match Outcome(row.outcome):
        case Outcome.ORDERED:
            return Line(row.at, f"{who}: entry decided; {row.sentence}", "quiet")
        case Outcome.NO_SIGNAL:
            return Line(row.at, f"{who}: {row.sentence}", "quiet")
        case Outcome.MANAGED:
            return None if row.code == "breakeven" else Line(row.at, row.sentence)  # the order's events tell that one
        case Outcome.DENIED:
            return Line(row.at, f"{who}: denied. {row.sentence}", "bad")
        case _:
            return Line(row.at, f"{who}: {row.sentence}", "bad")


def _event(row: OrderEvent) -> Line | None:
    order, before, after = row.order, row.before, row.after
    if order.role == Role.EXTERNAL:
        return Line(row.at, f"Foreign order: {order.describe()}", "bad") if row.kind == "seen" else None
    if order.role == Role.STOP and before == after:
        return _moved(row)
    if row.kind != after:
        return None  # a note about the order, not a step of its life
    match OrderStatus(after):
        case OrderStatus.WORKING if order.role == Role.ENTRY:
            return Line(row.at, f"Works at the venue: {order.describe()}; {_bracket(order)}")
        case OrderStatus.WORKING if order.role in (Role.STOP, Role.TARGET):
            return Line(row.at, f"{_NAMES[Role(order.role)]} works: {order.describe()}")
        case OrderStatus.CANCEL_PENDING if order.role == Role.ENTRY:
            return Line(row.at, f"Cancelling {order.describe()} ({row.detail.get('by', order.reason)})", "quiet")
        case OrderStatus.CANCELLED if before != OrderStatus.SUSPENDED:
            return Line(row.at, f"Cancelled: {order.describe()}", "info" if order.role == Role.ENTRY else "quiet")
        case OrderStatus.EXPIRED:
            return Line(row.at, f"Expired: {order.describe()}", "quiet")
        case OrderStatus.REJECTED if order.parent_id is None:
            return Line(row.at, f"Rejected by the venue: {order.describe()}; {order.reason}", "bad")
        case OrderStatus.UNKNOWN:
            return Line(row.at, f"No answer from the venue for {order.describe()}: asking what became of it", "bad")
        case OrderStatus.ABANDONED | OrderStatus.GHOST:
            return Line(row.at, f"{after.capitalize()}: {order.describe()}", "bad")
        case _:
            return None


def _moved(row: OrderEvent) -> Line | None:
    """Return what became of a stop that is to stand elsewhere; its price before the entry's fill is no news."""
    contract, detail = row.order.contract, row.detail
    if row.kind == "modify asked":
        old, new = contract.text(Decimal(detail["from"])), contract.text(Decimal(detail["price"]))
        return Line(row.at, f"Stop loss to go from {old} to {new} ({detail['by']})")
    if row.kind == "modify sent" and detail.get("outcome") != "taken":
        return Line(row.at, f"The stop loss could not be moved: {detail.get('outcome')}", "bad")
    if row.kind == "facts" and "stop_price" in detail and row.after != OrderStatus.SUSPENDED:
        return Line(
            row.at, f"Confirmed by the venue: stop loss at {contract.text(Decimal(detail['stop_price']))}", "good"
        )
    return None


def _fill(row: Fill) -> Line:
    contract, order = row.contract, row.order
    did = "bought" if row.side == Side.BUY else "sold"
    text = f"{did} {row.quantity} {contract.symbol} at {contract.text(row.price)}"
    if order is None or order.role == Role.EXTERNAL:
        return Line(row.at, f"Not by an order of ours: {text}", "bad")
    return Line(row.at, f"{_NAMES[Role(order.role)]} filled: {text}", "good")


def _trade(row: Trade) -> Line:
    contract = row.contract
    direction = "long" if row.direction == Side.BUY else "short"
    text = (
        f"Trade closed: {direction} {row.quantity} {contract.symbol} from {contract.text(row.entry_price)} to "
        f"{contract.text(row.exit_price)}, {row.points.normalize():+f} points, {dollars(row.gross)} less "
        f"${row.fees + row.commissions:,.2f} costs: {dollars(row.net)}"
    )
    return Line(row.exited_at, text, "good" if row.net > 0 else "bad")


def _step(row: SessionStep) -> Line | None:
    if row.state != SessionStep.State.DONE or row.done_at is None:
        return None
    match row.step:
        case SessionStep.Step.VERIFY:
            return Line(row.done_at, f"Verified at the venue: {row.note}", "good")
        case SessionStep.Step.CUTOFF:
            return Line(row.done_at, f"Entries end: {row.note}", "quiet")
        case _:
            return None


def _notification(row: Notification) -> Line | None:
    if row.kind == Notification.Kind.SUMMARY:
        facts = "; ".join(f"{name} {value}" for name, value in in_order(row.facts))
        return Line(row.at, f"{row.title}. {facts}", "good", is_end=True)
    if row.kind == Notification.Kind.POSITION:
        return Line(row.at, f"{row.title}: {row.body}" if row.body else row.title)
    if row.level == Notification.Level.INFO or row.kind in (Notification.Kind.FILL, Notification.Kind.ORDER):
        return None
    return Line(row.at, f"{row.title}: {row.body}" if row.body else row.title, "bad")


def _bracket(order: Order) -> str:
    """Return stop and target of an entry in points and dollars, with their prices if the entry's is known."""
    spec, parts = order.contract.spec, []
    for name, ticks, sign in (("stop loss", order.stop_ticks, -1), ("target", order.target_ticks, 1)):
        if ticks:
            distance, money = sign * spec.price(ticks).normalize(), sign * spec.money(ticks, order.quantity)
            at = (
                "" if order.type == OrderType.MARKET else f" {order.contract.text(order.price + order.side * distance)}"
            )
            parts.append(f"{name}{at} ({distance:+f} points, {dollars(money)})")
    return ", ".join(parts)


_NAMES = {Role.ENTRY: "Entry", Role.STOP: "Stop loss", Role.TARGET: "Target", Role.EXIT: "Exit"}


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows of one model; a row whose `stage` changes is told again."""

    rows: QuerySet[Any]
    tell: Callable[[Any], Line | None]
    stage: Callable[[Any], str] = lambda row: ""


_DECISIONS = Decision.objects.select_related("strategy")
_PASSED = Q(code__endswith="_passed")  # decided anew after the venue had refused to move the stop
_SOURCES = (  # what has one market time is told in this order
    _Source(OvernightRange.objects.select_related("contract"), _range),
    _Source(_DECISIONS.exclude(_PASSED), _decision, lambda row: row.code),
    _Source(OrderEvent.objects.select_related("order__contract"), _event),
    _Source(_DECISIONS.filter(_PASSED), _decision, lambda row: row.code),
    _Source(Fill.objects.select_related("contract", "order").filter(voided=False), _fill),
    _Source(Trade.objects.select_related("contract"), _trade),
    _Source(SessionStep.objects.all(), _step, lambda row: row.state),
    _Source(Notification.objects.all(), _notification),
)
