"""Strategies: bars in, Plan out. One file each, one line each in STRATEGIES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from market.bars import Timeframe
from market.contracts import Contract
from market.plans import Frames, Management, Plan
from strategies import ema_cross, mean_reversion, orb_rubber_band, overnight_range, pdh_pdl, trend_following
from strategies.conditions import Condition


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy as everything else sees it; `parameters` is its parameter dataclass, the functions take one of it.

    plan         frames, parameters, contract -> a row a base bar; pure: rows never depend on later bars
    management   parameters, contract -> what happens to its positions
    warm_up      parameters -> how many bars of each frame decide about the last row
    timeframes   parameters -> the frames besides the minutes
    suits        parameters -> the market conditions in which it trades when it is filtered by them
    """

    name: str
    title: str
    parameters: type[Any]
    plan: Callable[[Frames, Any, Contract], Plan]
    management: Callable[[Any, Contract], Management]
    warm_up: Callable[[Any], dict[Timeframe, int]]
    timeframes: Callable[[Any], tuple[Timeframe, ...]]
    suits: Callable[[Any], frozenset[Condition]]
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
        suits=module.suits,
        enabled_by_default=enabled_by_default,
    )


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        _listed("overnight_range", "Overnight range breakout", overnight_range, enabled_by_default=True),
        _listed("mean_reversion", "Return to the average", mean_reversion),
        _listed("trend_following", "Trend following", trend_following),
        _listed("pdh_pdl", "Yesterday's high and low", pdh_pdl),
        _listed("ema_cross", "EMA cross", ema_cross),
        _listed("orb_rubber_band", "Opening range, sprung back", orb_rubber_band),
    )
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
    "MEAN_REVERSION_ENABLED": ("mean_reversion", ENABLED),
    "TREND_FOLLOWING_ENABLED": ("trend_following", ENABLED),
    "PDH_PDL_ENABLED": ("pdh_pdl", ENABLED),
    "EMA_CROSS_ENABLED": ("ema_cross", ENABLED),
    "ORB_RUBBER_BAND_ENABLED": ("orb_rubber_band", ENABLED),
}
"""Environment variable -> (strategy, parameter) that it seeds and pins."""
