"""Strategies: bars in, Plan out. One file each, one line each in STRATEGIES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from market.bars import Timeframe
from market.contracts import Contract
from market.plans import Frames, Management, Plan
from strategies import overnight_range


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy as everything else sees it; `parameters` is its parameter dataclass, the functions take one of it.

    plan         frames, parameters, contract -> a row a base bar; pure: rows never depend on later bars
    management   parameters, contract -> what happens to its positions
    warm_up      parameters -> how many bars of each frame decide about the last row
    timeframes   parameters -> the frames besides the minutes
    """

    name: str
    title: str
    parameters: type[Any]
    plan: Callable[[Frames, Any, Contract], Plan]
    management: Callable[[Any, Contract], Management]
    warm_up: Callable[[Any], dict[Timeframe, int]]
    timeframes: Callable[[Any], tuple[Timeframe, ...]]
    enabled_by_default: bool


def _listed(name: str, title: str, module: Any, *, enabled_by_default: bool = False) -> Strategy:
    return Strategy(
        name=name,
        title=title,
        parameters=module.Parameters,
        plan=module.plan,
        management=module.management,
        warm_up=module.warm_up,
        timeframes=module.timeframes,
        enabled_by_default=enabled_by_default,
    )


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (_listed("overnight_range", "Overnight range breakout", overnight_range, enabled_by_default=True),)
}
"""Every strategy that can be configured, by name."""

ENABLED = "enabled"
"""Stands in ENVIRONMENT for the strategy's switch, which is no parameter."""

ENVIRONMENT: dict[str, tuple[str, str]] = {
    "OVERNIGHT_ENABLED": ("overnight_range", ENABLED),
    "OVERNIGHT_SYMBOL": ("overnight_range", "symbol"),
    "OVERNIGHT_POSITION_SIZE": ("overnight_range", "size"),
    "OVERNIGHT_ATR_PERIOD": ("overnight_range", "atr_period"),
    "OVERNIGHT_ATR_MULTIPLIER_SL": ("overnight_range", "stop_atr"),
    "OVERNIGHT_ATR_MULTIPLIER_TP": ("overnight_range", "target_atr"),
    "OVERNIGHT_USE_BREAKEVEN": ("overnight_range", "breakeven"),
    "OVERNIGHT_BREAKEVEN_PROFIT_PTS": ("overnight_range", "breakeven_points"),
    "OVERNIGHT_EOD_FLATTEN": ("overnight_range", "flatten"),
    "OVERNIGHT_EOD_FLATTEN_TIME": ("overnight_range", "flat_at"),
    "OVERNIGHT_FILTER_RANGE_SIZE": ("overnight_range", "filter_range_size"),
    "OVERNIGHT_FILTER_GAP": ("overnight_range", "filter_gap"),
    "OVERNIGHT_FILTER_VOLATILITY": ("overnight_range", "filter_volatility"),
    "OVERNIGHT_FILTER_DLL_PROXIMITY": ("overnight_range", "filter_dll_proximity"),
}
"""Environment variable -> (strategy, parameter) that it seeds and pins."""
