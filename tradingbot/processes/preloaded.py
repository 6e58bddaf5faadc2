"""What workers, beat, stream, web and venue have in common, loaded once in the process that they are forked from.

Nothing here opens a connection or starts a thread of ours: a fork would take a torn one along.
"""

from __future__ import annotations

import gc
import signal

from tradingbot.processes.loading import load

signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is for the supervisor
load(
    [
        "tradingbot.tasks.critical",
        "tradingbot.tasks.high",
        "tradingbot.tasks.normal",
        "tradingbot.tasks.low",
        "tradingbot.asgi",
        "tradingbot.urls",
        "tradingbot.schedule",
        "tradingbot.operations.streaming.running",
        "tradingbot.supervisor.launching",
        "tradingbot.operations.streaming.clients",
        "billiard.popen_fork",
        "billiard.sharedctypes",
        "celery.app.routes",
        "celery.apps.beat",
        "celery.backends.base",
        "celery.concurrency.prefork",
        "celery.events.receiver",
        "celery.worker.consumer",
        "celery.worker.control",
        "celery.worker.loops",
        "celery.worker.pidbox",
        "kombu.transport.redis",
        "psycopg",
        "django.db.backends.postgresql.base",
        "django.db.migrations.autodetector",
        "django.db.migrations.questioner",
        "django.db.migrations.writer",
        "django.views.defaults",
        "talib",
        "uvicorn.loops.uvloop",
        "uvicorn.main",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
    ]
)
gc.collect()
gc.freeze()
