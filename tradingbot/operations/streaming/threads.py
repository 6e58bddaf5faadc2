"""Where a loop that must never wait has things done that may: threads of one kind of work each, and jobs of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import close_old_connections, connections

log = logging.getLogger(__name__)

T = TypeVar("T")


class Threads:
    """One thread each: `keeper` for the lease and what is wanted, `reader` for the venue by REST, `bars`, `tokens`."""

    def __init__(self) -> None:
        self.keeper, self.reader, self.bars, self.tokens = (
            ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("keeper", "reader", "bars", "tokens")
        )
        self._jobs: set[asyncio.Future[Any]] = set()

    async def run(self, thread: Executor, call: Callable[[], T]) -> T:
        """Run a call that may block, on a connection of PostgreSQL that lives."""

        def work() -> T:
            close_old_connections()
            return call()

        return await asyncio.get_running_loop().run_in_executor(thread, work)

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Let a job go on by itself until `cancel`; if it fails, that is logged."""
        task = asyncio.ensure_future(job)
        self._jobs.add(task)
        task.add_done_callback(self._ended)

    async def cancel(self) -> None:
        """End every job."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    def close(self) -> None:
        """End the threads with their connections; a call that is under way is waited for."""
        threads = (self.keeper, self.reader, self.bars, self.tokens)
        for thread in threads:
            thread.submit(connections.close_all)
        for thread in threads:
            thread.shutdown()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a job of the stream failed", exc_info=error)
