"""Accounts as the venue lists them: found, read every minute, held against the firm's limits, closed for the day."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from brokers.base import AccountReport, BrokerError, FillReport
from market.sessions import Session, firm_limit, regular_session, trade_date_of
from risk import drawdown, limits, rulebook
from tradingbot.models import Account, Balance, CalendarDay, Contract, Fill, Login, Stage
from tradingbot.models.accounts import Venue
from tradingbot.operations import (
    costs,
    limits_watch,
    notifications,
    payouts,
    reconciliation,
    risk_states,
    rules,
    snapshots,
    venues,
)

log = logging.getLogger(__name__)

_HISTORY = timedelta(days=180)  # how far back executions are asked for when an account is first seen
_BALANCE_EVERY = timedelta(minutes=1)
_BALANCE_AGE = timedelta(seconds=limits.BALANCE_AGE)
_AHEAD = timedelta(minutes=1)  # what is executed while we ask, by a clock of the venue that may be ahead of ours


def discover(login: Login, *, now: datetime) -> list[Account]:
    """Make our accounts those that the venue lists for `login`; returns them. Raises BrokerError if it cannot be read.

    A new one gets stage and limits from the rulebook by its name; one that is no longer listed may not be traded. After
    a reset the firm gives a new id: that is a new account here, and the old one ends.
    """
    reports = venues.connect(login).accounts()
    known = {account.broker_account_id: account for account in login.accounts.select_related("login")}
    found = []
    for report in reports:
        account = known.get(report.id)
        found.append(_listed(account, report, now) if account else _add(login, report, now))
        _leave_alone(found[-1], now)
    for account in known.values():
        if account.broker_account_id not in {report.id for report in reports}:
            _vanished(account, now)
    _select(found)
    return found


def refresh(account: Account, *, now: datetime) -> None:
    """Read the account's balance, keep it, and act on the limits. Raises BrokerError if the venue cannot be read.

    A balance is kept with the fills that made it: what was executed before it was read is booked first. One that does
    not agree with them even then is kept when ours has become too old. So is one in which an Express account lacks what
    may be a payout, unless the next read explains it.
    The first read of a session also finds the balance that the session began with, from the executions since then.
    """
    today = trade_date_of(now)
    begins = account.session_date != today or account.session_start_balance is None
    look = _look(account, now)
    steady = False
    if look.report is not None and (begins or not look.agrees):
        if not look.agrees:
            reconciliation.book_all(account, since=_unread_since(account, now), now=now)
        before, look = look.executions, _look(account, now)
        steady = before == look.executions  # nothing was executed around the read of the balance
    report = look.report
    if report is None:
        _vanished(account, now)
        return
    with transaction.atomic():
        row = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        if begins:
            rules.apply(row, on=today, now=now)  # what holds from this day on
        if begins and steady:  # otherwise the next read tries again, from the session that was read last
            start = _begin_session(row, report.balance, look.executions, today, now)
            Account.objects.filter(pk=row.pk).update(session_date=today, session_start_balance=start)
        is_old = row.balance_read_at is None or look.asked_at - row.balance_read_at > _BALANCE_AGE
        kept = look.agrees or is_old
        if not begins and (paid := _missing(row, report.balance, look, today)):
            if is_old or report.balance == row.balance:
                payouts.keep(row, paid, session_date=today, now=now)
                Account.objects.filter(pk=row.pk).update(session_start_balance=F("session_start_balance") - paid)
            else:
                kept = False  # the venue may still list executions that explain it
        figures = {"balance": report.balance, "balance_at": now, "balance_read_at": look.asked_at} if kept else {}
        Account.objects.filter(pk=row.pk).update(can_trade=report.can_trade and report.visible, **figures)
        account.refresh_from_db()
        if kept:
            _keep_balance(account, report.balance, now)
    limits_watch.check(account, now=now)


def last_ended(now: datetime) -> Session | None:
    """Return the newest session whose firm's limit to be flat has passed, None if the calendar knows none."""
    rows = CalendarDay.objects.filter(opens_at__lte=now).order_by("-trade_date")[:2]
    return next((row.session for row in rows if firm_limit(row.session) <= now), None)


