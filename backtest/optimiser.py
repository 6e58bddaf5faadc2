"""The search for parameters: every combination, or those that a sampler proposes from what it has seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backtest import axes as axis
from backtest.axes import Axis, Values
from backtest.days import Days
from backtest.evaluation import Evaluator, key
from backtest.statistics import drawdown
from backtest.trades import UNIT
from market.performance import sharpe


class Method(StrEnum):
    GRID = "grid"
    TPE = "tpe"  # tree-structured Parzen estimator
    GENETIC = "genetic"  # NSGA-II


Objective = Callable[[Days], float]


def _net(days: Days) -> float:
    return float(days.net.sum()) / UNIT


def _sharpe(days: Days) -> float:
    found = sharpe(days.net / UNIT)
    return -math.inf if found is None else found


def _recovery(days: Days) -> float:
    """Return the net result over the largest drawdown."""
    fall = drawdown(days)
    return _net(days) / fall if fall else (math.inf if _net(days) > 0 else -math.inf)


OBJECTIVES: dict[str, Objective] = {"sharpe": _sharpe, "net": _net, "recovery": _recovery}
"""What is made as large as possible."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A parameter set and how it did; `why` it could not be simulated or was not judged, empty if it was."""

    values: Values
    score: float
    days: Days | None
    why: str = ""


def search(
    evaluator: Evaluator,
    axes: Sequence[Axis],
    *,
    objective: Objective,
    method: Method,
    trials: int,
    rows: slice,
    least_trades: int = 1,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Trial]:
    """Return the trials, the best first; the objective sees the sessions `rows` alone.

    trials        of a sampler; a grid has all of them
    least_trades  a parameter set with fewer in these sessions is not judged
    """
    axis.check(axes)

    def judged(values: Values, found: Days | str) -> Trial:
        if isinstance(found, str):
            return Trial(values, -math.inf, None, found)
        days = found[rows]
        count = int(days.trades.sum())
        why = f"{count} trades, at least {least_trades} are wanted" if count < least_trades else ""
        return Trial(values, -math.inf if why else objective(days), days, why)

    if method is Method.GRID:
        wanted = list(axis.grid(axes))
        found = evaluator.evaluate(wanted, lambda done: progress(done, len(wanted)))
        made = [judged(values, found[key(values)]) for values in wanted]
    else:
        made = _sampled(evaluator, axes, judged, method, trials, seed, progress)
    return sorted(made, key=lambda trial: trial.score, reverse=True)


def _sampled(
    evaluator: Evaluator,
    axes: Sequence[Axis],
    judged: Callable[[Values, Days | str], Trial],
    method: Method,
    trials: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> list[Trial]:
    """Ask a sampler for batches; what the journal knows costs nothing, so a search goes on where it was broken off."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: optuna.samplers.BaseSampler
    if method is Method.TPE:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(10, trials // 10))
    else:
        sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=max(10, min(50, trials // 4)))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    made: dict[str, Trial] = {}
    done = 0
    while done < trials:
        batch = [study.ask() for _ in range(min(_BATCH, trials - done))]
        asked = [{one.name: _suggested(trial, one) for one in axes} for trial in batch]
        found = evaluator.evaluate(asked)
        for trial, values in zip(batch, asked, strict=True):
            result = judged(values, found[key(values)])
            made[key(values)] = result
            study.tell(trial, max(result.score, _WORST) if math.isfinite(result.score) else _WORST)
        done += len(batch)
        progress(done, trials)
    return list(made.values())


_BATCH = 8  # asked at once whatever the number of cores, so that a seed gives the same search on every machine
_WORST = -1e12


def _suggested(trial: object, one: Axis) -> str:
    import optuna

    if not isinstance(trial, optuna.Trial):
        raise TypeError(f"{trial!r} is no trial")
    if one.ordered:
        return one.values[trial.suggest_int(one.name, 0, len(one.values) - 1)]
    return str(trial.suggest_categorical(one.name, one.values))
