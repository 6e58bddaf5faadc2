"""Trades against the balance, to the cent: what they do not explain is a row that somebody has to look at."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.db import transaction
from django.db.models import F, Sum

from brokers.base import BrokerError, FillReport
from market.books import keep, owed_by_venue
from market.sessions import regular_session, trade_date_of
from tradingbot.models import Account, AccountingDifference, Balance, Fill, Position, Trade
from tradingbot.operations import notifications, payouts, trades, venues

log = logging.getLogger(__name__)

Cause = AccountingDifference.Cause

_CENT = Decimal("0.01")
_EXPLAINED = "what was booked since explains it"


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest balance before a session's end that our fills explained; dollars."""

    session_date: date
    balance: Decimal
    booked: Decimal


def settle(account: Account, session_date: date) -> None:
    """Cross what strategies hold against each other in a flat account at the end of a session."""
    for pk in account.positions.values_list("pk", flat=True):
        with transaction.atomic():
            position = Position.objects.select_for_update(of=("self",)).select_related("contract").get(pk=pk)
            trades.rebuild(position, ended=session_date)


def compare(closing: Balance, *, now: datetime) -> AccountingDifference | None:
    """Hold the change of the balance up to the end of a session against the trades; None if they agree.

    Compared is the time since the newest end of day that was explained: a fill that is booked late closes an older
    difference by itself. Without any the session's own start is taken; without that there is nothing to compare yet.
    """
    account, day = closing.account, closing.session_date
    booked = booked_until(account, day)
    Balance.objects.filter(pk=closing.pk).update(booked=booked)
    anchor = _anchor(account, day)
    if anchor is None:
        return None
    expected, seen = booked - anchor.booked, closing.balance - anchor.balance
    gap = _cents(seen + payouts.between(account, anchor.session_date, day) - expected)
    if abs(gap) == _CENT and (booked % _CENT or anchor.booked % _CENT):
        gap = Decimal(0)  # ticks that are worth fractions of a cent: the venue tells whole cents
    open_ = AccountingDifference.objects.filter(account=account, closed_at=None, session_date__gt=anchor.session_date)
    if not gap:
        open_.update(closed_at=now, closed_by="accounting", reason=_EXPLAINED)
        return None
    rest = gap - sum(open_.exclude(session_date=day).values_list("difference", flat=True), Decimal(0))
    if not rest:
        return None
    cause, detail = _cause(closing, anchor.session_date, rest, now)
    figures = {"at": now, "expected": _cents(expected), "seen": seen, "difference": rest, "cause": cause}
    with transaction.atomic():
        row, new = AccountingDifference.objects.get_or_create(
            account=account, session_date=day, defaults={**figures, "detail": detail}
        )
        if not new and row.is_open:
            AccountingDifference.objects.filter(pk=row.pk).update(**figures, detail=detail)
            row.refresh_from_db()
        if row.is_open:
            _tell(row, now)
    return row


def close(difference: AccountingDifference, *, reason: str, by: str, now: datetime) -> None:
    """Take a difference as explained by a person. Raises ValueError without a reason, and if it is closed already."""
    if not reason.strip():
        raise ValueError("write why the difference is explained")
    changed = AccountingDifference.objects.filter(pk=difference.pk, closed_at=None).update(
        closed_at=now, closed_by=by, reason=reason.strip()
    )
    if not changed:
        raise ValueError(f"{difference} was closed already")


def booked_until(account: Account, day: date) -> Decimal:
    """Return what our trades have changed the balance by, up to the end of a session, in dollars; not rounded.

    Where something is still open it is what the venue has realised and taken: against the average, costs at once.
    """
    found = Trade.objects.filter(account=account, session_date__lte=day)
    moves = (
        found.order_by()
        .values("contract__tick_value", "contract__tick_size")
        .annotate(
            moved=Sum((F("exit_price") - F("entry_price")) * F("direction") * F("quantity")),
            costs=Sum(F("fees") + F("commissions")),
        )
    )
    total = sum(
        (row["moved"] * row["contract__tick_value"] / row["contract__tick_size"] - row["costs"] for row in moves),
        Decimal(0),
    )
    for position in account.positions.select_related("contract"):
        total += _open_part(position, day)
    return total.quantize(Decimal("0.0001"))