def end_of_day(account: Account, *, now: datetime) -> Balance | None:
    """Keep the balance with which the newest ended session closed; the floor follows it. None when it is not known.

    May be called again, and late: once the next session has begun, the balance that it began with is the one.
    """
    ended = last_ended(now)
    if ended is None:
        return None
    if trade_date_of(now) == ended.trade_date:
        refresh(account, now=now)
    with transaction.atomic():
        row = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        balance = row.balance if trade_date_of(now) == ended.trade_date else None
        if row.session_date is not None and row.session_date > ended.trade_date:
            balance = row.session_start_balance
            if balance is not None:
                balance += payouts.between(row, ended.trade_date, row.session_date)
        if balance is None:
            return None
        if row.highest_eod_balance is not None:
            row.highest_eod_balance = max(row.highest_eod_balance, balance)
            row.save(update_fields=["highest_eod_balance"])
        closing, _ = Balance.objects.update_or_create(
            account=row,
            session_date=ended.trade_date,
            end_of_day=True,
            defaults={"at": now, "balance": balance, "open_profit": Decimal(0), "floor": risk_states.floor_of(row)},
        )
    account.refresh_from_db()
    return closing


def _add(login: Login, report: AccountReport, now: datetime) -> Account:
    stage, size, has_daily_limit = rulebook.infer(report.name)
    ended: dict[date, Decimal] = {}
    account = Account(
        login=login,
        broker_account_id=report.id,
        name=report.name,
        stage=stage,
        size=size,
        has_daily_loss_limit=has_daily_limit,
        can_trade=report.can_trade and report.visible,
        balance=report.balance,
        balance_at=now,
    )
    if rules.apply(account, on=trade_date_of(now), now=now):
        ended = _find_history(account, report, now)
    try:
        with transaction.atomic():
            account.save()
            _keep_ended(account, ended)
    except IntegrityError:  # another process has found it meanwhile
        return Account.objects.select_related("login").get(login=login, broker_account_id=report.id)
    notifications.notify(
        "system",
        f"Account found: {account}",
        account=account,
        body=_introduction(account),
        level="info" if risk_states.floor_of(account) is not None else "warning",
        key=f"account-found:{account.pk}",
        now=now,
    )
    return account


def _find_history(account: Account, report: AccountReport, now: datetime) -> dict[date, Decimal]:
    """Set the highest end-of-day balance if executions explain the balance to the cent, else leave it unknown.

    An account without history of which we can be sure has no floor, and no floor means no entries. A practice account
    cannot be lost at the firm: its floor starts from what it holds. Returns the balances of the days that are known,
    from the day before the first trade on; nothing where the history is not proven.
    """
    try:
        fills = venues.connect(account.login).fills(report.id, now - _HISTORY, now)
    except BrokerError as error:
        log.warning("%s: the history of %s could not be read: %s", account.login, report.name, error)
        return {}
    today = trade_date_of(now)
    before, ended = drawdown.end_of_day_balances(report.balance, _results(fills), today=today)
    if before == account.start_balance:
        account.highest_eod_balance = max((before, *ended.values()))
        return {_day_before(min(ended, default=today)): before, **ended}
    if account.stage == Stage.PRACTICE:
        account.start_balance = account.highest_eod_balance = report.balance
        log.info("%s: a practice account with a history of its own, its floor starts at %s", account, report.balance)
        return {_day_before(today): report.balance}
    return {}


def _keep_ended(account: Account, ended: Mapping[date, Decimal]) -> None:
    """Keep the balances of days that ended before we looked; what is kept already stays."""
    Balance.objects.bulk_create(
        (
            Balance(
                account=account,
                session_date=day,
                at=regular_session(day).closes_at,
                balance=balance,
                open_profit=Decimal(0),
                end_of_day=True,
            )
            for day, balance in sorted(ended.items())
        ),
        ignore_conflicts=True,
    )


