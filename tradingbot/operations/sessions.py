"""What is to be done in a session: planned as rows, claimed one by one."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from billiard.exceptions import SoftTimeLimitExceeded  # type: ignore[import-untyped]  # guard has no Celery
from django.db import DatabaseError, transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from market.sessions import Session, flat_by, trade_date_of, tradeable
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Position, SessionStep, Strategy
from tradingbot.operations import notifications, session_steps
from tradingbot.operations.calendar import current, ensure_calendar, session_for, upcoming

log = logging.getLogger(__name__)

__all__ = [
    "contracts_in_use",
    "current",
    "due",
    "ensure_calendar",
    "plan",
    "plan_missing",
    "session_for",
    "strategies_on",
]

_CLAIM_IS_OVER = timedelta(seconds=60)  # machine time after which a claimed step is taken again: its process died
State = SessionStep.State


def plan(account: Account, *, now: datetime) -> int:
    """Write the steps of the open or next session; after its flat time of the one after too. Returns how many are new.

    A step that is there stays as it is: whoever plans again, after a restart or a change of strategy, adds what lacks.
    What was over before it was planned is left out, but for a capture that the session may still wait for: a start
    after 09:30 is told.
    """
    rows = [
        row
        for session in _planned(now)
        for row in session_steps.timetable(account, session)
        if row.deadline >= now or (row.step == SessionStep.Step.CAPTURE and now < flat_by(session))
    ]
    before = SessionStep.objects.filter(account=account).count()
    SessionStep.objects.bulk_create(rows, ignore_conflicts=True)
    return SessionStep.objects.filter(account=account).count() - before


def plan_missing(*, now: datetime) -> int:
    """Plan the sessions of every account that has none, or a strategy without steps. Returns how many steps are new."""
    planned = _planned(now)
    accounts = Account.objects.filter(enabled=True, login__enabled=True).prefetch_related("strategies")
    known = set(
        SessionStep.objects.filter(session_date__in=[session.trade_date for session in planned])
        .values_list("account_id", "strategy_id", "session_date")
        .distinct()
    )
    lacking = [
        account
        for account in accounts
        for session in planned
        for owner in [None, *(s.pk for s in account.strategies.all() if s.enabled and tradeable(session))]
        if (account.pk, owner, session.trade_date) not in known
    ]
    return sum(_planned_or_told(account, planned[-1], now) for account in dict.fromkeys(lacking))


def _planned_or_told(account: Account, session: Session, now: datetime) -> int:
    """Plan for `account`; what goes wrong is told once, and is no reason for the others to miss their steps."""
    try:
        with transaction.atomic():
            return plan(account, now=now)
    except (DatabaseError, LookupError, ValueError) as error:
        told = notifications.notify(
            "system",
            f"{account}: the session cannot be planned",
            account=account,
            body=f"{type(error).__name__}: {error}"[:1000],
            level="alert",
            key=f"plan-failed-{account.pk}-{session.trade_date}",
            now=now,
        )
        if told:
            log.exception("%s: the session cannot be planned", account)
        return 0


def due(*, now: datetime, left_for: timedelta = timedelta()) -> int:
    """Claim and run what is due; past its deadline a step is MISSED, with an alert. Returns how many ran.

    left_for   market time for which a due step is left to other processes
    """
    abandoned = Q(state=State.RUNNING, claimed_at__lt=Now() - _CLAIM_IS_OVER)
    watched = Q(account__enabled=True, account__login__enabled=True)
    steps = SessionStep.objects.filter(watched, Q(state=State.PENDING) | abandoned, due_at__lte=now - left_for)
    ran = 0
    for step in sorted(steps.select_related("account__login", "strategy", "contract"), key=session_steps.urgency):
        if now > step.deadline:
            _miss(step, now)
        elif _claim(step):
            point(f"{step.step}.after_claim")
            ran += _run(step, now)
            point(f"{step.step}.after_step")
    return ran


def strategies_on(contract: Contract, *, now: datetime) -> list[Strategy]:
    """Return the enabled strategies that trade `contract` in this session: the plan's month, else the front."""
    fixed = _captures(now).filter(strategy=OuterRef("pk")).order_by("pk").values("contract")[:1]
    rows = Strategy.objects.filter(
        enabled=True,
        symbol=contract.symbol,
        account__enabled=True,
        account__login__enabled=True,
        account__login__venue=contract.venue,
    ).annotate(fixed=Subquery(fixed))
    front = contract.pk if contract.active else None
    return [row for row in rows.select_related("account__login").order_by("pk") if (row.fixed or front) == contract.pk]


