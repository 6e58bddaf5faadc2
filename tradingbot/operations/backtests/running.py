"""From a wish and the cached bars to a result."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from backtest.codes import Policy
from backtest.results import Result, backtest
from tradingbot.models import Contract
from tradingbot.operations.backtests.histories import History, history
from tradingbot.operations.backtests.wishes import Wish, rules_of


def simulate(
    wish: Wish,
    contract: Contract,
    *,
    now: datetime,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Result, History]:
    """Return what the wish comes to on the cached bars of `contract` and the months before it, and those bars.

    progress   told how many of how many steps are done; what it raises ends the simulation
    Raises NoBars, and ValueError for a wish that is not possible.
    """
    planner, params, terms = wish.planner, wish.params, wish.terms
    found = history(
        contract,
        [(planner, params)],
        first=wish.first,
        last=wish.last,
        now=now,
        details=wish.policy is Policy.DETAIL,
    )
    rules = rules_of(wish.firm, found.sessions[-1])
    return backtest(planner, params, found.stretches, found.sessions, terms, rules=rules, progress=progress), found