def _open_part(position: Position, day: date) -> Decimal:
    """Return what the venue has realised more than our trades, while contracts are open at the end of `day`."""
    rows = [row for row in trades.unsettled(position) if row.owned.session <= day]
    kept = keep((row.owned for row in rows), ended=day)
    if not kept.quantities:
        return Decimal(0)
    point_value = position.contract.spec.point_value
    closed = sum((one.turn.net(point_value) for one in kept.trades), Decimal(0))
    return owed_by_venue((row.execution for row in rows), point_value) - closed


def _anchor(account: Account, day: date) -> Anchor | None:
    first = account.differences.filter(closed_at=None, session_date__lt=day).order_by("session_date").first()
    ends = account.balances.filter(end_of_day=True, booked__isnull=False, session_date__lt=day)
    if first is not None:
        ends = ends.filter(session_date__lt=first.session_date)
    last = ends.order_by("-session_date").first()
    if last is not None and last.booked is not None:
        return Anchor(last.session_date, last.balance, last.booked)
    if first is not None:  # of the first day of all: it began with what its own row was compared with
        closing = account.balances.get(end_of_day=True, session_date=first.session_date)
        began = Anchor(
            first.session_date - timedelta(days=1), closing.balance - first.seen, closing.booked or Decimal(0)
        )
        return replace(began, booked=began.booked - first.expected)
    if account.session_date == day and account.session_start_balance is not None:
        before = day - timedelta(days=1)
        paid = payouts.between(account, before, day)
        return Anchor(before, account.session_start_balance + paid, booked_until(account, before))
    return None


def _cause(closing: Balance, after: date, gap: Decimal, now: datetime) -> tuple[Cause, str]:
    """Return what most likely explains a difference, and what speaks for it, in one sentence."""
    account, until = closing.account, closing.session_date
    try:
        since = regular_session(after).closes_at
        reports = venues.connect(account.login).fills(account.broker_account_id, since, now)
    except BrokerError as error:
        log.warning("%s: executions not read, the cause of %s is a guess: %s", account, gap, error)
        reports = []
    executed = [one for one in reports if not one.voided and after < trade_date_of(one.at) <= until]
    mine = Fill.objects.filter(account=account, session_date__gt=after, session_date__lte=until)
    known = set(mine.values_list("broker_trade_id", flat=True))
    if missing := [one for one in executed if one.id not in known]:
        return Cause.MISSING_FILL, f"{_listed(missing)} not booked"
    if voided := list(mine.filter(voided=True).values_list("broker_trade_id", flat=True)):
        return Cause.VOIDED, f"voided: {', '.join(map(str, voided[:10]))}"
    if estimated := mine.filter(estimated=True).count():
        return Cause.COSTS, f"the venue did not tell the commissions of {estimated} execution(s): our table was taken"
    if payouts.is_payout(account, -gap, before=closing.balance - gap, on=until):
        return Cause.PAYOUT, "all executions agree; money left an account from which the firm pays out"
    return Cause.ADJUSTMENT, f"all {len(executed)} execution(s) agree; ask the firm what it booked"


def _listed(reports: Sequence[FillReport]) -> str:
    shown = ", ".join(f"{one.id} ({one.side.name.lower()} {one.quantity} {one.contract_id})" for one in reports[:5])
    return shown + (f" and {len(reports) - 5} more" if len(reports) > 5 else "")


def _tell(row: AccountingDifference, now: datetime) -> None:
    notifications.notify(
        "risk",
        f"Balance not explained: {row.account}",
        account=row.account,
        body=f"Suspected: {row.get_cause_display()}. {row.detail}. Close it with a reason under Differences.",
        facts={
            "Session": str(row.session_date),
            "Difference": f"{row.difference:+,.2f}",
            "Booked": f"{row.expected:+,.2f}",
            "Balance": f"{row.seen:+,.2f}",
        },
        level="alert",
        key=f"difference:{row.account_id}:{row.session_date}",
        now=now,
    )


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
