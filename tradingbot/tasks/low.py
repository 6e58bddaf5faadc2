"""What people read: messages and figures."""

from __future__ import annotations

from typing import Any

from tradingbot.celery_app import app
from tradingbot.clock import now
from tradingbot.operations import heartbeats, metrics, notifications
from tradingbot.queues import Task


@app.task(base=Task)
def deliver_notifications(**_: Any) -> None:
    """Send the messages that wait; every 5 seconds."""
    notifications.deliver(now=now())


@app.task(base=Task)
def snapshot_metrics(**_: Any) -> None:
    """Keep the counted calls to the venue; every 5 minutes."""
    metrics.snapshot()


@app.task(base=Task)
def canary(**_: Any) -> None:
    """Show that this queue is worked on; every 30 seconds."""
    heartbeats.beat("worker-low")
