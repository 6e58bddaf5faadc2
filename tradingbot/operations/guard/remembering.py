"""One account without PostgreSQL: what guard remembers of it, and what it may do with no more than that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from brokers.base import Broker, BrokerError, NotSent, OrderReport, PositionReport, Refused
from market.orders import OrderStatus, Role
from tradingbot.models import Login
from tradingbot.operations import closes
from tradingbot.operations.guard.journal import Journal
from tradingbot.operations.protection import covering

log = logging.getLogger(__name__)

STOP_MISSING = 9.0
_CLOSE_IN_FLIGHT = closes.IN_FLIGHT.total_seconds()
CANCEL_AGAIN = 2.0
FLAT_APART = 2.0
"""Seconds of the machine."""


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order of ours as it stood when PostgreSQL was last read."""

    contract_id: str
    role: Role
    oco_group: UUID | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to hold for an account whoever is there to see to it.

    flat         from when until when everything is cancelled and closed: a session's flat time, the next one's open
    flatten      whether that was asked for already
    orders       ours that may be at the venue, by the venue's id
    contracts    the venue's ids of contracts whose positions are ours to protect
    """

    account_id: int
    broker_account_id: int
    name: str
    login: Login
    flat: tuple[tuple[datetime, datetime], ...]
    flatten: bool
    orders: dict[int, KnownOrder]
    contracts: frozenset[str]

    def must_be_flat(self, now: datetime) -> bool:
        return self.flatten or any(since <= now < until for since, until in self.flat)


@dataclass(slots=True)
class Alone:
    """The rounds of one account while PostgreSQL is away: cancel and close, nothing else.

    connect   the client of a login that needs no row
    exposed   whether anything was open by the plan or at the venue when that was last read, or is to be seen flat
    """

    journal: Journal
    connect: Callable[[Login], Broker]
    exposed: bool = False
    _bare_since: dict[str, float] = field(default_factory=dict)
    _closed_at: dict[str, float] = field(default_factory=dict)
    _cancelled_at: dict[int, float] = field(default_factory=dict)
    _left_over: frozenset[int] = frozenset()
    _closed_last: float = float("-inf")
    _flat_since: float | None = None
    _said_flat: bool = False

    @property
    def settling(self) -> float:
        """Return the seconds for which a close of ours may still be in flight, 0 if none is."""
        return max(0.0, self._closed_last + _CLOSE_IN_FLIGHT - time.monotonic())

    def forget(self) -> None:
        """Begin every wait anew: the machine slept, or PostgreSQL was there in between."""
        self._bare_since.clear()
        self._closed_at.clear()
        self._cancelled_at.clear()
        self._left_over = frozenset()
        self._flat_since, self._said_flat = None, False

    def round(self, plan: Plan, *, now: datetime) -> None:
        """Read the venue once and do what the plan asks for. Raises what the reads raise: then nothing is done."""
        broker = self.connect(plan.login)
        orders = broker.orders_in_flight(plan.broker_account_id)
        positions = [p for p in broker.positions(plan.broker_account_id) if p.quantity]
        self.exposed = bool(orders or positions or plan.orders or plan.contracts)
        if plan.must_be_flat(now):
            self._flatten(plan, broker, orders, positions, now)
            self.exposed = not self._said_flat
            return
        for report in _unwanted(plan, orders, positions, now):
            self._cancel(plan, broker, report, "its time is over, or the opposite entry filled", now)
        self._protect(plan, broker, orders, positions, now)

    def _flatten(
        self, plan: Plan, broker: Broker, orders: list[OrderReport], positions: list[PositionReport], now: datetime
    ) -> None:
        held = {position.contract_id for position in positions}
        if not orders and not positions:
            self._flat_since = self._flat_since or time.monotonic()
            if time.monotonic() - self._flat_since >= FLAT_APART and not self._said_flat:
                self._said_flat = True
                self.journal.write(plan.account_id, "note", f"{plan.name}: flat, seen twice", at=now)
            return
        self._flat_since, self._said_flat = None, False
        legs = [report for report in orders if report.status is OrderStatus.SUSPENDED]  # they go with their entry
        for report in [report for report in orders if report not in legs] or legs:
            known = plan.orders.get(report.id)
            opens = known is None or known.role is Role.ENTRY
            if opens or report.contract_id not in held:
                self._cancel(plan, broker, report, "flat by the close", now)
        for position in positions:
            self._close(plan, broker, position, "flat by the close", now)

    def _protect(
        self, plan: Plan, broker: Broker, orders: list[OrderReport], positions: list[PositionReport], now: datetime
    ) -> None:
        entries = {number for number, known in plan.orders.items() if known.role is Role.ENTRY}
        bare = {
            position.contract_id: position
            for position in positions
            if position.contract_id in plan.contracts
            and sum(o.quantity - o.filled for o in covering(position, orders, entries)) < abs(position.quantity)
        }
        self._bare_since = {key: self._bare_since.get(key, time.monotonic()) for key in bare}
        for key, position in bare.items():
            if time.monotonic() - self._bare_since[key] >= STOP_MISSING:
                self._close(plan, broker, position, "no stop of its full size for 9 s", now)
        self._cancel_left_over(plan, broker, orders, {position.contract_id for position in positions}, now)

    def _cancel_left_over(
        self, plan: Plan, broker: Broker, orders: list[OrderReport], held: Collection[str], now: datetime
    ) -> None:
        """Cancel legs without a position: seen by two rounds, as the list may be behind, or closed by us just now."""
        legs = {number for number, known in plan.orders.items() if known.role in (Role.STOP, Role.TARGET)}
        left_over = [
            report
            for report in orders
            if report.id in legs and report.contract_id not in held and report.status is not OrderStatus.SUSPENDED
        ]
        for report in left_over:
            if report.id in self._left_over or self._closes(report.contract_id):
                self._cancel(plan, broker, report, "its position is closed", now)
        self._left_over = frozenset(report.id for report in left_over)

    def _closes(self, contract_id: str) -> bool:
        return time.monotonic() - self._closed_at.get(contract_id, float("-inf")) < _CLOSE_IN_FLIGHT

    def _close(self, plan: Plan, broker: Broker, position: PositionReport, why: str, now: datetime) -> None:
        """Close a position unless a close of ours is in flight: two closes can flip it."""
        if self._closes(position.contract_id):
            return
        self._closed_at[position.contract_id] = self._closed_last = time.monotonic()
        outcome = _outcome(lambda: broker.close(plan.broker_account_id, position.contract_id))
        if outcome.startswith("not sent"):
            del self._closed_at[position.contract_id]
        self.journal.write(
            plan.account_id,
            "close",
            f"{plan.name}: close of {position.quantity:+d} {position.contract_id} {outcome} ({why})",
            at=now,
            contract_id=position.contract_id,
            quantity=position.quantity,
        )

    def _cancel(self, plan: Plan, broker: Broker, report: OrderReport, why: str, now: datetime) -> None:
        if time.monotonic() - self._cancelled_at.get(report.id, float("-inf")) < CANCEL_AGAIN:
            return
        self._cancelled_at[report.id] = time.monotonic()
        outcome = _outcome(lambda: broker.cancel(plan.broker_account_id, report.id))
        self.journal.write(
            plan.account_id,
            "cancel",
            f"{plan.name}: cancel of order {report.id} ({report.tag or 'no tag'}) {outcome} ({why})",
            at=now,
            order_id=report.id,
        )


def _unwanted(
    plan: Plan, orders: Iterable[OrderReport], positions: Iterable[PositionReport], now: datetime
) -> list[OrderReport]:
    """Return entries of ours whose time is over, or whose opposite has filled."""
    held = {position.contract_id for position in positions}
    shown = {report.id: report for report in orders}
    filled = {
        known.oco_group
        for number, known in plan.orders.items()
        if known.oco_group and known.contract_id in held and (number not in shown or shown[number].filled)
    }
    unwanted = []
    for number, report in shown.items():
        known = plan.orders.get(number)
        if known is None or known.role is not Role.ENTRY:
            continue
        over = known.expires_at is not None and now >= known.expires_at
        if over or (known.oco_group in filled and not report.filled):
            unwanted.append(report)
    return unwanted


def _outcome(call: Callable[[], None]) -> str:
    try:
        call()
    except NotSent as error:
        return f"not sent: {error}"
    except Refused as error:
        return f"refused: {error}"
    except BrokerError as error:
        return f"has no clear answer: {error}"
    return "taken"
