"""What workers, beat, stream, web and venue have in common, loaded once in the process that they are forked from.

Nothing here opens a connection or starts a thread of ours: a fork would take a torn one along.
"""

from __future__ import annotations

import gc
import signal

from tradingbot.processes.worker import load

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
        "celery.app.routes",
        "celery.apps.beat",
        "celery.concurrency.prefork",
        "celery.worker.control",
        "celery.worker.loops",
        "kombu.transport.redis",
        "psycopg",
        "django.db.backends.postgresql.base",
        "talib",
        "uvicorn.main",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
        "uvloop",
    ]
)
gc.collect()
gc.freeze()