def contracts_in_use(*, now: datetime) -> list[Contract]:
    """Return the contracts whose bars are wanted: those of enabled strategies and those of open positions."""
    traded = Strategy.objects.filter(enabled=True, account__enabled=True, account__login__enabled=True)
    fronts = Q(pk__in=[])
    for venue, symbol in set(traded.values_list("account__login__venue", "symbol")):
        fronts |= Q(venue=venue, symbol=symbol, active=True)
    held = Position.objects.exclude(quantity=0, broker_quantity=0).values("contract")
    wanted = fronts | Q(pk__in=set(_planned_contracts(now).values())) | Q(pk__in=held)
    return list(Contract.objects.filter(wanted).order_by("pk"))


def _planned_contracts(now: datetime) -> dict[int, int]:
    """Return by strategy the contract that the plan of this session fixes."""
    return dict(_captures(now).filter(strategy__enabled=True).values_list("strategy_id", "contract_id"))


def _captures(now: datetime) -> QuerySet[SessionStep]:
    return SessionStep.objects.filter(
        session_date=trade_date_of(now), step=SessionStep.Step.CAPTURE, contract__isnull=False
    )


def _planned(now: datetime) -> list[Session]:
    sessions = upcoming(now, 2)
    return sessions if sessions and now >= flat_by(sessions[0]) else sessions[:1]


def _claim(step: SessionStep) -> bool:
    """Take the step for this process: the compare-and-set that lets it take effect once."""
    claimed = SessionStep.objects.filter(pk=step.pk, state=step.state, attempts=step.attempts).update(
        state=State.RUNNING, claimed_at=Now(), attempts=F("attempts") + 1
    )
    step.attempts += 1
    step.state = State.RUNNING
    return bool(claimed)


def _run(step: SessionStep, now: datetime) -> bool:
    """Run a claimed step; what it could not do yet goes back to PENDING until the deadline."""
    try:
        note = session_steps.run(step, now=now)
    except SoftTimeLimitExceeded:
        _release(step, "out of time")
        raise
    except session_steps.NotYet as reason:
        _release(step, str(reason))
        return False
    except Exception as error:
        log.exception("%s failed", step)
        _release(step, f"{type(error).__name__}: {error}")
        notifications.notify(
            "system",
            f"{step.get_step_display()} failed and is tried again",
            account=step.account,
            body=f"{type(error).__name__}: {error}"[:1000],
            level="alert",
            key=f"step-failed-{step.pk}",
            now=now,
        )
        return False
    point(f"{step.step}.before_done")
    mine = SessionStep.objects.filter(pk=step.pk, state=State.RUNNING, attempts=step.attempts)
    return bool(mine.update(state=State.DONE, done_at=now, note=note[:300]))


def _release(step: SessionStep, reason: str) -> None:
    mine = SessionStep.objects.filter(pk=step.pk, state=State.RUNNING, attempts=step.attempts)
    mine.update(state=State.PENDING, note=reason[:300])


def _miss(step: SessionStep, now: datetime) -> None:
    late = f"{step.get_step_display()} was due {_new_york(step.due_at)} and possible until {_new_york(step.deadline)}"
    why = step.note or ("nobody ran it" if not step.attempts else "its process died")
    with transaction.atomic():
        missed = SessionStep.objects.filter(pk=step.pk, state=step.state, attempts=step.attempts).update(
            state=State.MISSED, done_at=now, note=f"missed: {why}"[:300]
        )
        if missed and (meaning := session_steps.MATTER.get(SessionStep.Step(step.step))):
            notifications.notify(
                "system",
                f"Missed: {step.get_step_display()}",
                account=step.account,
                body=f"{late} New York; {why}. {meaning}"[:1000],
                level="alert",
                key=f"step-missed-{step.pk}",
                now=now,
            )


def _new_york(at: datetime) -> str:
    return f"{session_steps.new_york(at):%H:%M}"
