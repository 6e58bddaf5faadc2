"""What every strategy's plan must obey, as checks that a test runs on its own bars."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from market.bars import Bars, Timeframe
from market.contracts import Contract
from market.plans import Frames, Plan, frames
from market.sessions import Session
from strategies import Strategy


def table(plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """Return everything a plan says as columns; the reason as text."""
    columns: dict[str, npt.NDArray[Any]] = {
        f"{name}.{column.name}": getattr(side, column.name)
        for name, side in (("long", plan.long), ("short", plan.short))
        for column in fields(side)
    }
    columns |= {name: getattr(plan, name) for name in ("oco", "exit_long", "exit_short", "trail_ticks")}
    reasons = np.zeros(len(plan), np.int64) if plan.reasons is None else plan.reasons
    columns["adds"] = np.zeros(len(plan), np.bool_) if plan.adds is None else plan.adds
    return columns | plan.figures | plan.measures | {"reason": np.array(plan.reason_texts)[reasons]}


def assert_same(one: Plan, other: Plan, rows: slice, message: str) -> None:
    """Assert that two plans say the same in `rows`, to the last digit."""
    columns, others = table(one), table(other)
    assert columns.keys() == others.keys()
    for name, column in columns.items():
        np.testing.assert_array_equal(column[rows], others[name][rows], err_msg=f"{name}: {message}")


def check_prefix(
    strategy: Strategy,
    params: Any,
    contract: Contract,
    base: Bars,
    sessions: Sequence[Session],
    daily: Bars,
    ends: Iterable[int],
) -> None:
    """Assert that rows never depend on later bars: each plan of the first bars is the beginning of the whole one."""
    needed = strategy.timeframes(params)
    whole = strategy.plan(frames(base, sessions, needed, daily), params, contract)
    for end in ends:
        early = strategy.plan(frames(base[:end], sessions, needed, daily), params, contract)
        assert_same(early, whole, slice(0, end), f"of {end} bars some rows changed when later bars came")


def check_window(
    strategy: Strategy,
    params: Any,
    contract: Contract,
    base: Bars,
    sessions: Sequence[Session],
    daily: Bars,
    ends: Iterable[int],
) -> None:
    """Assert that the declared warm-up decides about the last row: older bars change nothing in it."""
    needed, warm_up = strategy.timeframes(params), strategy.warm_up(params)
    for end in ends:
        every = frames(base[:end], sessions, needed, daily)
        minutes = warm_up[Timeframe.M1]
        last = _cut(frames(base[max(0, end - minutes) : end], sessions, needed, daily), warm_up)
        plans = (strategy.plan(built, params, contract) for built in (last, every))
        assert_same(*plans, slice(-1, None), f"the last of {end} rows needs more than {warm_up}")


def _cut(built: Frames, warm_up: dict[Timeframe, int]) -> Frames:
    derived = {timeframe: bars[max(0, len(bars) - warm_up[timeframe]) :] for timeframe, bars in built.derived.items()}
    closes = {timeframe: built.closes[timeframe][-len(bars) :] for timeframe, bars in derived.items() if len(bars)}
    return replace(built, derived=derived, closes=built.closes | closes)
