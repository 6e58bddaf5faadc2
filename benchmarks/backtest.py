"""Our simulation against backtesting.py, backtrader and vectorbt on the same bars, entries, brackets, fees and flats.

The peers live in a virtual environment of their own under var/bench, made on the first run; without a network they are
missing and the run is not ok. Ours is timed with everything on: sessions, fees, the log of orders and trades, worst and
best open results. A year through the command line, start-up and report included, is timed as a user would see it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np

from benchmarks import stack

SESSIONS, SWEEP_SESSIONS, COMBINATIONS = 40, 8, 1000
STOP, TARGET = 80, 120  # ticks of 1
GOALS = {"backtesting": 300, "backtrader": 3000, "vectorbt": 10, "sweep": 30}
PACKAGES = {"backtesting": "backtesting", "backtrader": "backtrader", "vectorbt": "vectorbt"}
PEERS = stack.VAR.parent / "bench-peers"
YEAR_GOAL = 5.0


def main() -> int:
    figures: dict[str, object] = {}
    ratios = {}
    files = {name: _write(name, sessions) for name, sessions in (("day", SESSIONS), ("sweep", SWEEP_SESSIONS))}
    ours, trades, bars = _ours(files["day"])
    figures["ours_ms"], figures["million_bars_a_second"] = round(ours * 1000, 3), round(bars / ours / 1e6, 1)
    print(f"ours        {ours * 1000:10.2f} ms, {trades} trades in {bars} bars")
    for name, goal in GOALS.items():
        python = _peer(PACKAGES.get(name, "vectorbt"))
        mine = _sweep(files["sweep"]) if name == "sweep" else ours
        told = _run(python, name, files["sweep" if name == "sweep" else "day"]) if python else None
        if told is None:
            print(f"{name:11} is not installed here")
            figures[name] = None
            continue
        ratios[name] = told["seconds"] / mine
        figures[name] = round(ratios[name], 1)
        print(
            f"{name:11} {told['seconds'] * 1000:10.2f} ms, {told['trades']} trades: {ratios[name]:.0f}x (goal {goal}x)"
        )
    year = _year()
    figures["year_from_the_prompt_s"] = round(year, 2)
    print(f"a year from the prompt, report included: {year:.2f} s (goal {YEAR_GOAL:g} s)")
    ok = year <= YEAR_GOAL and all(ratios.get(name, 0) >= goal for name, goal in GOALS.items())
    goal = ", ".join(f"{name} >= {goal}x" for name, goal in GOALS.items()) + f", a year <= {YEAR_GOAL:g} s"
    least = min((ratios[name] / GOALS[name] for name in ratios), default=0.0)
    print(json.dumps({"name": "backtest", "figures": figures, "ratio": round(least, 2), "goal": goal, "ok": ok}))
    return 0


def _write(name: str, sessions: int) -> Path:
    """Write a random walk of minutes with an entry every half hour from 09:30 to 15:00, flat at 16:00."""
    random = np.random.default_rng(7)
    length = 1380 * sessions
    minute = np.arange(length) % 1380
    close = 80_000 + np.cumsum(np.round(random.normal(0, 12, length)).astype(np.int64))
    opened = np.concatenate(([80_000], close[:-1]))
    high = np.maximum(opened, close) + random.poisson(4, length)
    low = np.minimum(opened, close) - random.poisson(4, length)
    due = (minute >= 929) & (minute < 1260) & (minute % 30 == 29)
    side = np.where(due, np.where(random.random(length) < 0.5, 1, -1), 0)
    stack.VAR.mkdir(parents=True, exist_ok=True)
    file = stack.VAR.parent / f"bench-{name}.npz"
    np.savez(
        file,
        opened_at=1_750_000_000 // 86_400 * 86_400 + 60 * np.arange(length) + 3600 * (np.arange(length) // 1380),
        open=opened, high=high, low=low, close=close, side=side, flat=minute == 1319, date=np.arange(length) // 1380,
        stop=STOP, target=TARGET, stops=np.repeat(np.arange(40, 140, 2), 20)[:COMBINATIONS].astype(float),
        targets=np.tile(np.arange(60, 260, 10), 50)[:COMBINATIONS].astype(float),
    )  # fmt: skip
    return file


def _prepared(file: Path):
    """Return the file as the simulation takes it."""
    from backtest import codes
    from backtest.simulation import Prepared, Stretch
    from market.bars import Bars
    from market.contracts import Contract
    from market.plans import Frames, Management

    data = dict(np.load(file))
    columns = [data[name].astype(np.int64) for name in ("opened_at", "open", "high", "low", "close")]
    bars = Bars(*columns, np.ones(len(columns[0]), np.int64))
    rows = np.flatnonzero(data["side"])
    signals = np.zeros((len(rows), codes.SIGNAL_COLUMNS), np.int64)
    signals[:, codes.ROW], signals[:, codes.QUANTITY] = rows, 1
    for side, first in ((1, codes.LONG), (-1, codes.SHORT)):
        mine = data["side"][rows] == side
        signals[mine, first + codes.KIND] = 1
        signals[mine, first + codes.STOP_TICKS], signals[mine, first + codes.TARGET_TICKS] = STOP, TARGET
        signals[mine, first + codes.EXPIRES] = 1 << 40
    flat = data["opened_at"][data["flat"]].astype(np.int64) + 60
    flat_at = flat[data["date"]]
    never, yes = np.zeros(len(bars), np.int64), np.ones(len(bars), np.bool_)
    frames = Frames(bars, {}, data["date"].astype(np.int64), never, never, flat_at, yes)
    contract = Contract("X", "X", Decimal(1), Decimal(1))
    stretch = Stretch(contract, bars, (), None, date(2025, 1, 1), date(2026, 1, 1))
    return Prepared(stretch, frames, flat_at, signals, Management())


def _ours(file: Path) -> tuple[float, int, int]:
    """Return seconds of one simulation (median), its trades and bars."""
    from backtest.simulation import Terms, simulate

    prepared, terms = _prepared(file), Terms(1, slippage=0, costs=Decimal("0.61"))
    found = simulate([prepared], terms)
    seconds = []
    for _ in range(30):
        started = time.perf_counter()
        found = simulate([prepared], terms)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), len(found.trades), len(prepared.frames.base)


def _sweep(file: Path) -> float:
    """Return seconds of all combinations of stop and target through the kernel, with the log of orders and trades."""
    from backtest import codes, kernel

    prepared, data = _prepared(file), dict(np.load(file))
    bars, frames, signals = prepared.frames.base, prepared.frames, prepared.signals
    none = (np.zeros((0, 4), np.int64), np.zeros(len(bars) + 1, np.int64))
    columns = (*bars.columns[:5], frames.trade_date, prepared.flat_at, frames.tradeable)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        for stop, target in zip(data["stops"].astype(int), data["targets"].astype(int), strict=True):
            for first in (codes.LONG, codes.SHORT):
                signals[:, first + codes.STOP_TICKS], signals[:, first + codes.TARGET_TICKS] = stop, target
            kernel.run(*columns, signals, *none, 0, 0, 0, 0, 0, 4)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _peer(package: str) -> Path | None:
    """Return the Python that has the package, None if it cannot be installed."""
    python = PEERS / package / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS / package)], check=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", package], capture_output=True, check=False)
        if done.returncode:
            print(done.stderr.decode()[-300:])
    known = subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False)
    return None if known.returncode else python


def _run(python: Path, engine: str, file: Path) -> dict | None:
    rounds = {"backtrader": "1", "backtesting": "2", "sweep": "2"}.get(engine, "10")
    script = Path(__file__).with_name("_backtest_peers.py")
    done = subprocess.run([python, script, engine, str(file), rounds], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-600:])
        return None
    return json.loads(done.stdout.splitlines()[-1])


def _year() -> float:
    """Return seconds of a year of 1-minute bars through overnight_range at the prompt, the median of three."""
    with stack.servers():
        _fill()
        command = ["manage.py", "backtest", "overnight_range", "MNQ", "--report", str(stack.VAR / "year.html")]
        seconds = []
        for _ in range(4):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], cwd=stack.ROOT, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds[1:])  # the first of an installation compiles


def _fill() -> None:
    """Write an account, a contract and 258 sessions of a random walk."""
    from market.bars import Bars, epoch
    from tradingbot.clock import now
    from tradingbot.models import Account, Contract, Login
    from tradingbot.operations import calendar
    from tradingbot.operations.bars.storing import record_in

    at = now()
    login, _ = Login.objects.get_or_create(name="paper", defaults={"venue": "paper", "base_url": "http://127.0.0.1:1"})
    Account.objects.get_or_create(login=login, broker_account_id=1, defaults={"name": "PRAC-V2-1", "stage": "practice"})
    contract, _ = Contract.objects.get_or_create(
        venue="paper",
        broker_contract_id="CON.F.US.MNQ.Z26",
        defaults={
            "symbol": "MNQ", "name": "MNQZ6", "tick_size": Decimal("0.25"), "tick_value": Decimal("0.5"), "seen_at": at
        },
    )  # fmt: skip
    calendar.ensure_calendar(now=at, since=date(2025, 11, 1))
    random, price = np.random.default_rng(3), 80_000
    for session in calendar.between(date(2025, 11, 1), date(2026, 11, 17))[-258:]:
        opened_at = np.arange(epoch(session.opens_at), epoch(session.closes_at), 60, np.int64)
        wide = np.where(opened_at >= epoch(session.rth_opens_at), 22, 9)
        close = price + np.cumsum(np.round(random.normal(0, wide)).astype(np.int64))
        opened = np.concatenate(([price], close[:-1]))
        high, low = np.maximum(opened, close) + wide // 3, np.minimum(opened, close) - wide // 3
        bars = Bars(opened_at, opened, high, low, close, np.full(len(opened_at), 100, np.int64))
        record_in(contract, session, bars, source="bench", covered_until=session.closes_at, now=at)
        price = int(close[-1])


if __name__ == "__main__":
    sys.exit(main())