def _day_before(day: date) -> date:
    return day - timedelta(days=3 if day.weekday() == 0 else 1)


def _introduction(account: Account) -> str:
    if account.maximum_loss is None:
        return (
            f"Its name does not tell stage and size ({account.get_stage_display()}): set them in the admin before it "
            "can be traded; the rulebook has the limits."
        )
    if account.highest_eod_balance is None:
        return (
            "Its history could not be proven: set its highest end-of-day balance in the admin (the firm's dashboard "
            "shows it) before it can be traded."
        )
    limit = f", daily loss limit ${account.daily_loss_limit:,.0f}" if account.daily_loss_limit else ""
    return f"{account.get_stage_display()}, maximum loss ${account.maximum_loss:,.0f}{limit}, {account.max_lots} lots."


def _listed(account: Account, report: AccountReport, now: datetime) -> Account:
    """Take over what the venue says of an account that we know."""
    before = account.can_trade, account.name, account.highest_eod_balance
    account.can_trade, account.name = report.can_trade and report.visible, report.name
    if account.highest_eod_balance is None and account.maximum_loss is not None:
        _keep_ended(account, _find_history(account, report, now))
    if before != (account.can_trade, account.name, account.highest_eod_balance):
        account.save(update_fields=["can_trade", "name", "start_balance", "highest_eod_balance"])
    return account


def is_ours(account: Account) -> bool:
    """Return whether PROJECTX_ACCOUNTS lets us watch and trade an account; it says nothing of paper accounts."""
    names = settings.PROJECTX_ACCOUNTS if account.login.venue == Venue.PROJECTX else []
    return not names or any(account.name.casefold().startswith(name.casefold()) for name in names)


def _leave_alone(account: Account, now: datetime) -> None:
    """Switch an account off that is not on the list of those that are ours, once nothing is open on it."""
    if is_ours(account) or not (account.enabled or account.selected):
        return
    if account.positions.exclude(quantity=0, broker_quantity=0).exists() or account.orders.live().exists():
        return  # somebody has to look after it
    account.enabled = account.selected = False
    account.save(update_fields=["enabled", "selected"])
    notifications.notify(
        "system",
        f"Account left alone: {account}",
        account=account,
        body="PROJECTX_ACCOUNTS does not name it: it is neither watched nor traded.",
        now=now,
    )


def _vanished(account: Account, now: datetime) -> None:
    if not account.can_trade and not account.selected:
        return
    Account.objects.filter(pk=account.pk).update(can_trade=False, selected=False)
    account.refresh_from_db()
    notifications.notify(
        "risk",
        f"Account gone: {account}",
        account=account,
        body="The venue no longer lists it; nothing is sent on it. After a reset the firm gives a new account: move "
        "the strategies to it in the admin.",
        level="alert",
        key=f"account-gone:{account.pk}:{account.broker_account_id}:{trade_date_of(now)}",
        now=now,
    )


def _select(found: Sequence[Account]) -> None:
    """Make the first account that may trade the one that commands use, unless a person chose one."""
    with transaction.atomic():
        if not found or Account.objects.filter(selected=True).exists():
            return
        ours = [account for account in found if is_ours(account)]
        first = next((account for account in ours if account.can_trade), ours[0] if ours else None)
        if first is None:
            return
        first.selected = True
        first.save()


@dataclass(frozen=True, slots=True)
class _Look:
    """What the venue says of an account, None if it does not list it, and what was executed until after that.

    asked_at   machine time before it was asked
    agrees     everything executed was booked by then: the balance is of the same moment as our positions
    """

    asked_at: datetime
    report: AccountReport | None
    executions: list[FillReport]
    agrees: bool


