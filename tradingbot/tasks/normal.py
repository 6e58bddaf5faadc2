"""Bars and what strategies make of them."""

from __future__ import annotations

from typing import Any

from brokers.base import NotSent, ReadFailed
from tradingbot.celery_app import app
from tradingbot.clock import now, period
from tradingbot.models import Contract
from tradingbot.operations import bars, decisions, heartbeats, sessions, setup
from tradingbot.operations.streaming import minutes
from tradingbot.queues import Task, hint


@app.task(base=Task)
def bars_due(*, contract_id: int | None = None, **_: Any) -> None:
    """Fetch the minutes that closed and no stream brings, then let the strategies see them; every 5 seconds."""
    moment = now()
    if contract_id is None:
        for contract in sessions.contracts_in_use(now=moment):
            if minutes.are_due(contract, now=moment):
                hint(bars_due, expires=max(1.0, period(5)), contract_id=contract.pk)
    elif bars.fetch(contract := Contract.objects.get(pk=contract_id), now=moment):
        decisions.evaluate(contract, now=now())


@app.task(base=Task)
def evaluate(*, contract_id: int, **_: Any) -> None:
    """Let every strategy on a contract see its new bars, on the hint of whoever recorded them."""
    decisions.evaluate(Contract.objects.get(pk=contract_id), now=now())


@app.task(
    base=Task, autoretry_for=(ReadFailed, NotSent), retry_backoff=2, retry_jitter=False, max_retries=3
)  # a read, and only when it failed: after 2, 4 and 8 seconds
def fetch_bars(*, contract_id: int | None = None, **_: Any) -> None:
    """Fill the cache of a contract with what its sessions lack; on demand and every hour."""
    if contract_id is None:
        for contract in sessions.contracts_in_use(now=now()):
            hint(fetch_bars, expires=60, contract_id=contract.pk)
    else:
        bars.backfill(Contract.objects.get(pk=contract_id), now=now())


@app.task(base=Task)
def connect(**_: Any) -> None:
    """Read from the venue what trading needs, as long as something of it is missing; every 30 seconds."""
    setup.connect_once(now=now())


@app.task(base=Task)
def canary(**_: Any) -> None:
    """Show that this queue is worked on; every 30 seconds."""
    heartbeats.beat("worker-normal")
