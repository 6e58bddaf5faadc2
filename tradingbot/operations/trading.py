"""Who may trade: halt, reduce only and resume, for one account and for all; every change leaves its record."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from market.sessions import trade_date_of
from risk import drawdown
from tradingbot.models import Account, Lock, OverallState, StateChange, TradingState
from tradingbot.operations import notifications, risk_states

log = logging.getLogger(__name__)

_RANK = {TradingState.ACTIVE: 0, TradingState.REDUCE_ONLY: 1, TradingState.HALTED: 2}
_LOCKS = {Lock.NONE: 0, Lock.DAILY_LOSS: 1, Lock.MAXIMUM_LOSS: 2}
_FIELDS = ("trading_state", "state_reason", "state_until", "lock", "lock_until")


def halt(
    account: Account,
    *,
    reason: str,
    by: str,
    now: datetime,
    until: datetime | None = None,
    state: TradingState = TradingState.HALTED,
    lock: Lock = Lock.NONE,
) -> bool:
    """Let no new entry leave, and have those that work withdrawn; stops, targets and exits still may leave.

    until   when it ends by itself; None: when a person resumes
    lock    the limit that was reached, which decides who may resume
    What holds already is never weakened: the stricter state, the later end and the graver lock stay. False if nothing
    of it is new.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        before = TradingState(account.trading_state)
        stricter, graver = _RANK[state] > _RANK[before], _LOCKS[lock] > _LOCKS[Lock(account.lock)]
        longer = account.state_until is not None and (until is None or until > account.state_until)
        if not (stricter or graver or longer):
            return False
        if graver:
            account.lock, account.lock_until = lock, until
        account.state_until = until if before == TradingState.ACTIVE or longer else account.state_until
        account.trading_state = state if stricter else before
        account.state_reason = reason[:300]
        account.save(update_fields=_FIELDS)
        record(account, before, account.trading_state, by=by, reason=reason, now=now, until=account.state_until)
        label = TradingState(account.trading_state).label
        notifications.notify(
            "risk", f"{account} {label}", account=account, body=f"{reason} (by {by})", level="alert", now=now
        )
    log.warning("%s %s by %s: %s", account, label, by, reason)
    return True


def resume(account: Account, *, by: str, now: datetime, reason: str = "", override: str = "") -> bool:
    """Let entries leave again. False if they may already.

    reason     why, required after a limit was reached
    override   the account's name, typed: lifts the lock of a daily loss limit before its time
    Raises ValueError that says what is missing: while a flatten is under way, without these words, or while the account
    is still at its maximum loss.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        if account.flatten_requested_at is not None:
            raise ValueError(f"{account} is being flattened; it can resume once it is seen flat")
        before = TradingState(account.trading_state)
        if before == TradingState.ACTIVE:
            return False
        _check_lock(account, now=now, reason=reason.strip(), override=override.strip())
        was = account.state_reason
        account.trading_state, account.state_reason, account.state_until = TradingState.ACTIVE, "", None
        account.lock, account.lock_until = Lock.NONE, None
        account.save(update_fields=_FIELDS)
        record(account, before, TradingState.ACTIVE, by=by, reason=reason or f"ends: {was}", now=now)
        body = f"by {by}{': ' if reason else ''}{reason}"
        notifications.notify("risk", f"{account} resumed", account=account, body=body, now=now)
    return True


def end_locks(*, now: datetime) -> int:
    """Make accounts active whose lock has run out. Returns how many."""
    due = Account.objects.exclude(trading_state=TradingState.ACTIVE).filter(
        state_until__lte=now, flatten_requested_at__isnull=True
    )
    return sum(resume(account, by="the clock", now=now) for account in due)


def overall() -> OverallState:
    """Return the state that binds every account."""
    return OverallState.objects.get_or_create(pk=1)[0]


def halt_all(*, reason: str, by: str, now: datetime, state: TradingState = TradingState.HALTED) -> bool:
    """Let no new entry leave on any account, until a person resumes all. False if that, or more, holds already."""
    return _set_overall(state, reason, by, now)


def resume_all(*, by: str, now: datetime, reason: str = "") -> bool:
    """End what binds every account; what binds a single one stays. False if nothing does."""
    return _set_overall(TradingState.ACTIVE, reason, by, now)


def record(
    account: Account | None,
    before: str,
    after: str,
    *,
    by: str,
    now: datetime,
    reason: str = "",
    until: datetime | None = None,
    kind: StateChange.Kind = StateChange.Kind.STATE,
) -> StateChange:
    """Keep a change of who may trade, in the transaction of the change; no account: of all."""
    return StateChange.objects.create(
        account=account,
        kind=kind,
        at=now,
        before=str(before)[:40],
        after=str(after)[:40],
        by=by[:120],
        reason=reason[:300],
        until=until,
    )


def still_lost(account: Account, *, now: datetime) -> str:
    """Return how far the account is at its maximum loss, empty if it is not. What is not known counts as lost."""
    positions = list(account.positions.exclude(quantity=0, broker_quantity=0).select_related("contract"))
    worth = risk_states.worth_of(account, positions, trade_date=trade_date_of(now))
    floor = risk_states.floor_of(account)
    if worth.equity is None or floor is None:
        return "its equity or its floor is not known"
    if drawdown.is_breached(equity=worth.equity, floor=floor):
        return f"its equity is ${worth.equity:,.2f}, the account is lost at ${floor:,.2f}"
    return ""


def _check_lock(account: Account, *, now: datetime, reason: str, override: str) -> None:
    match Lock(account.lock):
        case Lock.MAXIMUM_LOSS:
            if not reason:
                raise ValueError(f"{account} reached its maximum loss: a reason is required to resume it")
            if lost := still_lost(account, now=now):
                raise ValueError(f"{account} cannot resume: {lost}")
        case Lock.DAILY_LOSS if account.lock_until is None or now < account.lock_until:
            if override != account.name or not reason:
                ends = (
                    f"until {account.lock_until:%a %d %b %H:%M} UTC" if account.lock_until else "until a person says so"
                )
                raise ValueError(
                    f"{account} reached its daily loss limit and is locked {ends}: to lift that earlier, type its "
                    "name as the override and give a reason"
                )


def _set_overall(state: TradingState, reason: str, by: str, now: datetime) -> bool:
    with transaction.atomic():
        overall()
        row = OverallState.objects.select_for_update().get(pk=1)
        before = TradingState(row.trading_state)
        if before == state or (state != TradingState.ACTIVE and _RANK[state] < _RANK[before]):
            return False
        row.trading_state, row.by, row.at = state, by[:120], now
        row.reason = reason[:300] if state != TradingState.ACTIVE else ""
        row.save()
        record(None, before, state, by=by, reason=reason, now=now)
        title = "All accounts resumed" if state == TradingState.ACTIVE else f"All accounts {state.label}"
        level = "info" if state == TradingState.ACTIVE else "alert"
        notifications.notify("risk", title, body=f"{reason} (by {by})".strip(), level=level, now=now)
    log.warning("%s by %s: %s", title, by, reason)
    return True
