"""Hints from the stream: published beside the loop that listens, the same one at most every quarter of a second."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque

from kombu.exceptions import OperationalError

from tradingbot.celery_app import app
from tradingbot.queues import takes

log = logging.getLogger(__name__)

GAP = 0.25
_EXPIRES = 30

Key = tuple[str, tuple[tuple[str, int], ...]]


class Hinter:
    """Publishes hints from a thread of its own; whoever gives one never waits.

    seconds   how long the last hints took to the queue, from the frame that caused them or the end of the pause
    """

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=1000)
        self.published = 0
        self._given: queue.SimpleQueue[tuple[Key, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="hints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Publish what was given and end."""
        self._given.put(None)
        self._thread.join(10)

    def give(self, task: str, *, caused_at: float, **ids: int) -> None:
        """Ask for `task` ("critical.check_fills"); `caused_at` is the time.monotonic() of what led to it."""
        self._given.put(((task, tuple(sorted(ids.items()))), caused_at))

    def _work(self) -> None:
        self._open()
        waiting: dict[Key, float] = {}
        last: dict[Key, float] = {}
        ending = False
        while not ending or waiting:
            now = time.monotonic()
            due = [last.get(key, 0.0) + GAP for key in waiting]
            try:
                given = self._given.get(timeout=max(0.0, min(due) - now) if due else None)
            except queue.Empty:
                given = None
            else:
                ending = ending or given is None
            if given is not None:
                waiting.setdefault(*given)
            now = time.monotonic()
            for key in [key for key in waiting if ending or now - last.get(key, 0.0) >= GAP]:
                since = max(waiting.pop(key), last.get(key, 0.0) + GAP)
                last[key] = now
                self._publish(key)
                self.seconds.append(max(0.0, time.monotonic() - since))
            if len(last) > 1000:
                last = {key: at for key, at in last.items() if now - at < GAP}

    def _open(self) -> None:
        """Load and connect what publishing needs: the first hint would wait for it."""
        try:
            _ = app.backend  # looked for on first use
            with app.producer_pool.acquire(block=True) as producer:
                producer.connection.ensure_connection(max_retries=1)
                for queue in app.amqp.queues.values():
                    producer.maybe_declare(queue)
        except (OperationalError, ConnectionError, OSError) as error:
            log.warning("no queues yet, the first hint looks for them again: %s", error)

    def _publish(self, key: Key) -> None:
        name, ids = f"tradingbot.tasks.{key[0]}", dict(key[1])
        try:
            if takes(name):
                app.send_task(name, kwargs=ids, expires=_EXPIRES)
                self.published += 1
        except (OperationalError, ConnectionError, OSError) as error:
            log.warning("hint %s %s not published, the next tick finds the row: %s", name, ids, error)
