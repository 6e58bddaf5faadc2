"""What may take long and can wait."""

from __future__ import annotations

from typing import Any

from tradingbot.celery_app import app
from tradingbot.clock import now
from tradingbot.models import Login
from tradingbot.operations import contracts, heartbeats, retention, sessions
from tradingbot.operations.backtests import records
from tradingbot.queues import Task


@app.task(base=Task)
def clean_up(**_: Any) -> None:
    """Delete what is kept for a time only; every 6 hours."""
    retention.clean_up(now=now())


@app.task(base=Task)
def extend_calendar(**_: Any) -> None:
    """Keep the calendar a year ahead; every 6 hours."""
    sessions.ensure_calendar(now=now())


@app.task(base=Task)
def roll_contracts(*, login_id: int | None = None, **_: Any) -> None:
    """Ask the venue which months are current; every hour."""
    logins = Login.objects.filter(enabled=True)
    for login in logins if login_id is None else logins.filter(pk=login_id):
        contracts.refresh(login, now=now())


@app.task(base=Task)
def backtest(**_: Any) -> None:
    """Run the simulations that wait, on the hint of whoever asked for one."""
    while records.run_next(now=now()):
        pass


@app.task(base=Task)
def canary(**_: Any) -> None:
    """Show that this queue is worked on; every 30 seconds."""
    heartbeats.beat("worker-background")
