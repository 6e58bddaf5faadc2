"""A simulation with everything that is said about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from backtest.codes import Policy, Refusal
from backtest.days import Days, by_session
from backtest.outcomes import Outcome, Rules, judge
from backtest.simulation import Planner, Prepared, Simulated, Stretch, Terms, prepare, simulate
from backtest.statistics import Statistics, statistics
from backtest.trades import Trades, dependent


@dataclass(frozen=True, slots=True)
class Result:
    """What a strategy would have done in `sessions`, and what the firm would have made of it."""

    prepared: tuple[Prepared, ...]
    terms: Terms
    simulated: Simulated
    sessions: tuple[date, ...]
    days: Days
    statistics: Statistics
    outcome: Outcome | None

    @property
    def refused(self) -> dict[str, int]:
        """Return how many signals were not placed, by reason."""
        counts = self.simulated.refused.tolist()
        return {refusal.name.lower(): counts[refusal] for refusal in Refusal if counts[refusal]}


def backtest(
    planner: Planner,
    params: Any,
    stretches: Sequence[Stretch],
    sessions: Sequence[date],
    terms: Terms,
    *,
    rules: Rules | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Result:
    """Return what the strategy does in the stretches. Raises ValueError without a stretch.

    sessions   every session of them that counts, with or without a trade
    progress   told how many of how many steps are done
    """
    if not stretches:
        raise ValueError("there are no bars to simulate")
    prepared = []
    for number, stretch in enumerate(stretches):
        progress(number, len(stretches) + 1)
        prepared.append(prepare(planner, params, stretch, quantity=terms.quantity))
    progress(len(stretches), len(stretches) + 1)
    result = evaluate(prepared, sessions, terms, rules=rules)
    progress(len(stretches) + 1, len(stretches) + 1)
    return result


def evaluate(
    prepared: Sequence[Prepared], sessions: Sequence[date], terms: Terms, *, rules: Rules | None = None
) -> Result:
    """Return the result of plans that are made; the other reading of doubtful bars is simulated as well."""
    other = Policy.PESSIMISTIC if terms.policy is Policy.OPTIMISTIC else Policy.OPTIMISTIC
    otherwise = simulate(prepared, replace(terms, policy=other))
    return of(prepared, terms, simulate(prepared, terms), otherwise.trades, sessions, rules=rules)


def of(
    prepared: Sequence[Prepared],
    terms: Terms,
    simulated: Simulated,
    otherwise: Trades,
    sessions: Sequence[date],
    *,
    rules: Rules | None,
) -> Result:
    """Return what is said of a simulation; `otherwise` are its trades under the other reading of doubtful bars."""
    days = by_session(simulated.trades, sessions)
    figures = statistics(
        simulated.trades,
        days,
        dependent=dependent(simulated.trades, otherwise),
        otherwise_net=int(otherwise.net.sum()),
    )
    outcome = judge(days, rules) if rules else None
    return Result(tuple(prepared), terms, simulated, tuple(sessions), days, figures, outcome)
