"""Messages to workers: "look at this row". The row is the truth, a lost hint costs until the next tick."""

from __future__ import annotations

import logging

from django.db import transaction

log = logging.getLogger(__name__)

_silent = False


def keep_silent() -> None:
    """Publish nothing from this process any more: guard has no queues, and its next round does the work itself."""
    global _silent  # noqa: PLW0603  one decision a process
    _silent = True


def publish(task: str, **ids: int) -> None:
    """Ask a worker to run `task` ("critical.send_order") once the transaction is committed; never raises."""
    if not _silent:
        transaction.on_commit(lambda: _publish(task, ids))


def _publish(task: str, ids: dict[str, int]) -> None:
    from kombu.exceptions import OperationalError

    from tradingbot.celery_app import app
    from tradingbot.queues import takes

    name = f"tradingbot.tasks.{task}"
    try:
        if takes(name):
            app.send_task(name, kwargs=ids, expires=30)
    except (OperationalError, ConnectionError, OSError) as error:
        log.warning("hint %s %s not published, the next tick finds the row: %s", task, ids, error)
