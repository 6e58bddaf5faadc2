"""One closed minute for many strategies: 20 on each of 100 contracts, every contract traded by an account of its own.

What `normal.evaluate` does for each contract is done for all of them, one after the other in one process: bars known,
2,000 plans made and walked, their rows claimed. The floor is what cannot be left out, the plans alone on the same
frames, in the same round; processor time, and elapsed with what PostgreSQL does. Ten sessions of random minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import time
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from benchmarks import stack

CONTRACTS, STRATEGIES_EACH, SESSIONS, ROUNDS = 100, 20, 10, 3
GOAL = 20.0  # seconds of one process: a third of the minute
_KINDS = ("overnight_range", "mean_reversion", "trend_following", "pdh_pdl", "ema_cross", "orb_rubber_band")


def main() -> int:
    with stack.servers("2026-11-18T10:45:02-05:00@1x"):
        at = _fill()
        seconds, elapsed, floors = zip(
            *(_minute(at + timedelta(minutes=number)) for number in range(ROUNDS)), strict=True
        )
    number = CONTRACTS * STRATEGIES_EACH
    took, floor = statistics.median(seconds), statistics.median(floors)
    figures = {
        "strategies": number,
        "processor_s": round(took, 2),
        "elapsed_s": round(statistics.median(elapsed), 2),
        "plans_alone_s": round(floor, 2),
        "a_strategy_ms": round(took / number * 1e3, 2),
        "processors": os.cpu_count(),
    }
    print(
        f"{number} strategies on {CONTRACTS} contracts, one closed minute: {took:.1f} s of one process "
        f"({min(seconds):.1f} to {max(seconds):.1f}), {took / number * 1e3:.1f} ms each; the plans alone {floor:.1f} s"
    )
    goal, ok = f"<= {GOAL:g} s of one process", took <= GOAL
    told = {"name": "fan_out", "figures": figures, "ratio": round(took / floor, 2), "goal": goal, "ok": ok}
    print(json.dumps(told))
    return 0


def _minute(at: datetime) -> tuple[float, float, float]:
    """Record the minute that closes at `at`, then evaluate; return seconds of processor, elapsed, of plans alone."""
    from strategies import STRATEGIES
    from tradingbot.models import Contract, Strategy
    from tradingbot.operations import decisions
    from tradingbot.operations.sights import look

    contracts = list(Contract.objects.order_by("pk"))
    for number, contract in enumerate(contracts):
        _record(contract, number, at)
    begun, cpu = time.perf_counter(), time.process_time()
    for contract in contracts:
        decisions.evaluate(contract, now=at + timedelta(seconds=2))
    took, elapsed = time.process_time() - cpu, time.perf_counter() - begun
    floor = 0.0
    for contract in contracts:
        rows = list(Strategy.objects.filter(symbol=contract.symbol))
        sight = look(contract, rows, now=at + timedelta(seconds=2))
        cpu = time.process_time()
        for row in rows:
            STRATEGIES[row.kind].plan(sight.frames, row.typed_parameters(), contract.spec)
        floor += time.process_time() - cpu
    return took, elapsed, floor


def _fill() -> datetime:
    """Write the calendar, contracts, accounts and strategies, and the bars until now; returns the newest close."""
    from tradingbot.clock import now
    from tradingbot.models import Account, Contract, Login, Strategy
    from tradingbot.operations import calendar

    moment = now()
    at = moment.replace(second=0, microsecond=0)
    calendar.ensure_calendar(now=moment)
    login = Login.objects.create(name="many", venue="paper", base_url="http://127.0.0.1:1")
    for number in range(CONTRACTS):
        account = Account.objects.create(login=login, broker_account_id=number, name=f"PRAC-{number}", stage="practice")
        contract = Contract.objects.create(
            venue="paper",
            broker_contract_id=f"CON.F.US.L{number}.Z26",
            symbol=f"L{number}",
            name=f"L{number}Z6",
            tick_size=Decimal("0.25"),
            tick_value=Decimal("0.5"),
            active=True,
            seen_at=moment,
        )
        kinds = itertools.islice(itertools.cycle(_KINDS), STRATEGIES_EACH)
        Strategy.objects.bulk_create(
            Strategy(name=f"s{number}-{place}", kind=kind, account=account, symbol=contract.symbol, enabled=True)
            for place, kind in enumerate(kinds)
        )
        for session in calendar.recent(moment, SESSIONS):
            _record(contract, number, min(at, session.closes_at), session)
    return at + timedelta(minutes=1)


def _record(contract: object, number: int, until: datetime, session: object = None) -> None:
    """Record the session's minutes until then, or without one the minute that closes then."""
    from market.bars import Bars, epoch
    from tradingbot.operations import calendar
    from tradingbot.operations.bars.storing import record_in

    whole = session is not None
    session = session or calendar.current(until - timedelta(minutes=1))
    first = session.opens_at if whole else until - timedelta(minutes=1)
    at = np.arange(epoch(first), epoch(until), 60, np.int64)
    random = np.random.default_rng(number * 1_000_003 + int(at[0]) // 60)
    close = 80_000 + np.cumsum(np.round(random.normal(0, 12, len(at))).astype(np.int64))
    opened = np.concatenate(([80_000], close[:-1]))
    bars = Bars(at, opened, np.maximum(opened, close) + 4, np.minimum(opened, close) - 4, close, np.full_like(at, 100))
    record_in(contract, session, bars, source="bench", covered_until=until, now=until + timedelta(seconds=1))


if __name__ == "__main__":
    sys.exit(main())
