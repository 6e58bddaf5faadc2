"""Walk-forward: parameters chosen on some sessions, used on those that follow, again and again.

The joined results of the following sessions are what the choosing would have earned: the only curve of a search in
which no session was looked at before it was traded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from backtest.axes import Axis, Values
from backtest.days import Days
from backtest.evaluation import Evaluator
from backtest.optimiser import Method, Objective, search


@dataclass(frozen=True, slots=True)
class Window:
    """One choice: the sessions that it was made on, those that it was used on, and how it did on both."""

    trained: tuple[date, date]
    tested: tuple[date, date]
    values: Values | None
    score: float
    tested_score: float | None


@dataclass(frozen=True, slots=True)
class Stability:
    """How a parameter was chosen over the windows.

    common   share of windows with the most frequent value
    spread   standard deviation of the places of the values on their axis over the axis' length, 0 to 0.5; None where
             neighbours are not alike
    """

    name: str
    values: tuple[str, ...]
    common: float
    spread: float | None


@dataclass(frozen=True, slots=True)
class WalkForward:
    """`days` are the sessions of all tests; `efficiency` the objective on them over its mean on the training."""

    windows: tuple[Window, ...]
    days: Days
    stability: tuple[Stability, ...]
    efficiency: float | None


def walk_forward(
    evaluator: Evaluator,
    axes: Sequence[Axis],
    *,
    objective: Objective,
    method: Method,
    trials: int,
    sessions: int,
    train: int,
    test: int,
    least_trades: int = 1,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> WalkForward:
    """Return the walk over the first `sessions` sessions: choose on `train` of them, use on the next `test`.

    A window in which no parameter set can be judged stays out of the market. Raises ValueError when not even one
    window fits.
    """
    begins = range(0, sessions - train - test + 1, test) if min(train, test) > 0 else range(0)
    if not begins:
        raise ValueError(f"{sessions} sessions are too few for one window of {train} and {test} sessions")
    windows: list[Window] = []
    parts: list[Days] = []
    for number, first in enumerate(begins):
        trained, tested = slice(first, first + train), slice(first + train, first + train + test)
        best = search(
            evaluator,
            axes,
            objective=objective,
            method=method,
            trials=trials,
            rows=trained,
            least_trades=least_trades,
            seed=seed,
        )[0]
        chosen = None if best.why or best.days is None else best.values
        days = _used(evaluator, chosen, tested)
        scored = objective(days) if chosen is not None else None
        dates = evaluator.job.sessions
        windows.append(
            Window(
                (dates[trained][0], dates[trained][-1]),
                (dates[tested][0], dates[tested][-1]),
                chosen,
                best.score,
                scored,
            )
        )
        parts.append(days)
        progress(number + 1, len(begins))
    joined = Days(*(np.concatenate([getattr(part, name) for part in parts]) for name in Days.__slots__))
    return WalkForward(tuple(windows), joined, stability(axes, windows), _efficiency(windows, objective(joined)))


def stability(axes: Sequence[Axis], windows: Sequence[Window]) -> tuple[Stability, ...]:
    """Return for each parameter how steadily it was chosen."""
    chosen = [window.values for window in windows if window.values is not None]
    found = []
    for axis in axes if chosen else ():
        values = tuple(choice[axis.name] for choice in chosen)
        places = np.array([axis.values.index(value) for value in values], np.float64)
        spread = round(float(places.std()) / max(1, len(axis.values) - 1), 4) if axis.ordered else None
        common = Counter(values).most_common(1)[0][1] / len(values)
        found.append(Stability(axis.name, values, round(common, 4), spread))
    return tuple(found)


def _used(evaluator: Evaluator, chosen: Values | None, rows: slice) -> Days:
    if chosen is not None:
        (found,) = evaluator.evaluate([chosen]).values()
        if not isinstance(found, str):
            return found[rows]
    dates = [day.toordinal() - date(1970, 1, 1).toordinal() for day in evaluator.job.sessions[rows]]
    nothing = np.zeros(len(dates), np.int64)
    return Days(np.array(dates, np.int64), nothing, nothing, nothing)


def _efficiency(windows: Sequence[Window], outside: float) -> float | None:
    inside = [window.score for window in windows if window.values is not None and np.isfinite(window.score)]
    mean = float(np.mean(inside)) if inside else 0.0
    return round(outside / mean, 4) if mean > 0 and np.isfinite(outside) else None
