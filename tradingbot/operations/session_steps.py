"""The steps of a session: when each is due for an account and its strategies, and what it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import strategies as registry
from brokers.base import BrokerError
from market.orders import Role
from market.plans import Management
from market.products import product
from market.sessions import NEW_YORK, Session, at_local, capture_at, firm_limit, flat_by, tradeable
from strategies.parameters import ParameterError
from tradingbot.models import Account, Contract, Order, SessionStep, Strategy
from tradingbot.models.orders import OrderQuerySet
from tradingbot.operations import (
    accounting,
    accounts,
    bars,
    calendar,
    contracts,
    hints,
    notifications,
    orders,
    reconciliation,
    reports,
    snapshots,
)

log = logging.getLogger(__name__)

Step = SessionStep.Step

BEFORE_OPEN = timedelta(minutes=30)
VERIFY_AFTER = timedelta(seconds=60)  # I5 holds from then on
REPORT_AFTER = timedelta(minutes=5)  # the firm's limit
LEAST_CALENDAR_DAYS = 14
LATE_NEWS = timedelta(days=5)  # voids and costs that the venue changes so long afterwards are found by the report

MATTER = {
    Step.CAPTURE: "The overnight range is not verified; `why` says what the strategy did about it.",
    Step.CUTOFF: "Entries may still work: look at the working orders.",
    Step.FLATTEN: "The account may hold a position over the close: look at it now.",
    Step.VERIFY: "The account was not seen flat in time: look at it now.",
    Step.REPORT: "There is no report of the day.",
}
"""Steps whose loss the trader is told, and what it means."""

_URGENCY = [Step.FLATTEN, Step.VERIFY, Step.CUTOFF, Step.CAPTURE, Step.REPORT, Step.PREPARE]
_SNAPSHOT_AGE = 5.0


class NotYet(Exception):
    """What a step needs is not there yet; it is tried again until its deadline."""


def timetable(account: Account, session: Session) -> list[SessionStep]:
    """Return the steps of `session` for `account` and its enabled strategies, unsaved."""
    limit = flat_by(session)
    moments: list[tuple[Step, Strategy | None, datetime, datetime]] = [
        (Step.PREPARE, None, session.opens_at - BEFORE_OPEN, session.closes_at),
        (Step.FLATTEN, None, limit, session.closes_at),
        (Step.VERIFY, None, limit + VERIFY_AFTER, firm_limit(session)),
        (Step.REPORT, None, firm_limit(session) + REPORT_AFTER, session.closes_at + timedelta(days=1)),
    ]
    traded = account.strategies.filter(enabled=True) if tradeable(session) else Strategy.objects.none()
    for strategy in traded:
        try:
            capture, cutoff, flat = moments_of(strategy, session)
            grace = management(strategy, session).late_grace
        except (KeyError, ParameterError) as error:  # the account is flattened all the same
            log.debug("%s cannot be planned, its evaluation says so: %s", strategy, error)
            continue
        moments.append((Step.CAPTURE, strategy, capture, cutoff if grace is None else capture + grace))
        moments.append((Step.CUTOFF, strategy, cutoff, session.closes_at))
        if flat < limit:
            moments.append((Step.FLATTEN, strategy, flat, session.closes_at))
    return [
        SessionStep(
            account=account,
            strategy=strategy,
            contract=contracts.front(account.venue, strategy.symbol) if strategy else None,
            session_date=session.trade_date,
            step=step,
            due_at=due_at,
            deadline=deadline,
        )
        for step, strategy, due_at, deadline in moments
    ]


def moments_of(strategy: Strategy, session: Session) -> tuple[datetime, datetime, datetime]:
    """Return when `strategy` has its range, when its entries end, and when its position is closed."""
    params = strategy.typed_parameters()
    managed = management(strategy, session)
    flat = flat_by(session)
    if managed.flat_at is not None:
        flat = min(flat, at_local(session, managed.flat_at, managed.zone))
    cutoff: time | None = getattr(params, "entry_cutoff", None)
    return capture_at(session), flat if cutoff is None else min(flat, at_local(session, cutoff, managed.zone)), flat


def management(strategy: Strategy, session: Session) -> Management:
    """Return what `strategy` declares to happen to its positions."""
    spec = product(strategy.symbol).contract(session.trade_date.year, session.trade_date.month)
    return registry.STRATEGIES[strategy.kind].management(strategy.typed_parameters(), spec)


def urgency(step: SessionStep) -> tuple[int, datetime]:
    """Return the key that sorts steps which are due together: what closes positions goes first."""
    return _URGENCY.index(Step(step.step)), step.due_at


def run(step: SessionStep, *, now: datetime) -> str:
    """Do what `step` asks for, return a note. Raises NotYet to be called again; what else fails is tried again too."""
    return _RUN[Step(step.step)](step, now)


def new_york(at: datetime) -> datetime:
    """Return `at` in the exchange's time."""
    return at.astimezone(ZoneInfo(NEW_YORK))


