"""How likely an account is to pass, and to be lost today, if it goes on trading as it has traded.

Its own trades are drawn again: so many a day as on days of its own, each with the result of one of its own. What a
trade may be down while it is open is not in its result: a floor may be touched a little earlier than is told here.
Source: B. Efron, "Bootstrap Methods" (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from backtest.outcomes import Rules, floor
from backtest.trades import units
from market.bars import Int

LEAST_TRADES = 30
"""Fewer results say too little of the ones to come."""

_Lost = npt.NDArray[np.bool_]


class TooFewTrades(ValueError):
    """There are not enough trades to draw from."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands; dollars.

    equity     cash and open profit; highest: the highest balance at a session's end so far
    best_day   best result of a session so far, days: sessions with a trade, both without today
    today, trades_today   what today's closed trades have come to, and how many they are
    """

    equity: Decimal
    highest: Decimal
    best_day: Decimal = Decimal(0)
    days: int = 0
    today: Decimal = Decimal(0)
    trades_today: int = 0


@dataclass(frozen=True, slots=True)
class Prospects:
    """Shares of the ways in which it may go on.

    passes, breaches   within `sessions` sessions, today included; passes None where there is nothing to pass
    breaches_today     the floor is reached before this session ends
    trades             results that were drawn from
    """

    passes: float | None
    breaches: float
    breaches_today: float
    sessions: int
    paths: int
    trades: int


def fresh(rules: Rules) -> Standing:
    """Return the standing of an account that has not traded yet."""
    return Standing(equity=rules.start, highest=rules.start)


def prospects(
    by_day: Sequence[Sequence[Decimal]],
    standing: Standing,
    rules: Rules,
    *,
    sessions: int = 60,
    paths: int = 4_000,
    seed: int = 1,
) -> Prospects:
    """Return the odds of an account whose trades of each day had the net results `by_day`, days without trades too.

    Raises TooFewTrades below LEAST_TRADES results.
    """
    results = np.array([units(net) for day in by_day for net in day], np.int64)
    if len(results) < LEAST_TRADES:
        trades = "1 trade is" if len(results) == 1 else f"{len(results)} trades are"
        raise TooFewTrades(f"{trades} too few to tell odds, {LEAST_TRADES} are needed")
    counts = np.array([len(day) for day in by_day], np.int64)
    random = np.random.default_rng(seed)
    start, loss = units(rules.start), units(rules.maximum_loss)
    balance, highest, best = (np.full(paths, units(each), np.int64) for each in _amounts(standing))
    days = np.full(paths, standing.days, np.int64)
    alive, passed, breached = np.ones(paths, np.bool_), np.zeros(paths, np.bool_), np.zeros(paths, np.bool_)
    today = 0.0
    for session in range(sessions):
        first = session == 0
        done = standing.trades_today if first else 0
        before = units(standing.today) if first else 0
        drawn = np.maximum(random.choice(counts, paths) - done, 0)
        net, low = _session(random, results, drawn, before, rules)
        lost = alive & (balance + low <= floor(start, loss, highest))
        breached |= lost
        alive &= ~lost
        balance += net
        highest, best = np.maximum(highest, balance), np.maximum(best, net + before)
        days += drawn + done > 0
        if first:
            today = float(lost.mean())
        if rules.target is not None:
            passed |= alive & _passes(balance - start, best, days, rules)
            alive &= ~passed
        if not alive.any():
            break
    passes = None if rules.target is None else float(passed.mean())
    return Prospects(passes, float(breached.mean()), today, sessions, paths, len(results))


def _amounts(standing: Standing) -> tuple[Decimal, Decimal, Decimal]:
    return standing.equity, standing.highest, standing.best_day


def _session(random: np.random.Generator, results: Int, counts: Int, before: int, rules: Rules) -> tuple[Int, Int]:
    """Return what each path wins in a session, and its lowest point; a daily loss limit ends it where it is reached."""
    most = int(counts.max(initial=0))
    drawn = random.choice(results, (len(counts), most))
    drawn[np.arange(most) >= counts[:, None]] = 0
    if rules.daily_loss is not None:
        reached = before + np.cumsum(drawn, axis=1) <= -units(rules.daily_loss)
        drawn[:, 1:][np.maximum.accumulate(reached, axis=1)[:, :-1]] = 0
    curve = np.cumsum(drawn, axis=1)
    return drawn.sum(axis=1), curve.min(axis=1, initial=0)


def _passes(profit: Int, best: Int, days: Int, rules: Rules) -> _Lost:
    enough = profit >= units(rules.target or Decimal(0))
    steady = best * 100 <= profit * int(rules.best_day * 100)
    passes: _Lost = enough & steady & (days >= rules.least_days)
    return passes
