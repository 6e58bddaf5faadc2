"""The trading permit as people see it: what must stand before any entry, told once when it goes and when it is back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F

from market.sessions import flat_by
from risk import margins, permit
from risk.exposures import tally
from risk.verdicts import Report, Rule
from tradingbot.models import Account, Strategy
from tradingbot.operations import calendar, contracts, notifications, risk_states, venues

_BEFORE = timedelta(hours=1)


def read(account: Account, *, now: datetime) -> Report:
    """Return every rule of the account's permit; prices are those of the products that its strategies trade.

    With several strategies the one whose prices are oldest speaks.
    """
    rows = Strategy.objects.filter(account=account, enabled=True).order_by("pk")
    watched = [
        contracts.front(account.venue, symbol) for symbol in dict.fromkeys(rows.values_list("symbol", flat=True))
    ]
    reports = [
        permit.permit(risk_states.risk_state(account, contract, None, now=now), contract.symbol)
        for contract in watched
        if contract is not None
    ]
    if not reports:
        return permit.permit(risk_states.risk_state(account, None, None, now=now))
    return next((report for report in reports if report.code != "allowed"), reports[0])


def rules(account: Account, *, now: datetime) -> tuple[Rule, ...]:
    """Return the permit's rules, each with value, limit and verdict."""
    return tuple(read(account, now=now).rules)


@dataclass(frozen=True, slots=True)
class Bound:
    """Margin in dollars, and as percent of equity; None where it is not known."""

    dollars: Decimal | None
    percent: Decimal | None


def margin(account: Account, *, now: datetime) -> Bound:
    """Return the margin that everything open and working of the account binds."""
    state = risk_states.risk_state(account, None, None, now=now)
    bound = margins.used(tally(state.exposures, slippage=state.slippage_ticks).symbols, now.date())
    if bound is None or state.equity is None or state.equity <= 0:
        return Bound(bound, None)
    return Bound(bound, bound * 100 / state.equity)


def watch(account: Account, *, now: datetime) -> str:
    """Tell once that entries of the account wait, and why, and once that they may leave again; returns what is missing.

    Looked at while a session takes entries; before the first comparison with the venue nothing is missed. A token that
    would not outlive the session is exchanged first, from an hour before its open on.
    """
    _keep_token(account, now)
    session = calendar.current(now)
    if account.reconciled_at is None or session is None:
        return account.permit_missing
    state = risk_states.risk_state(account, None, None, now=now)
    if not state.entries_until or not session.opens_at <= now < state.entries_until:
        return account.permit_missing
    report = read(account, now=now)
    missing = " ".join(rule.note for rule in report.rules if rule.ok is False)[:200]
    codes = report.code if missing else ""
    if bool(missing) == bool(account.permit_missing):
        return missing
    if missing and account.positions.exclude(quantity=F("broker_quantity")).exists():
        return missing  # between a fill and the next look at the positions; one that lasts halts the account
    with transaction.atomic():
        mine = Account.objects.filter(pk=account.pk, permit_missing=account.permit_missing)
        if not mine.update(permit_missing=missing):
            return missing
        notifications.notify(
            "risk",
            f"{account}: entries wait" if missing else f"{account}: entries may leave",
            account=account,
            body=f"{missing} ({codes})" if missing else "What was missing is there again.",
            level="alert" if missing else "info",
            now=now,
        )
    return missing


def _keep_token(account: Account, now: datetime) -> None:
    session = next(iter(calendar.upcoming(now)), None)
    if session is None or not session.opens_at - _BEFORE <= now < flat_by(session):
        return
    until = risk_states.risk_state(account, None, None, now=now).token_until
    if until is not None and until <= flat_by(session):
        venues.renew_token(account.login)
