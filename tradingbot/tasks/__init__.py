"""When workers do it: one module a queue. A task finds its rows, reads the clock once, calls one operation."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready
from django.db import connections

from tradingbot.operations import heartbeats


@worker_ready.connect
def _say_hello(sender: Any, **_: Any) -> None:
    """Show that a worker listens before its queue's first canary comes by."""
    for queue in sender.app.amqp.queues.consume_from:
        heartbeats.beat(f"worker-{queue}")
    connections.close_all()  # children that are forked later must not share this one
