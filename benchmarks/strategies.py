"""What one evaluation costs: plan() of every strategy on the bars that it declares as its warm-up.

The floor is what an evaluation cannot leave out, done in the same rounds: the frames of the same bars, which are
resampled and given their sessions. Random minutes of forty sessions, evaluated at the close of 10:00 New York, with the
filter by market condition on. Processor time: nothing here waits, and other work on the machine does not count.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from datetime import date, timedelta
from typing import Any

import numpy as np

from market.bars import Bars, Timeframe, epoch, resample
from market.plans import Frames, frames
from market.products import product
from market.sessions import Session, regular_session
from strategies import STRATEGIES, Strategy

ROUNDS, WARM_UP = 300, 20
GOAL_MS = 3.0
SESSIONS = [
    regular_session(day)
    for day in (date(2026, 9, 1) + timedelta(days=number) for number in range(56))
    if day.weekday() < 5
]
CONTRACT = product("MNQ").contract(2026, 12)


def main() -> int:
    base, daily = _minutes(), _days()
    cases = {name: _case(strategy, base, daily) for name, strategy in STRATEGIES.items()}
    plans: dict[str, list[float]] = {name: [] for name in cases}
    floors: dict[str, list[float]] = {name: [] for name in cases}
    gc.disable()
    for number in range(WARM_UP + ROUNDS):
        for name, (strategy, params, built, sessions) in cases.items():
            timeframes = strategy.timeframes(params)
            begin = time.thread_time()
            strategy.plan(built, params, CONTRACT)
            middle = time.thread_time()
            frames(built.base, sessions, timeframes, daily)
            end = time.thread_time()
            if number >= WARM_UP:
                plans[name].append((middle - begin) * 1e3)
                floors[name].append((end - middle) * 1e3)
    figures: dict[str, float] = {}
    ratios = []
    for name, (_, _, built, _) in cases.items():
        p50, p99 = statistics.median(plans[name]), statistics.quantiles(plans[name], n=100)[98]
        floor = statistics.median(floors[name])
        print(
            f"{name:16} {len(built.base):6} minutes  plan p50 {p50:5.2f} ms  p99 {p99:5.2f} ms  frames {floor:5.2f} ms"
        )
        figures |= {f"{name}_p50_ms": round(p50, 2), f"{name}_p99_ms": round(p99, 2)}
        ratios.append(p50 / floor)
    slowest = max(statistics.median(taken) for taken in plans.values())
    goal = f"p50 <= {GOAL_MS:g} ms for each"
    ok = slowest <= GOAL_MS
    ratio = round(max(ratios), 2)
    print(json.dumps({"name": "strategies", "figures": figures, "ratio": ratio, "goal": goal, "ok": ok}))
    return 0


def _case(strategy: Strategy, base: Bars, daily: Bars) -> tuple[Strategy, Any, Frames, list[Session]]:
    """Return the strategy with everything on that makes it look farther, and the frames of its warm-up."""
    params = strategy.parameters(filter_condition=True)
    used = base[-strategy.warm_up(params)[Timeframe.M1] :]
    sessions = [session for session in SESSIONS if epoch(session.closes_at) > used.opened_at[0]]
    return strategy, params, frames(used, sessions, strategy.timeframes(params), daily), sessions


def _minutes() -> Bars:
    """Return the minutes of all sessions, of the last one until 10:00."""
    random = np.random.default_rng(7)
    until = epoch(SESSIONS[-1].rth_opens_at) + 30 * 60
    opened_at = np.concatenate(
        [np.arange(epoch(session.opens_at), min(until, epoch(session.closes_at)), 60) for session in SESSIONS]
    )
    close = 80_000 + random.integers(-12, 13, len(opened_at)).cumsum()
    opening = np.append(80_000, close[:-1])
    reach = random.integers(0, 12, (2, len(opened_at)))
    high, low = np.maximum(opening, close) + reach[0], np.minimum(opening, close) - reach[1]
    return Bars(opened_at, opening, high, low, close, random.integers(1, 500, len(opened_at)))


def _days() -> Bars:
    """Return daily bars of a year until the last session."""
    random = np.random.default_rng(8)
    first = SESSIONS[-1].trade_date - timedelta(days=365)
    days = [day for day in (first + timedelta(days=number) for number in range(365)) if day.weekday() < 5]
    opened_at = np.array([epoch(regular_session(day).opens_at) for day in days])
    close = 80_000 + random.integers(-800, 800, len(days)).cumsum()
    reach = random.integers(200, 1500, (2, len(days)))
    bars = Bars(opened_at, close, close + reach[0], close - reach[1], close, np.zeros(len(days), np.int64))
    return resample(bars, Timeframe.D1, opened_at, source=Timeframe.D1)[0]


if __name__ == "__main__":
    sys.exit(main())
