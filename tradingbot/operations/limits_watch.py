"""The firm's loss limits, held against the account: warn on the way, halt and flatten when one is reached."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from market.orders import LIVE
from market.sessions import trade_date_of
from risk import drawdown
from tradingbot.models import Account, CalendarDay, Lock, Notification
from tradingbot.operations import notifications, orders, risk_states, trading

_WARN_AT = (90, 70, 50)  # percent of a limit


def check(account: Account, *, now: datetime, worth: risk_states.Worth | None = None) -> str:
    """Compare equity and the day's result with the limits; returns why it was stopped, empty if it was not.

    worth   what it is worth; by default the balance as last read with open profit at the newest bars
    A limit that is reached halts the account and has it flattened: the maximum loss until a person resumes, the daily
    loss until the next session opens.
    """
    positions = list(account.positions.exclude(quantity=0, broker_quantity=0).select_related("contract"))
    worth = worth or risk_states.worth_of(account, positions, trade_date=trade_date_of(now))
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
    if reason:
        halted = trading.halt(account, reason=reason, by="limit watch", until=until, lock=lock, now=now)
        if halted or positions or account.orders.filter(Q(status__in=LIVE)).exists():
            orders.request_flatten(account, reason=reason, by="limit watch", now=now)
        account.refresh_from_db()
        return reason
    if worth.equity is not None and floor is not None and account.maximum_loss:
        _warn(account, "maximum loss", worth.equity - floor, account.maximum_loss, now)
    if worth.day_profit is not None and limit:
        _warn(account, "daily loss limit", limit + worth.day_profit, limit, now)
    return ""


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