def _look(account: Account, now: datetime) -> _Look:
    """Read the balance, then what was executed since the session in which the account was last read began."""
    broker, asked_at = venues.connect(account.login), snapshots.machine_now()
    report = next((item for item in broker.accounts() if item.id == account.broker_account_id), None)
    if report is None:
        return _Look(asked_at, None, [], agrees=False)
    executions = broker.fills(account.broker_account_id, _unread_since(account, now), now + _AHEAD)
    known = Contract.objects.filter(venue=account.venue, broker_contract_id__in={one.contract_id for one in executions})
    bookable = set(known.values_list("broker_contract_id", flat=True))
    booked = Fill.objects.filter(
        account=account, broker_trade_id__in=[one.id for one in executions], booked_at__lt=asked_at, voided=False
    )
    counted = {one.id for one in executions if not one.voided and one.contract_id in bookable}
    return _Look(asked_at, report, executions, set(booked.values_list("broker_trade_id", flat=True)) == counted)


def _unread_since(account: Account, now: datetime) -> datetime:
    """Return when the session began in which the account was last read."""
    return regular_session(account.session_date or trade_date_of(now)).opens_at


def _results(fills: Sequence[FillReport]) -> list[tuple[date, Decimal]]:
    """Return session date and net dollars of each execution that counts; what the venue leaves out is estimated."""
    counted = [fill for fill in fills if not fill.voided]
    rows = Contract.objects.filter(broker_contract_id__in={fill.contract_id for fill in counted})
    symbols = dict(rows.values_list("broker_contract_id", "symbol"))
    results = []
    for fill in counted:
        paid = costs.of(fill, symbols.get(fill.contract_id, ""))
        results.append((trade_date_of(fill.at), (fill.profit or Decimal(0)) - paid.fees - paid.commissions))
    return results


def _begin_session(
    account: Account, balance: Decimal, fills: Sequence[FillReport], today: date, now: datetime
) -> Decimal:
    """Return what the session began with; the floor follows the days since the account was last read.

    Money that was paid out since the last of them left before this session: those days ended with it.
    """
    results = _results(fills)
    closed = account.balances.filter(end_of_day=True, session_date__lt=today).order_by("-session_date").first()
    start = balance - sum((net for day, net in results if day >= today), Decimal(0))
    if account.highest_eod_balance is None:
        return start
    if closed is not None:
        before = closed.balance + sum((net for day, net in results if closed.session_date < day < today), Decimal(0))
        paid = payouts.between(account, closed.session_date, today)
        if payouts.is_payout(account, before - paid - start, before=before - paid, on=today):
            payouts.keep(account, before - paid - start, session_date=today, now=now)
    _, counted = drawdown.end_of_day_balances(balance, results, today=today)
    ended = {day: left + payouts.between(account, day, today) for day, left in counted.items()}
    _keep_ended(account, ended)
    highest = max(account.highest_eod_balance, start, *ended.values())
    if highest != account.highest_eod_balance:
        account.highest_eod_balance = highest
        account.save(update_fields=["highest_eod_balance"])
    return start


def _missing(account: Account, balance: Decimal, look: _Look, today: date) -> Decimal:
    """Return what left an Express account inside the session and can be a payout, 0 for nothing of that kind."""
    start = account.session_start_balance
    if account.stage != Stage.EXPRESS or account.highest_eod_balance is None or start is None or not look.agrees:
        return Decimal(0)
    if any(one.voided for one in look.executions) or account.positions.exclude(quantity=F("broker_quantity")).exists():
        return Decimal(0)
    before = start + sum((net for _, net in _results(look.executions)), Decimal(0))
    amount = before - balance
    return amount if payouts.is_payout(account, amount, before=before, on=today) else Decimal(0)


def _keep_balance(account: Account, balance: Decimal, now: datetime) -> None:
    """Write a Balance row when the balance changed, and once a minute of market time."""
    last = account.balances.filter(end_of_day=False).first()
    if last and last.balance == balance and timedelta() <= now - last.at < _BALANCE_EVERY:
        return
    positions = list(account.positions.exclude(quantity=0).select_related("contract"))
    today = trade_date_of(now)
    worth = risk_states.worth_of(account, positions, trade_date=today)
    Balance.objects.create(
        account=account,
        at=now,
        session_date=today,
        balance=balance,
        open_profit=worth.open_profit or Decimal(0),
        floor=risk_states.floor_of(account),
    )
