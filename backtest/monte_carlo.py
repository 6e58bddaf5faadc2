"""How often a row of days like these passes or is breached: the days drawn again in blocks, many times over.

Blocks keep what neighbouring days have in common (a volatile week stays one). The drawing itself is exact to a fraction
of a percent; what is not known is how typical the days are. So the days themselves are drawn anew as well, and the
spread of the probability over those histories is given as its interval.

Source: circular block bootstrap, Politis and Romano (1992); its use for intervals, Efron and Tibshirani,
"An Introduction to the Bootstrap" (1993), chapter 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backtest.days import Days
from backtest.outcomes import Rules, Walked, limited, walk
from market.bars import Int

_BATCHES, _HISTORIES, _PATHS_OF_A_HISTORY = 10, 20, 250  # walked a batch at once


@dataclass(frozen=True, slots=True)
class Chance:
    """A probability, and the interval in which it lies for nine of ten histories of as many days."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Odds:
    """What becomes of accounts within `sessions` sessions; `median_days` until passing, None if none does."""

    passes: Chance
    breaches: Chance
    neither: Chance
    median_days: int | None
    paths: int
    sessions: int
    block: int
    seed: int


def odds(days: Days, rules: Rules, *, paths: int = 10_000, sessions: int = 120, block: int = 5, seed: int = 1) -> Odds:
    """Return the odds of accounts that live through `days` drawn again in blocks of `block` sessions.

    Raises ValueError without days, and for numbers below 1.
    """
    if not len(days) or min(paths, sessions, block) < 1:
        raise ValueError(
            f"{len(days)} days, {paths} paths, {sessions} sessions, blocks of {block}: all must be above 0"
        )
    known = limited(days, rules)
    random = np.random.default_rng(seed)
    walked = _walk(known, rules, _drawn(random, len(known), paths, sessions, block))
    spread = np.concatenate([_of_histories(random, known, rules, sessions, block) for _ in range(_BATCHES)])
    passed = walked.ending == 1
    shares = [float((walked.ending == code).mean()) for code in (1, -1, 0)]
    ranges = (spread[:, 0], spread[:, 1], 1 - spread.sum(axis=1))
    passes, breaches, neither = (
        Chance(round(share, 4), *(round(float(edge), 4) for edge in np.quantile(column, (0.05, 0.95))))
        for share, column in zip(shares, ranges, strict=True)
    )
    median = int(np.median(walked.last[passed])) + 1 if passed.any() else None
    return Odds(passes, breaches, neither, median, paths, sessions, block, seed)


def _of_histories(
    random: np.random.Generator, days: Days, rules: Rules, sessions: int, block: int
) -> npt.NDArray[np.float64]:
    """Return [histories, 2]: the shares that pass and that are breached of each history drawn from `days`."""
    histories = _drawn(random, len(days), _HISTORIES, len(days), block)
    rows = _drawn(random, len(days), _HISTORIES * _PATHS_OF_A_HISTORY, sessions, block)
    which = np.repeat(np.arange(_HISTORIES), _PATHS_OF_A_HISTORY)[:, None]
    ending = _walk(days, rules, histories[which, rows]).ending.reshape(_HISTORIES, -1)
    return np.stack(((ending == 1).mean(axis=1), (ending == -1).mean(axis=1)), axis=1)


def _walk(days: Days, rules: Rules, rows: Int) -> Walked:
    return walk(days.net[rows], days.low[rows], days.trades[rows] > 0, rules)


def _drawn(random: np.random.Generator, length: int, paths: int, sessions: int, block: int) -> Int:
    """Return int64 [paths, sessions]: rows of the days, in blocks that begin anywhere and go round the end."""
    blocks = -(-sessions // block)
    begins = random.integers(0, length, (paths, blocks, 1))
    return ((begins + np.arange(block)) % length).reshape(paths, -1)[:, :sessions]
