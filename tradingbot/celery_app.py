"""The Celery application: five queues, one task module each; the settings are those that survived measurement
(docs/decisions/0003): early acknowledgement, no result backend, no retries of anything that changes the venue.
"""

from __future__ import annotations

import gc
import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_init
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")

from django.conf import settings

QUEUES = ("critical", "high", "normal", "low", "background")

app = Celery("tradingbot")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 600,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    redis_socket_timeout=5,
    redis_socket_connect_timeout=2,
    redis_socket_keepalive=True,
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    task_default_queue="background",
    task_create_missing_queues=False,
    task_routes={f"tradingbot.tasks.{name}.*": {"queue": name, "routing_key": name} for name in QUEUES},
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
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
    timezone="UTC",
    enable_utc=True,
    beat_scheduler="tradingbot.schedule:Scheduler",
    imports=[f"tradingbot.tasks.{name}" for name in QUEUES],
)
app.set_default()
warnings.filterwarnings("ignore", category=SecurityWarning)  # about root and pickle: messages are JSON only


@worker_init.connect
def share_memory(sender: Any, **_: Any) -> None:
    """Before the children are forked: load what they will need and keep the collector from touching its pages."""
    if "normal" in sender.app.amqp.queues.consume_from:
        import talib  # noqa: F401
    gc.collect()
    gc.freeze()
