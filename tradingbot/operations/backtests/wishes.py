"""What a person wants simulated: checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import strategies as registry
from backtest.codes import Policy
from backtest.outcomes import Rules
from backtest.simulation import Terms
from risk import rulebook
from risk.costs import ROUND_TURN
from risk.rulebook import Stage
from strategies import Strategy as Kind
from strategies.parameters import dump, parse
from tradingbot.models import Strategy

FIRMS = tuple(f"{stage}-{size}" for stage in (Stage.COMBINE, Stage.EXPRESS, Stage.PRACTICE) for size in rulebook.SIZES)
"""Account types that a result can be judged by, for example combine-50."""
_WITH_DAILY_LOSS = "-dll"


@dataclass(frozen=True, slots=True)
class Wish:
    """A simulation as it was asked for.

    values     parameters as text or typed, over the strategy's defaults; `symbol` is not among them
    slippage   ticks on every market and stop order
    hourly     the same by hour of New York, all 24; empty: `slippage` at any hour
    measured   where the slippage is from, empty for one that was assumed
    costs      dollars a contract and side, None: the firm's own
    firm       one of FIRMS, perhaps followed by -dll for the daily loss limit; empty for none
    """

    kind: str
    symbol: str
    values: Mapping[str, object]
    first: date | None = None
    last: date | None = None
    slippage: int = 1
    policy: Policy = Policy.PESSIMISTIC
    firm: str = "combine-50"
    costs: Decimal | None = None
    hourly: tuple[int, ...] = ()
    measured: str = ""

    @property
    def planner(self) -> Kind:
        """Return the strategy. Raises ValueError for an unknown one."""
        try:
            return registry.STRATEGIES[self.kind]
        except KeyError:
            raise ValueError(f"unknown strategy {self.kind!r}; known are {', '.join(registry.STRATEGIES)}") from None

    @property
    def params(self) -> Any:
        """Return the parameters. Raises ParameterError for wrong ones."""
        return parse(self.planner.parameters, {**self.values, "symbol": self.symbol})

    @property
    def terms(self) -> Terms:
        """Return quantity, slippage and costs. Raises ValueError for a product whose costs are not known."""
        terms = terms_of(self.params, self.symbol, slippage=self.slippage, policy=self.policy)
        return replace(terms, hourly=self.hourly, costs=terms.costs if self.costs is None else self.costs)

    def check(self) -> None:
        """Raise what `planner`, `params`, `terms` and `rules_of` raise."""
        _ = self.terms
        rules_of(self.firm, date.max)

    @property
    def slippage_from(self) -> str:
        """Return which slippage is simulated and where it is from, in words."""
        return (
            self.measured
            or f"assumed: {self.slippage} tick{'s' if self.slippage != 1 else ''} on market and stop orders"
        )

    def plain(self) -> dict[str, Any]:
        """Return the wish as JSON has it, with every parameter."""
        return {
            "strategy": self.kind,
            "symbol": self.symbol,
            "parameters": dump(self.params),
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "slippage_ticks": self.slippage,
            "slippage_by_hour": list(self.hourly) or None,
            "slippage_from": self.slippage_from,
            "bars": self.policy.name.lower(),
            "firm": self.firm,
            "costs": None if self.costs is None else str(self.costs),
        }


def configured(name: str) -> tuple[str, dict[str, object]]:
    """Return kind and parameters of what a person calls a strategy: one that is configured, else a kind.

    Raises ValueError, naming what there is, for neither.
    """
    row = Strategy.objects.filter(name=name).first()
    if row is not None:
        return row.kind, {key: value for key, value in row.parameters.items() if key != "symbol"}
    if name in registry.STRATEGIES:
        return name, {}
    known = sorted({*registry.STRATEGIES, *Strategy.objects.values_list("name", flat=True)})
    near = get_close_matches(name, known, n=1)
    raise ValueError(f"there is no strategy {name!r}; " + (f"did you mean {near[0]}?" if near else ", ".join(known)))


def terms_of(params: Any, symbol: str, *, slippage: int, policy: Policy) -> Terms:
    """Return the terms of a strategy with these parameters. Raises ValueError for a product without known costs."""
    if symbol not in ROUND_TURN:
        raise ValueError(f"the costs of {symbol} are not known")
    return Terms(quantity=params.size, slippage=slippage, costs=ROUND_TURN[symbol] / 2, policy=policy)


def rules_of(firm: str, on: date) -> Rules | None:
    """Return the rules of an account type on a date, None for none. Raises ValueError for an unknown one."""
    if not firm:
        return None
    name = firm.removesuffix(_WITH_DAILY_LOSS)
    stage, _, size = name.partition("-")
    found = rulebook.shipped().parameters(stage, int(size), on) if name in FIRMS else None
    if found is None or found.start is None or found.maximum_loss is None:
        raise ValueError(
            f"unknown account type {firm!r}; known are {', '.join(FIRMS)}, each also with {_WITH_DAILY_LOSS}"
        )
    rules = Rules(
        name=firm,
        start=found.start,
        maximum_loss=found.maximum_loss,
        daily_loss=found.daily_loss if firm.endswith(_WITH_DAILY_LOSS) else None,
    )
    if stage != Stage.COMBINE:
        return rules
    return replace(
        rules,
        target=found.profit_target,
        best_day=found.consistency_ratio or rules.best_day,
        least_days=found.min_trading_days or rules.least_days,
    )
