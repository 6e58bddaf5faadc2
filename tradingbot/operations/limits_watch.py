"""The firm's loss limits and the trader's own, held against the account: warn on the way, stop when one is reached."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q

from market.orders import LIVE
from market.sessions import trade_date_of
from risk import drawdown, personal
from tradingbot.models import Account, CalendarDay, Lock, Notification, PersonalRules
from tradingbot.operations import notifications, orders, risk_states, trading

_WARN_AT = (90, 70, 50)  # percent of a limit


def check(account: Account, *, now: datetime, worth: risk_states.Worth | None = None) -> str:
    """Compare equity and the day's result with the limits; returns why it was stopped, empty if it was not.

    worth   what it is worth; by default the balance with what was booked since, and open profit at the newest bars
    A limit of the firm that is reached halts the account and has it flattened: the maximum loss until a person resumes,
    the daily loss until the next session opens. A personal limit halts until then, and flattens if it is to. None of it
    needs the rulebook: the account's row has its limits.
    """
    positions, moved = risk_states.holdings(account)
    worth = worth or risk_states.worth_of(account, positions, trade_date=trade_date_of(now), moved=moved)
    floor = risk_states.floor_of(account)
    limit = account.daily_loss_limit
    until = None
    reason = ""
    lock = Lock.MAXIMUM_LOSS
    if worth.equity is not None and floor is not None and drawdown.is_breached(equity=worth.equity, floor=floor):
        reason = f"Maximum loss reached: equity ${worth.equity:,.2f}, floor ${floor:,.2f}"
    elif worth.day_profit is not None and drawdown.is_day_lost(day_profit=worth.day_profit, daily_loss_limit=limit):
        reason = f"Daily loss limit reached: {worth.day_profit:+,.2f} of {-(limit or 0):+,.2f} dollars"
        until, lock = _next_open(now), Lock.DAILY_LOSS
    flatten = bool(reason)
    if not reason:
        reason, flatten = _personal(account, worth.day_profit, now)
        until, lock = _next_open(now) if reason else None, Lock.NONE
    if reason:
        halted = trading.halt(account, reason=reason, by="limit watch", until=until, lock=lock, now=now)
        if flatten and (halted or positions or account.orders.filter(Q(status__in=LIVE)).exists()):
            orders.request_flatten(account, reason=reason, by="limit watch", now=now)
        account.refresh_from_db()
        return reason
    if worth.equity is not None and floor is not None and account.maximum_loss:
        _warn(account, "maximum loss", worth.equity - floor, account.maximum_loss, now)
    if worth.day_profit is not None and limit:
        _warn(account, "daily loss limit", limit + worth.day_profit, limit, now)
    return ""


def least_result(account: Account, *, on: date) -> Decimal | None:
    """Return the day's result at which everything is closed, by the firm's daily limit or the trader's; None: never."""
    limits = [] if account.daily_loss_limit is None else [-account.daily_loss_limit]
    row = personal_of(account)
    if row is not None and row.loss_action == PersonalRules.Action.FLATTEN:
        lowest = personal.lowest_result(typed(row, on))
        limits += [] if lowest is None else [lowest]
    return max(limits, default=None)


def most_result(account: Account) -> Decimal | None:
    """Return the day's result at which the trader's target has everything closed, None if there is no such."""
    row = personal_of(account)
    return row.daily_profit if row is not None and row.profit_action == PersonalRules.Action.FLATTEN else None


def personal_of(account: Account) -> PersonalRules | None:
    return PersonalRules.objects.filter(account_id=account.pk).first()


def typed(row: PersonalRules, on: date) -> personal.Personal:
    """Return the trader's limits as risk takes them; the peak is that of the session `on`."""
    return personal.Personal(
        daily_loss=row.daily_loss,
        trailing=row.trailing,
        daily_profit=row.daily_profit,
        peak=row.peak if row.peak_date == on else Decimal(0),
        governor=row.governor,
        governor_safety=row.governor_safety,
    )


def _personal(account: Account, day_profit: Decimal | None, now: datetime) -> tuple[str, bool]:
    """Keep the day's best result; return which personal limit it has reached, empty if none, and whether to flatten."""
    row = personal_of(account)
    if row is None or day_profit is None or (row.daily_loss is None and row.daily_profit is None):
        return "", False
    today = trade_date_of(now)
    best = max(day_profit, typed(row, today).peak)
    if (row.peak_date, row.peak) != (today, best):
        row.peak_date, row.peak = today, best
        PersonalRules.objects.filter(pk=row.pk).update(peak_date=today, peak=best)
    limits = typed(row, today)
    if personal.is_lost(limits, day_profit=day_profit):
        kind = f"trailing from {row.peak:+,.2f}" if row.trailing else "fixed"
        said = f"Personal loss limit reached: {day_profit:+,.2f} of {personal.lowest_result(limits):+,.2f} dollars"
        return f"{said} ({kind})", row.loss_action == PersonalRules.Action.FLATTEN
    if personal.is_done(limits, day_profit=day_profit):
        said = f"Personal profit target reached: {day_profit:+,.2f} of {row.daily_profit:+,.2f} dollars"
        return said, row.profit_action == PersonalRules.Action.FLATTEN
    return "", False


def _warn(account: Account, what: str, room: Decimal, limit: Decimal, now: datetime) -> None:
    """Say once in a session that half of a limit is gone, then 70 and 90 percent; the way back up is no news."""
    gone = drawdown.used(room=room, limit=limit)
    reached = next((level for level in _WARN_AT if gone >= level), None)
    if reached is None:
        return
    prefix = f"warn:{account.pk}:{trade_date_of(now)}:{what}:"
    said = [f"{prefix}{level}" for level in _WARN_AT if level >= reached]
    if Notification.objects.filter(key__in=said).exists():
        return
    notifications.notify(
        "risk",
        f"{account}: {reached} % of the {what} is used",
        account=account,
        body=f"${room:,.2f} of ${limit:,.2f} are left.",
        level="warning" if reached < _WARN_AT[0] else "alert",
        key=f"{prefix}{reached}",
        now=now,
    )


def _next_open(now: datetime) -> datetime | None:
    """Return when the firm's next day begins; None, until a person resumes, if the calendar does not say."""
    return CalendarDay.objects.filter(opens_at__gt=now).order_by("opens_at").values_list("opens_at", flat=True).first()
