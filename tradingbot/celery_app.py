"""The Celery application: five queues, one task module each; the settings are those that survived measurement
(docs/decisions/0003): early acknowledgement, no result backend, no retries of anything that changes the venue.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import task_postrun, task_prerun, worker_init
from django.db import close_old_connections
from kombu import Exchange, Queue

from tradingbot.transport import SETTINGS

os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # they would load every page into every worker; `prepare` makes them

QUEUES = ("critical", "high", "normal", "low", "background")

app = Celery("tradingbot")
app.conf.update(
    SETTINGS,
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    task_default_queue="background",
    task_create_missing_queues=False,
    task_routes={f"tradingbot.tasks.{name}.*": {"queue": name, "routing_key": name} for name in QUEUES},
    task_serializer="json",
    task_ignore_result=True,
    result_backend_thread_safe=True,  # there is none: that is found out once a process, not once a thread
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_publish_retry=True,
    task_publish_retry_policy={"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_send_task_events=True,
    task_send_sent_event=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    beat_scheduler="tradingbot.schedule:Scheduler",
    CELERY_DB_REUSE_MAX=sys.maxsize,  # it would close the connection before and after every task; see `look_after`
    imports=[f"tradingbot.tasks.{name}" for name in QUEUES],
)
app.set_default()
warnings.filterwarnings("ignore", category=SecurityWarning)  # about root and pickle: messages are JSON only


@worker_init.connect
def share_memory(**_: Any) -> None:
    """Keep the collector from touching, and so from copying, the pages that the children will share."""
    gc.collect()
    gc.freeze()


@task_prerun.connect
@task_postrun.connect
def look_after(**_: Any) -> None:
    """Keep the database connection of a child from task to task, as Django does from request to request.

    One that broke or is older than CONN_MAX_AGE is closed; the first statement of a task finds out if it is alive.
    """
    close_old_connections()
