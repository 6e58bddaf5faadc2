"""The venue's journal as a story: what was held and what worked from when to when, in machine time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.checker.facts import Facts, Row

OPEN, FILLED, CANCELLED, EXPIRED, REJECTED, SUSPENDED = 1, 2, 3, 4, 5, 8
_STOPS = (4, 5)
BUY = 0


@dataclass(slots=True)
class Exposure:
    """A position from flat to flat. `bare`: seconds of machine time without working stops of its full size, each time.

    ours   whether an order of ours had a part in opening it
    """

    account_id: int
    contract_id: str
    since: datetime
    until: datetime | None = None
    ours: bool = False
    bare: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(self.bare, default=0.0)


@dataclass(slots=True)
class Working:
    """An order while it was open at the venue."""

    order: Row
    since: datetime
    until: datetime | None = None


@dataclass(slots=True)
class Book:
    """What an account holds in a contract at one moment."""

    quantity: int = 0
    average: Decimal = Decimal(0)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)


def moments(facts: Facts) -> Iterator[tuple[Row, dict[tuple[int, str], Book]]]:
    """Yield every entry of the journal with the books as they are after it; the same dictionary each time."""
    books: dict[tuple[int, str], Book] = {}
    for entry in facts.journal:
        data = entry.data
        if entry.kind == "event" and entry.name in {"GatewayUserOrder", "GatewayUserPosition"}:
            book = books.setdefault((data["accountId"], data["contractId"]), Book())
            if entry.name == "GatewayUserOrder":
                book.orders[data["id"]] = data
            else:
                book.quantity = {0: 0, 1: 1, 2: -1}[data["type"]] * data["size"]
                book.average = Decimal(str(data["averagePrice"]))
        yield entry, books


def exposures(facts: Facts) -> list[Exposure]:
    """Return every exposure of the run, oldest first."""
    entries = {row.broker_order_id for row in facts.orders if row.role == "entry"}
    ours = {row.broker_order_id for row in facts.orders if row.role != "external"}
    found: list[Exposure] = []
    held: dict[tuple[int, str], Exposure] = {}
    before: dict[tuple[int, str], int] = {}
    trader: dict[tuple[int, str], int] = {}
    bare_since: dict[tuple[int, str], datetime] = {}
    for entry, books in moments(facts):
        if entry.kind != "event" or entry.name not in {"GatewayUserOrder", "GatewayUserPosition", "GatewayUserTrade"}:
            continue
        key = (entry.data["accountId"], entry.data["contractId"])
        if key not in books:
            continue
        book = books[key]
        if book.quantity and key not in held:
            held[key] = Exposure(*key, since=entry.machine_at)
            found.append(held[key])
        if entry.name == "GatewayUserTrade":
            trader[key] = entry.data["orderId"]
        if abs(book.quantity) > abs(before.get(key, 0)) and trader.get(key) in ours:
            held[key].ours = True
        before[key] = book.quantity
        bare = abs(book.quantity) > covered(book, entries)
        if bare and key not in bare_since:
            bare_since[key] = entry.machine_at
        elif not bare and key in bare_since:
            held[key].bare.append((entry.machine_at - bare_since.pop(key)).total_seconds())
        if not book.quantity and key in held:
            held.pop(key).until = entry.machine_at
    for key, since in bare_since.items():
        held[key].bare.append((facts.until - since).total_seconds())
    return found


def covered(book: Book, entries: set[int]) -> int:
    """Return the contracts for which stops work that close the position; the other entry of a pair is none."""
    closing = 1 if book.quantity > 0 else 0
    return sum(
        order["size"] - order["fillVolume"]
        for order in book.orders.values()
        if order["status"] == OPEN
        and order["type"] in _STOPS
        and order["side"] == closing
        and order["id"] not in entries
    )


def working(facts: Facts) -> list[Working]:
    """Return every order that was open at the venue, with the machine times between which it was."""
    rows = {order.id: order for order in facts.venue_orders}
    found: dict[int, Working] = {}
    for entry in facts.journal:
        if entry.kind != "event" or entry.name != "GatewayUserOrder":
            continue
        order_id, is_open = entry.data["id"], entry.data["status"] == OPEN
        if is_open and order_id not in found:
            found[order_id] = Working(rows[order_id], entry.machine_at)
        elif not is_open and order_id in found and found[order_id].until is None:
            found[order_id].until = entry.machine_at
    return list(found.values())


def flat_spans(facts: Facts) -> dict[tuple[int, str], list[tuple[datetime, datetime | None]]]:
    """Return by account and contract when nothing was held, in machine time."""
    spans: dict[tuple[int, str], list[tuple[datetime, datetime | None]]] = {}
    for entry in facts.journal:
        if entry.kind != "event" or entry.name not in {"GatewayUserOrder", "GatewayUserPosition"}:
            continue
        key = (entry.data["accountId"], entry.data["contractId"])
        of = spans.setdefault(key, [(entry.machine_at, None)])
        if entry.name == "GatewayUserPosition":
            flat = entry.data["size"] == 0
            if not flat and of[-1][1] is None:
                of[-1] = (of[-1][0], entry.machine_at)
            elif flat and of[-1][1] is not None:
                of.append((entry.machine_at, None))
    return spans
