"""Strategies held against their own limits: one that lost too much stands still, and its working entries go."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from market.orders import Role
from market.sessions import trade_date_of
from risk.money import dollars
from tradingbot.models import Account, Order, StateChange, Strategy
from tradingbot.operations import notifications, orders, strategy_states, trading

KIND = StateChange.Kind.STRATEGY


def check(account: Account, *, now: datetime) -> list[str]:
    """Stop each strategy of the account whose closed trades reached a limit of its own; returns why.

    A loss in the session stops it until the next one, a drawdown until a person releases it. The gate looks at the same
    figures for every entry: this is so that it is told, and so that entries that work do not fill.
    """
    limited = Q(daily_loss_dollars__isnull=False) | Q(drawdown_dollars__isnull=False)
    today = trade_date_of(now)
    reasons = []
    for strategy in Strategy.objects.filter(limited, account=account, enabled=True, stopped_reason=""):
        done = strategy_states.results(strategy, trade_date=today)
        if strategy.drawdown_dollars is not None and done.drawdown >= strategy.drawdown_dollars:
            reason = f"{dollars(done.drawdown)} below its best total, its limit is {dollars(strategy.drawdown_dollars)}"
            reasons += _stop(strategy, reason, {"stopped_reason": reason, "stopped_at": now}, now)
        elif (
            strategy.daily_loss_dollars is not None
            and done.realised <= -strategy.daily_loss_dollars
            and strategy.halted_on != today
        ):
            reason = f"{dollars(done.realised)} today, its limit is {dollars(-strategy.daily_loss_dollars)}"
            reasons += _stop(strategy, reason, {"halted_on": today, "halt_reason": reason}, now)
    return reasons


def release(strategy: Strategy, *, by: str, reason: str, now: datetime) -> bool:
    """Let a strategy that its drawdown stopped trade again; its drawdown is counted from now on. False if it is not.

    Raises ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError(f"{strategy} was stopped by its drawdown: a reason is required to release it")
    with transaction.atomic():
        row = Strategy.objects.select_for_update(of=("self",)).select_related("account").get(pk=strategy.pk)
        if not row.stopped_reason:
            return False
        row.stopped_reason, row.stopped_at, row.results_since = "", None, now
        row.save(update_fields=["stopped_reason", "stopped_at", "results_since"])
        trading.record(row.account, f"{row} stopped", f"{row} released", kind=KIND, by=by, reason=reason, now=now)
        notifications.notify("strategy", f"{row} released", account=row.account, body=f"{reason} (by {by})", now=now)
    return True


def _stop(strategy: Strategy, reason: str, changes: dict[str, object], now: datetime) -> list[str]:
    with transaction.atomic():
        row = Strategy.objects.select_for_update(of=("self",)).select_related("account").get(pk=strategy.pk)
        if row.stopped_reason or all(getattr(row, name) == value for name, value in changes.items()):
            return []
        for name, value in changes.items():
            setattr(row, name, value)
        row.save(update_fields=list(changes))
        until = "a person releases it" if row.stopped_reason else "the next session"
        trading.record(row.account, str(row), f"{row} stopped", kind=KIND, by="limit watch", reason=reason, now=now)
        notifications.notify(
            "strategy",
            f"{row} stands still",
            account=row.account,
            body=f"{reason}. It enters nothing until {until}; a position keeps its stop.",
            level="alert",
            now=now,
        )
    for order in Order.objects.live().filter(strategy=row, role=Role.ENTRY, filled=0):
        orders.request_cancel(order, by=f"{row}: {reason}", now=now)
    return [f"{row}: {reason}"]
