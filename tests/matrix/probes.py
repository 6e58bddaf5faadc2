"""The worker of the critical queue with one task more, which notes each of its starts and ends.

`python -m tests.matrix.probes -Q critical -c 2`
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from tradingbot.celery_app import app
from tradingbot.processes import worker
from tradingbot.queues import Task

NAME = "tradingbot.tasks.critical.probe"
TABLE = """
CREATE TABLE probe (
    id bigserial PRIMARY KEY,
    number integer NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
)
"""


@app.task(base=Task, name=NAME)
def probe(*, number: int, seconds: float = 0.0, **_: Any) -> None:
    """Note the start, work for `seconds`, note the end."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO probe (number, pid) VALUES (%s, %s) RETURNING id", [number, os.getpid()])
        (started,) = cursor.fetchone()
    time.sleep(seconds)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE probe SET ended_at = clock_timestamp() WHERE id = %s", [started])


if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1:]))
