"""When workers do it: one module a queue. A task finds its rows, reads the clock once, calls one operation."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready


@worker_ready.connect
def _say_hello(sender: Any, **_: Any) -> None:
    """Send each queue a canary when its worker begins to listen, beat's next may be half a minute away.

    A child answers: the parent itself never connects to the database, its children are forked from it.
    """
    for queue in sender.app.amqp.queues.consume_from:
        sender.app.send_task(f"tradingbot.tasks.{queue}.canary", expires=30)
