"""Messages to workers: "look at this row". The row is the truth, a lost hint costs until the next tick."""

from __future__ import annotations

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from tradingbot.celery_app import app

log = logging.getLogger(__name__)


def publish(task: str, **ids: int) -> None:
    """Ask a worker to run `task` ("critical.send_order") once the transaction is committed; never raises."""
    transaction.on_commit(lambda: _publish(task, ids))


def _publish(task: str, ids: dict[str, int]) -> None:
    name = f"tradingbot.tasks.{task}"
    try:
        app.tasks[name].apply_async(kwargs=ids, expires=30) if name in app.tasks else app.send_task(
            name, kwargs=ids, expires=30
        )
    except (OperationalError, ConnectionError, OSError) as error:
        log.warning("hint %s %s not published, the next tick finds the row: %s", task, ids, error)
