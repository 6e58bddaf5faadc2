"""Balances, limits, the session's steps, agreement with the venue."""

from __future__ import annotations

from typing import Any

from tradingbot.celery_app import app
from tradingbot.clock import now
from tradingbot.models import Account
from tradingbot.operations import (
    accounts,
    arming,
    heartbeats,
    limits_watch,
    news,
    permits,
    reconciliation,
    sessions,
    skew,
    strategy_watch,
    trading,
)
from tradingbot.queues import Task
from tradingbot.tasks.fanning import fan_out, watched


@app.task(base=Task)
def update_balance(*, account_id: int | None = None, **_: Any) -> None:
    """Read the balance and hold it against the limits; every 60 seconds."""
    if account_id is None:
        fan_out(update_balance, watched(), seconds=60)
    else:
        account, moment = _account(account_id), now()
        accounts.refresh(account, now=moment)
        skew.check(account.login, now=moment)


@app.task(base=Task)
def check_risk(*, account_id: int | None = None, **_: Any) -> None:
    """Hold account, strategies and permit against their limits, end locks that are over; every 60 seconds."""
    if account_id is None:
        trading.end_locks(now=now())
        arming.end_arming(now=now())
        fan_out(check_risk, watched(), seconds=60)
    else:
        account, moment = _account(account_id), now()
        limits_watch.check(account, now=moment)
        strategy_watch.check(account, now=moment)
        permits.watch(account, now=moment)


@app.task(base=Task)
def due_steps(**_: Any) -> None:
    """Plan the session where it is not, run what is due, and act where a news window begins; every 5 seconds."""
    moment = now()
    sessions.plan_missing(now=moment)
    sessions.due(now=moment)
    news.due(now=moment)


@app.task(base=Task)
def reconcile(*, account_id: int | None = None, **_: Any) -> None:
    """Make our rows agree with the venue's; every 30 seconds."""
    if account_id is None:
        fan_out(reconcile, watched(), seconds=30)
    else:
        reconciliation.reconcile(_account(account_id), now=now())


@app.task(base=Task)
def canary(**_: Any) -> None:
    """Show that this queue is worked on; every 30 seconds."""
    heartbeats.beat("worker-high")


def _account(account_id: int) -> Account:
    return Account.objects.select_related("login").get(pk=account_id)
