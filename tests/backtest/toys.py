"""A strategy of a few lines and a market that goes up in the mornings, for what works on any strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import numpy as np

from backtest.evaluation import Job, Recipe
from backtest.simulation import Stretch, Terms
from market.bars import Bars, epoch
from market.calendar import generate
from market.contracts import Contract
from market.plans import Frames, Kind, Management, Plan, PlanSide

MNQ = Contract("CON.F.US.MNQ.Z26", "MNQ", D("0.25"), D("0.5"))
SESSIONS = generate(date(2026, 9, 1), date(2026, 10, 30))


@dataclass(frozen=True)
class Parameters:
    """`side` 1 buys at 09:30, -1 sells; a target `target` ticks away."""

    side: int = 1
    target: int = 10
    size: int = 1


def parse(parameters: type, values: Mapping[str, object]) -> Any:
    made = parameters(**{name: int(str(value)) for name, value in values.items()})
    if made.target > 90:
        raise ValueError(f"target: {made.target} is too far")
    return made


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    length = len(frames.base)
    sides = PlanSide.nothing(length), PlanSide.nothing(length)
    rows = np.flatnonzero(frames.base.opened_at + 60 == frames.rth_open)
    mine = sides[0] if params.side > 0 else sides[1]
    mine.kind[rows], mine.stop_ticks[rows], mine.target_ticks[rows] = Kind.MARKET, 40, params.target
    mine.expires_at[rows] = frames.flat_by[rows]
    never = np.zeros(length, np.bool_)
    return Plan(*sides, never, never, never, np.zeros(length, np.int64))


def management(params: Parameters, contract: Contract) -> Management:
    return Management()


def timeframes(params: Parameters) -> tuple[()]:
    return ()


PLANNER: Any = SimpleNamespace(plan=plan, management=management, timeframes=timeframes)


def bars(turns_on: int = 1000) -> Bars:
    """Return minutes that rise 100 ticks after every 09:30, from the session numbered `turns_on` on fall as much."""
    days = []
    for number, session in enumerate(SESSIONS):
        at = np.arange(epoch(session.opens_at), epoch(session.closes_at), 60, np.int64)
        way = np.clip((at - epoch(session.rth_opens_at)) // 60, 0, 100) * (1 if number < turns_on else -1)
        price = 80_000 + way
        days.append(np.stack((at, price, price + 1, price - 1, price, np.ones(len(at), np.int64))))
    return Bars(*(np.ascontiguousarray(column) for column in np.concatenate(days, axis=1)))


def job(turns_on: int = 1000, **told: str) -> Job:
    dates = tuple(session.trade_date for session in SESSIONS)
    stretch = Stretch(MNQ, bars(turns_on), tuple(SESSIONS), None, dates[0], dates[-1])
    recipe = Recipe(parse, Parameters, {})
    return Job(PLANNER, recipe, Terms(1, slippage=0), (stretch,), dates, {"strategy": "toy", **told})
