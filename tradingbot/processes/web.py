"""`python -m tradingbot.processes.web --port 8000`: panel, pages and API, on a bounded number of connections."""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")

import uvicorn
from django.conf import settings

CONNECTIONS = 10
"""To PostgreSQL, at most. Every request runs in a thread of its own: without a bound a flood of them would take the
connections that workers and guard need."""
PATIENCE = 5.0  # seconds that a request waits for one


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    share_connections()
    uvicorn.run(
        "tradingbot.asgi:application",
        host=options.host,
        port=options.port,
        lifespan="off",
        access_log=False,
        timeout_graceful_shutdown=5,
    )


def share_connections() -> None:
    """Let the threads of this process take connections in turn, before one of them has made its first."""
    database = settings.DATABASES["default"]
    database["CONN_MAX_AGE"] = 0  # each request gives its connection back
    database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": CONNECTIONS, "timeout": PATIENCE}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="web", description="Serve panel, pages and API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; default 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="default 8000")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