def _prepare(step: SessionStep, now: datetime) -> str:
    account = step.account
    ends = calendar.ends_on()
    if ends is None or (ends - step.session_date).days < LEAST_CALENDAR_DAYS:
        notifications.notify(
            "system",
            "The calendar runs out",
            account=account,
            body=f"It ends on {ends}; entries are refused from 14 days before. `manage.py prepare` extends it.",
            level="alert",
            key=f"calendar-ends-{ends}",
            now=now,
        )
    try:
        accounts.refresh(account, now=now)
        differences = reconciliation.reconcile(account, now=now)
    except BrokerError as error:
        raise NotYet(f"the venue does not answer: {error}") from error
    for strategy in account.strategies.filter(enabled=True):
        if contract := contracts.front(account.venue, strategy.symbol):
            hints.publish("normal.fetch_bars", contract_id=contract.pk)
    return f"{len(differences)} differences" if differences else "in agreement with the venue"


def _capture(step: SessionStep, now: datetime) -> str:
    contract, session = _contract(step), _session(step)
    try:
        found = bars.capture_range(contract, session, now=now)
    except bars.NotCovered:
        try:
            bars.fetch(contract, now=now)
            found = bars.capture_range(contract, session, now=now)
        except (bars.NotCovered, BrokerError) as error:
            raise NotYet(str(error)) from error
    low, high = contract.text(found.low), contract.text(found.high)
    return f"{low} – {high} from {found.bars} of {found.expected_bars} minutes"


def _cutoff(step: SessionStep, now: datetime) -> str:
    entries = Order.objects.filter(
        account=step.account, strategy=step.strategy, session_date=step.session_date, role=Role.ENTRY
    )
    return f"{_cancel(entries, 'entry cut-off', now)} entries cancelled"


def _flatten(step: SessionStep, now: datetime) -> str:
    if step.strategy is None:
        orders.request_flatten(step.account, reason="flat by the close", by="session plan", now=now)
        hints.publish("critical.flatten_due", account_id=step.account_id)
        return "requested"
    contract = _contract(step)
    entries = Order.objects.filter(account=step.account, strategy=step.strategy, role=Role.ENTRY)
    cancelled = _cancel(entries, "flat time", now)
    left = orders.flatten_strategy(step.account, step.strategy, contract, now=now)
    if left is None:
        raise NotYet("the venue does not answer")
    if left:
        raise NotYet(f"closing {left} {contract.symbol}")
    if working := entries.live().count():
        raise NotYet(f"{working} entries are being cancelled")
    return f"{cancelled} entries cancelled, no position"


def _verify(step: SessionStep, now: datetime) -> str:
    try:
        reading = snapshots.read(step.account, max_age=_SNAPSHOT_AGE, now=now)
    except BrokerError as error:
        raise NotYet(f"the venue does not answer: {error}") from error
    held = [position for position in reading.positions if position.quantity]
    if held or reading.orders:
        orders.request_flatten(step.account, reason="not flat after the flat time", by="session plan", now=now)
        hints.publish("critical.flatten_due", account_id=step.account_id)
        raise NotYet(f"{len(held)} positions and {len(reading.orders)} orders are still there")
    return "flat, no orders"


def _report(step: SessionStep, now: datetime) -> str:
    try:
        reconciliation.book_all(step.account, since=step.due_at - LATE_NEWS, now=now)
        closing = accounts.end_of_day(step.account, now=now)
    except BrokerError as error:
        raise NotYet(f"the venue does not answer: {error}") from error
    accounting.settle(step.account, step.session_date)
    difference = accounting.compare(closing, now=now) if closing else None
    reports.daily_report(step.account, now=now)
    return "sent" if difference is None else f"sent; {difference.difference:+,.2f} dollars are not explained"


_RUN: dict[Step, Callable[[SessionStep, datetime], str]] = {
    Step.PREPARE: _prepare,
    Step.CAPTURE: _capture,
    Step.CUTOFF: _cutoff,
    Step.FLATTEN: _flatten,
    Step.VERIFY: _verify,
    Step.REPORT: _report,
}


def _cancel(entries: OrderQuerySet, why: str, now: datetime) -> int:
    return sum(orders.request_cancel(order, by=why, now=now) for order in entries.live())


def _contract(step: SessionStep) -> Contract:
    if step.contract is None and step.strategy is not None:
        step.contract = contracts.front(step.account.venue, step.strategy.symbol)
        if step.contract is not None:
            SessionStep.objects.filter(pk=step.pk).update(contract=step.contract)
    if step.contract is None:
        raise NotYet("the venue lists no contract for it")
    return step.contract


def _session(step: SessionStep) -> Session:
    session = calendar.session_for(step.session_date)
    if session is None:
        raise NotYet(f"the calendar has no {step.session_date} any more")
    return session
