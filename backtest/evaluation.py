"""Parameter sets to results by session, on all cores, each computed once: a journal keeps what is known.

A session starts and ends flat, so one simulation of a parameter set serves every window of sessions: training, testing
and held-out parts are slices of it.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from backtest.axes import Values
from backtest.days import Days, by_session
from backtest.simulation import Planner, Stretch, Terms, frames_of, prepare, simulate
from market.bars import Timeframe
from market.plans import Frames


class OtherSearch(Exception):
    """The journal is of another search; the message says what differs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes parameters of values: `parse` is `strategies.parameters.parse`, `fixed` what is not searched."""

    parse: Callable[[type, Mapping[str, object]], Any]
    parameters: type
    fixed: Mapping[str, object]

    def __call__(self, values: Mapping[str, object]) -> Any:
        return self.parse(self.parameters, {**self.fixed, **values})


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a worker needs; picklable.

    make      makes the strategy's parameters; raises ValueError for values that do not go together
    terms     of every parameter set, but for its quantity
    told      what the search is about, as text: a journal of anything else is refused
    """

    planner: Planner
    make: Recipe
    terms: Terms
    stretches: tuple[Stretch, ...]
    sessions: tuple[date, ...]
    told: Mapping[str, str]
    _frames: dict[tuple[int, tuple[Timeframe, ...]], Frames] = field(default_factory=dict)

    def days(self, values: Values) -> Days | str:
        """Return the results by session, or why the values cannot be simulated."""
        try:
            params = self.make(values)
        except ValueError as error:
            return str(error)
        terms = replace(self.terms, quantity=params.size)
        prepared = [
            prepare(self.planner, params, stretch, quantity=terms.quantity, made=self._made(number, params))
            for number, stretch in enumerate(self.stretches)
        ]
        return by_session(simulate(prepared, terms).trades, self.sessions)

    def _made(self, number: int, params: Any) -> Frames:
        key = (number, self.planner.timeframes(params))
        if key not in self._frames:
            self._frames[key] = frames_of(self.planner, params, self.stretches[number])
        return self._frames[key]


class Evaluator:
    """Evaluates parameter sets of one job; a context manager that owns the worker processes."""

    def __init__(self, job: Job, *, processes: int, journal: Path | None = None) -> None:
        """Raises OtherSearch if the journal is not of this job, OSError if it cannot be written."""
        self.job = job
        self.known: dict[str, Days | str] = {}
        self._journal = journal
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        if journal is not None:
            self._read(journal)

    def __enter__(self) -> Evaluator:
        if self._processes > 1:
            self._pool = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(self.job,)
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def evaluate(
        self, wanted: Iterable[Values], progress: Callable[[int], None] = lambda done: None
    ) -> dict[str, Days | str]:
        """Return the results of `wanted` by `key`; `progress` is told how many are there, what it raises ends it."""
        todo = {key(values): values for values in wanted}
        missing = {name: values for name, values in todo.items() if name not in self.known}
        done = len(todo) - len(missing)
        progress(done)
        for name, found in self._computed(missing):
            self.known[name] = found
            self._write(missing[name], found)
            done += 1
            progress(done)
        return {name: self.known[name] for name in todo}

    def _computed(self, missing: Mapping[str, Values]) -> Iterator[tuple[str, Days | str]]:
        if self._pool is None:
            yield from ((name, self.job.days(values)) for name, values in missing.items())
            return
        size = max(1, min(16, len(missing) // (16 * self._processes)))
        yield from zip(missing, self._pool.map(_work, missing.values(), chunksize=size), strict=True)

    def _read(self, journal: Path) -> None:
        head: dict[str, Any] = {"search": dict(self.job.told), "sessions": _sessions(self.job)}
        if not journal.exists():
            journal.parent.mkdir(parents=True, exist_ok=True)
            journal.write_text(json.dumps(head) + "\n", encoding="utf-8")
            return
        lines = journal.read_text(encoding="utf-8").splitlines()
        before = json.loads(lines[0]) if lines else {}
        if before != head:
            old, new = before.get("search", {}), head["search"]
            differ = [name for name in {**old, **new} if old.get(name) != new.get(name)] or ["the bars"]
            raise OtherSearch(
                f"{journal} is of another search ({', '.join(differ)} differ): name another, or delete it"
            )
        for line in lines[1:]:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a search that was killed
            self.known[key(row["values"])] = row["why"] if "why" in row else self._days(row)

    def _days(self, row: Mapping[str, Any]) -> Days:
        dates = np.array([day.toordinal() for day in self.job.sessions], np.int64) - date(1970, 1, 1).toordinal()
        return Days(dates, *(np.array(row[name], np.int64) for name in ("net", "low", "trades")))

    def _write(self, values: Values, found: Days | str) -> None:
        if self._journal is None:
            return
        row: dict[str, Any] = {"values": values}
        if isinstance(found, str):
            row["why"] = found
        else:
            row |= {name: getattr(found, name).tolist() for name in ("net", "low", "trades")}
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def key(values: Mapping[str, str]) -> str:
    """Return what tells parameter sets apart."""
    return json.dumps(dict(sorted(values.items())))


def _sessions(job: Job) -> str:
    """Return a hash of the bars that are simulated."""
    digest = hashlib.sha256(repr(job.sessions).encode())
    for stretch in job.stretches:
        delta = () if stretch.base.delta is None else (stretch.base.delta,)
        for column in (*stretch.base.columns, *delta):
            digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()[:16]


_job: Job | None = None


def _begin(job: Job) -> None:
    global _job  # noqa: PLW0603  a worker process works on one job
    _job = job
    _keep_memory()


def _keep_memory() -> None:
    """Let malloc keep what a parameter set gives back: the next one needs as much again.

    Pages that are made anew for each array take as long as the arithmetic, and two processes wait for each other.
    """
    if sys.platform == "linux" and hasattr(malloc := ctypes.CDLL(None), "mallopt"):  # glibc's
        for option, size in ((_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 1 << 30), (_TOP_PAD, 64 << 20)):
            malloc.mallopt(option, size)


_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h


def _work(values: Values) -> Days | str:
    if _job is None:
        raise RuntimeError("the worker was not told its job")
    return _job.days(values)
