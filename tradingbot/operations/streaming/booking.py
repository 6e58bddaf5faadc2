"""Events of the user hub into our rows, by the same operations as the check by REST; in doubt REST decides.

Events repeat, come late and in any order, so only what cannot be wrong is taken from them: executions, which have ids,
and orders that move forward. A position or balance says nothing of its time: it is compared, and a difference is asked
about. An order that had ended for us and works in an event is never believed here.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from brokers.base import AccountReport, FillReport, OrderReport
from brokers.projectx.hubs import PositionEvent, UserEvent
from market.orders import LIVE, OrderStatus
from tradingbot.models import Account, Contract, Login, Order, Position
from tradingbot.operations import fills, order_facts, snapshots

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Machine seconds for which an execution waits for the order that it belongs to; then REST is asked."""

_MOST_REMEMBERED = 2_000
_ACCOUNTS_HOLD = 5.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A decoded event with the time.monotonic() of its frame."""

    event: UserEvent
    at: float


@dataclass(slots=True)
class Outcome:
    """What a batch led to, by account: executions booked, what REST is to be asked."""

    booked: Counter[Account] = field(default_factory=Counter)
    orders: int = 0
    check: set[Account] = field(default_factory=set)
    balance: set[Account] = field(default_factory=set)


class _Order(NamedTuple):
    account: Account
    report: OrderReport
    at: float


class _Mark(NamedTuple):
    """What tells the age of an order's event. Its time alone does not: a filled order keeps that of its activation.

    Of one time a suspended leg is older than a working one: those of a market order may begin and work at once.
    """

    is_over: bool
    filled: int
    at: datetime
    works: bool

    @classmethod
    def of(cls, report: OrderReport) -> _Mark:
        at = report.updated_at or report.created_at
        return cls(report.status not in LIVE, report.filled, at, report.status is not OrderStatus.SUSPENDED)

    def follows(self, before: _Mark) -> bool:
        """Return whether an event with this mark brings something newer than one with the mark `before`."""
        if self == before or self.filled < before.filled or before.is_over:
            return False
        return self.is_over or (self.at, self.works) >= (before.at, before.works)


@dataclass(frozen=True, slots=True)
class _Parked:
    account: Account
    fill: FillReport
    until: float


class Booking:
    """The accounts of one login, by a single thread. `seen`: executions that the stream has brought."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._newest: dict[int, _Mark] = {}
        self._parked: dict[int, _Parked] = {}
        self._accounts: dict[int, Account] = {}
        self._accounts_at = float("-inf")
        self._contracts: set[str] = set()
        self.seen: set[int] = set()

    @property
    def waits(self) -> bool:
        """Whether an execution waits for its order."""
        return bool(self._parked)

    def take(self, arrived: Iterable[Arrived], *, now: datetime) -> Outcome:
        """Book a batch: orders that executions need first, then executions, then the rest. Raises DatabaseError."""
        outcome, before = Outcome(), self._newest.copy()
        try:
            self._take(arrived, outcome, now)
        except BaseException:
            self._newest = before  # what comes again is news again
            raise
        return outcome

    def _take(self, arrived: Iterable[Arrived], outcome: Outcome, now: datetime) -> None:
        orders: dict[int, _Order] = {}
        new: list[tuple[Account, FillReport]] = []
        rest: list[tuple[Account, PositionEvent | AccountReport]] = []
        for one in arrived:
            event = one.event
            account = self._account(event.id if isinstance(event, AccountReport) else event.account_id)
            match event:
                case _ if account is None:
                    continue
                case OrderReport():
                    if self._is_news(event):
                        orders[event.id] = _Order(account, event, one.at)
                case FillReport():
                    new.append((account, event))
                case _:
                    rest.append((account, event))
        wanted = {fill.order_id for _, fill in new} | {parked.fill.order_id for parked in self._parked.values()}
        linked = self._linked(wanted)
        linked |= self._link([orders[order_id] for order_id in wanted - linked if order_id in orders], now)
        self._fills(new, linked, outcome, now)
        self._fill_parked(linked, outcome, now)
        self._write(list(orders.values()), outcome, now)
        self._compare(rest, outcome)

    def _account(self, broker_account_id: int) -> Account | None:
        """Return an account of the login that we look after."""
        if broker_account_id not in self._accounts or time.monotonic() - self._accounts_at > _ACCOUNTS_HOLD:
            rows = Account.objects.filter(login=self._login, enabled=True).select_related("login")
            self._accounts = {account.broker_account_id: account for account in rows}
            self._accounts_at = time.monotonic()
        return self._accounts.get(broker_account_id)

    def _linked(self, order_ids: set[int]) -> set[int]:
        """Return those of the venue's orders that we have a row of."""
        rows = Order.objects.filter(account__login=self._login, broker_order_id__in=order_ids)
        known = rows.values_list("broker_order_id", flat=True) if order_ids else ()
        return {order_id for order_id in known if order_id is not None}

    # --- orders

    def _is_news(self, report: OrderReport) -> bool:
        """Return whether no newer event of the order was here, nor this one; an ended order never comes back."""
        if report.status is None:
            return False
        mark = _Mark.of(report)
        before = self._newest.get(report.id)
        if before is not None and not mark.follows(before):
            return False
        if len(self._newest) > _MOST_REMEMBERED:
            self._newest.clear()
        self._newest[report.id] = mark
        return True

    def _link(self, arrived: list[_Order], now: datetime) -> set[int]:
        """Give our rows the venue's ids, no more, so that executions find them; returns the ids that have a row now."""
        rows = self._rows([one.report for one in arrived])
        linked = set()
        for account, report, _ in arrived:
            row = rows.get((account.pk, report.tag or ""))
            if row is None:
                row = order_facts.external(account, report, now=now)
            elif row.status in LIVE:
                Order.objects.filter(pk=row.pk, broker_order_id=None).update(broker_order_id=report.id)
            else:
                continue
            if row is not None:
                linked.add(report.id)
        return linked

    def _write(self, arrived: list[_Order], outcome: Outcome, now: datetime) -> None:
        """Write order facts into their rows."""
        if not arrived:
            return
        rows = self._rows([one.report for one in arrived])
        machine, here = snapshots.machine_now(), time.monotonic()
        for account, report, at in arrived:
            row = rows.get((account.pk, report.tag or "")) or rows.get((account.pk, report.id))
            if row is None:
                if order_facts.external(account, report, now=now) is None:
                    outcome.check.add(account)
            elif row.status in LIVE:
                read_at = machine - timedelta(seconds=here - at)
                outcome.orders += order_facts.adopt(row, report, read_at=read_at, now=now)
            elif row.status not in (report.status, OrderStatus.FILLED):
                outcome.check.add(account)  # they contradict each other, which only a read can settle

    def _rows(self, reports: list[OrderReport]) -> dict[tuple[int, int | str], Order]:
        """Return our rows by account and tag, and by account and the venue's id."""
        if not reports:
            return {}
        named = Q(broker_order_id__in=[report.id for report in reports])
        if tags := [report.tag for report in reports if report.tag]:
            named |= Q(tag__in=tags)
        found: dict[tuple[int, int | str], Order] = {}
        for row in Order.objects.filter(named, account__login=self._login):
            found[row.account_id, row.tag] = row
            if row.broker_order_id is not None:
                found[row.account_id, row.broker_order_id] = row
        return found

    # --- executions

    def _fills(
        self, arrived: list[tuple[Account, FillReport]], linked: set[int], outcome: Outcome, now: datetime
    ) -> None:
        for account, fill in arrived:
            self.seen.add(fill.id)
            if not self._is_known(fill.contract_id):
                outcome.check.add(account)
            elif fill.order_id in linked or fill.voided:
                outcome.booked[account] += fills.record(account, fill, now=now)
            else:
                self._parked.setdefault(fill.id, _Parked(account, fill, time.monotonic() + PATIENCE))

    def _is_known(self, contract_id: str) -> bool:
        if contract_id not in self._contracts:
            rows = Contract.objects.filter(venue=self._login.venue, broker_contract_id=contract_id)
            self._contracts.update(rows.values_list("broker_contract_id", flat=True))
        return contract_id in self._contracts

    def _fill_parked(self, linked: set[int], outcome: Outcome, now: datetime) -> None:
        """Book what has waited for its order; ask REST about what has waited for too long."""
        for key, parked in list(self._parked.items()):
            if parked.fill.order_id in linked:
                del self._parked[key]
                outcome.booked[parked.account] += fills.record(parked.account, parked.fill, now=now)
            elif time.monotonic() > parked.until:
                del self._parked[key]
                outcome.check.add(parked.account)

    # --- what can only be compared

    def _compare(self, arrived: list[tuple[Account, PositionEvent | AccountReport]], outcome: Outcome) -> None:
        positions = {(account, e.contract_id): e for account, e in arrived if isinstance(e, PositionEvent)}
        for (account, contract_id), position in positions.items():
            row = Position.objects.filter(account=account, contract__broker_contract_id=contract_id).first()
            if (row.quantity if row else 0) != position.quantity:
                outcome.check.add(account)
        told = {account.pk: event for account, event in arrived if isinstance(event, AccountReport)}
        for account in Account.objects.filter(pk__in=told) if told else ():
            event = told[account.pk]
            if (event.balance, event.can_trade and event.visible) != (account.balance, account.can_trade):
                outcome.balance.add(account)
