"""`python -m tradingbot.processes.flower`: the task monitor, which needs the broker alone: neither models nor tasks."""

from __future__ import annotations

import atexit
import signal
import sys

from celery import Celery
from flower.app import Flower
from flower.command import apply_options, extract_settings, setup_logging
from flower.options import options
from flower.urls import settings as pages

from tradingbot.transport import SETTINGS


def main(arguments: list[str]) -> None:
    apply_options("flower", ["--conf=tradingbot/flowerconfig.py", *arguments])
    extract_settings()
    setup_logging()
    app = Celery("tradingbot", fixups=[])
    app.conf.update(SETTINGS)
    monitor = Flower(capp=app, options=options, **pages)
    atexit.register(monitor.stop)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    monitor.start_http_server()
    monitor.start()


if __name__ == "__main__":
    main(sys.argv[1:])
