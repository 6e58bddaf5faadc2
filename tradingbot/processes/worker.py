"""`python -m tradingbot.processes.worker -Q critical`: the worker of one queue, or of several together."""

from __future__ import annotations

import argparse
import sys

from billiard import pool  # type: ignore[import-untyped]
from celery.utils.nodenames import default_nodename, host_format
from django.conf import settings

from tradingbot.celery_app import QUEUES, app
from tradingbot.processes.loading import load
from tradingbot.queues import LIMITS

TASKS_PER_CHILD = 500
"""A child is replaced after so many tasks, against leaks; one of the critical queue is never."""
# Tenths of a second (300) that a child waits at its end for word that its results were read. A task that it was handed
# and has not begun when its worker is told to end goes back to Redis; the child runs it all the same, no word comes.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    queues: list[str] = options.queues
    app.conf.imports = [f"tradingbot.tasks.{queue}" for queue in queues]
    load([*app.conf.imports, *(["talib"] if "normal" in queues else [])])
    soft, hard = (
        None if None in limits else max(limit for limit in limits if limit)
        for limits in zip(*(LIMITS[queue] for queue in queues), strict=True)
    )  # of a task that has none of its own
    worker = app.Worker(
        hostname=host_format(default_nodename(options.name or f"{queues[0]}@%h")),
        queues=queues,
        concurrency=options.children or sum(settings.WORKER_CHILDREN[queue] for queue in queues),
        soft_time_limit=soft,
        time_limit=hard,
        max_tasks_per_child=None if "critical" in queues else TASKS_PER_CHILD,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="worker", description="Run the tasks of one queue, or of several together.")
    parser.add_argument("-Q", dest="queues", type=_queues, required=True, metavar="QUEUE[,QUEUE]")
    parser.add_argument("-c", dest="children", type=int, metavar="N", help="child processes; default WORKER_<QUEUE>")
    parser.add_argument("-n", dest="name", metavar="NAME@%h", help="node's name; default the first queue's")
    return parser


def _queues(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(QUEUES)):
        raise argparse.ArgumentTypeError(f"no queue is called {unknown[0]!r}; there are {', '.join(QUEUES)}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
