"""Our simulation against backtesting.py, backtrader and vectorbt on the same bars, entries, brackets, fees and flats.

The peers live in virtual environments of their own beside the benchmarks' servers, made on the first run by pip; what
cannot be installed is said, and the run is not ok. A peer stays alive while its rounds alternate with ours. Ours is
timed with everything on: sessions, fees, the log of orders and trades, worst and best open results. A year through the
command line, start-up and report included, is timed as a user would see it: elapsed, and as the processor time of the
command, which a busy machine does not change.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import stack

SESSIONS, SWEEP_SESSIONS, COMBINATIONS = 40, 8, 1000
STOP, TARGET = 80, 120  # ticks of 1
PEERS = stack.VAR.parent / "bench-peers"
YEAR_GOAL, SCALE_GOAL = 5.0, 1.7
SETS = 80  # parameter sets of the scaling


@dataclass(frozen=True)
class Duel:
    """One peer: its package, what it runs, how many times slower it has to be, and how many rounds it gets."""

    name: str
    package: str
    goal: float
    rounds: int
    repeats: int  # of ours, the median of which is one round


DUELS = (
    Duel("backtesting", "backtesting", 300, 2, 30),
    Duel("backtrader", "backtrader", 3000, 2, 30),
    Duel("vectorbt", "vectorbt", 10, 7, 30),
    Duel("sweep", "vectorbt", 30, 3, 9),
)


def main() -> int:
    from backtest import compiled

    compiled.kernel(print)
    figures: dict[str, object] = {}
    files = {name: _write(name, sessions) for name, sessions in (("day", SESSIONS), ("sweep", SWEEP_SESSIONS))}
    ours = {"sweep": _sweep(files["sweep"]), "day": _ours(files["day"])}
    shares, ok = [], True
    for duel in DUELS:
        file = "sweep" if duel.name == "sweep" else "day"
        ratio, processor, said = _fight(duel, files[file], ours[file])
        print(f"{duel.name:11} {said}")
        figures[duel.name] = None if ratio is None else round(ratio, 1)
        figures[f"{duel.name}_processor"] = None if processor is None else round(processor, 1)
        shares.append((ratio or 0.0) / duel.goal)
    scale = _scaling()
    figures["two_processes"] = round(scale, 2)
    print(f"two processes search {scale:.2f}x as fast as one (goal {SCALE_GOAL}x; {os.cpu_count()} processors)")
    elapsed, processor = _year()
    figures["year_from_the_prompt_s"], figures["year_processor_s"] = round(elapsed, 2), round(processor, 2)
    print(
        f"a year from the prompt, report included: {elapsed:.2f} s, {processor:.2f} s of a processor "
        f"(goal {YEAR_GOAL:g} s)"
    )
    shares += [scale / SCALE_GOAL, YEAR_GOAL / elapsed]
    ok = min(shares) >= 1
    goal = ", ".join(f"{duel.name} >= {duel.goal}x" for duel in DUELS)
    goal += f", two processes >= {SCALE_GOAL}x, a year <= {YEAR_GOAL:g} s"
    print(json.dumps({"name": "backtest", "figures": figures, "ratio": round(min(shares), 2), "goal": goal, "ok": ok}))
    return 0


def _fight(duel: Duel, file: Path, ours: Callable[[int], float]) -> tuple[float | None, float | None, str]:
    """Return how many times faster ours is, elapsed and by processor time, and a line that says it.

    Medians of alternating rounds. By processor time all our threads count, and who else uses the machine does not.
    """
    python = _python(duel.package)
    if python is None:
        return None, None, f"{duel.package} cannot be installed into {PEERS / duel.package}: is there a network?"
    with _peer(python, duel.name, file) as play:
        told = [(play(), _round(ours, duel.repeats)) for _ in range(duel.rounds)]
    ratios = sorted(theirs["seconds"] / mine for theirs, (mine, _) in told)
    processor = statistics.median(theirs["processor"] / mine for theirs, (_, mine) in told)
    theirs, mine = (
        statistics.median(column) for column in zip(*((t["seconds"], m) for t, (m, _) in told), strict=True)
    )
    ratio = statistics.median(ratios)
    said = f"{theirs * 1000:10.2f} ms against {mine * 1000:.2f} ms, {told[0][0]['trades']} trades: {ratio:.0f}x "
    said += f"({ratios[0]:.0f} to {ratios[-1]:.0f}; goal {duel.goal:g}x), {processor:.0f}x by processor time"
    return ratio, processor, said


def _round(ours: Callable[[int], float], repeats: int) -> tuple[float, float]:
    """Return what ours took in one round, elapsed and of all processors, per repeat."""
    before = time.process_time()
    seconds = ours(repeats)
    return seconds, (time.process_time() - before) / repeats


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


def _ours(file: Path) -> Callable[[int], float]:
    """Return what simulates so many times and returns the median of the seconds."""
    from backtest.simulation import Terms, simulate

    prepared, terms = _prepared(file), Terms(1, slippage=0, costs=Decimal("0.61"))
    found = simulate([prepared], terms)
    print(f"ours        {len(found.trades)} trades in {len(prepared.frames.base)} bars")

    def play(repeats: int) -> float:
        return statistics.median(_timed(lambda: simulate([prepared], terms)) for _ in range(repeats))

    return play


def _sweep(file: Path) -> Callable[[int], float]:
    """Return what runs all combinations of stop and target, a thread a processor, with the log of orders and trades."""
    from backtest import codes, compiled

    kernel = compiled.kernel()
    prepared, data = _prepared(file), dict(np.load(file))
    bars, frames = prepared.frames.base, prepared.frames
    none = (np.zeros((0, 4), np.int64), np.zeros(len(bars) + 1, np.int64))
    no_slippage = np.zeros(1, np.int64)
    columns = (*bars.columns[:5], frames.trade_date, prepared.flat_at, frames.tradeable)
    pairs = list(zip(data["stops"].astype(int).tolist(), data["targets"].astype(int).tolist(), strict=True))
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)

    def some(mine: list[tuple[int, int]]) -> int:
        signals, trades = prepared.signals.copy(), 0
        for stop, target in mine:
            for first in (codes.LONG, codes.SHORT):
                signals[:, first + codes.STOP_TICKS], signals[:, first + codes.TARGET_TICKS] = stop, target
            trades += len(kernel.run(*columns, signals, *none, no_slippage, 0, 0, 0, 0, 4)[1])
        return trades

    def once() -> int:
        return sum(pool.map(some, [pairs[first::threads] for first in range(threads)]))

    print(f"ours        {once()} trades of {len(pairs)} combinations")
    return lambda repeats: statistics.median(_timed(once) for _ in range(repeats))


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _python(package: str) -> Path | None:
    """Return the Python that has the package, None if it cannot be installed."""
    python = PEERS / package / "bin" / "python"
    needed = (package, "pandas")  # which the peers' side reads the bars with; backtrader does not bring it
    known = [python, "-c", f"import {', '.join(needed)}"]
    if not python.exists() or subprocess.run(known, capture_output=True, check=False).returncode:
        print(f"installing {package} into {PEERS / package}")
        subprocess.run([sys.executable, "-m", "venv", str(PEERS / package)], check=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *needed], capture_output=True, check=False)
        if done.returncode:
            print(done.stderr.decode()[-300:])
    return None if subprocess.run(known, capture_output=True, check=False).returncode else python


@contextmanager
def _peer(python: Path, engine: str, file: Path) -> Iterator[Callable[[], dict[str, float]]]:
    """Yield what lets a peer play one round; it has compiled and read its bars by then."""
    script = Path(__file__).with_name("_backtest_peers.py")
    with subprocess.Popen(
        [python, script, engine, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the peer has no pipes")
        pipes = child.stdin, child.stdout

        def play() -> dict[str, float]:
            print("go", file=pipes[0], flush=True)
            return json.loads(pipes[1].readline())

        yield play
        child.stdin.close()


def _scaling() -> float:
    """Return how much faster two processes evaluate parameter sets than one, once both have started; quickest of 5.

    The quickest, not the median: two processes need both processors for themselves, and what else runs takes one.
    """
    from backtest.evaluation import Evaluator, Job, Recipe
    from backtest.simulation import Stretch, Terms
    from market.bars import Bars, epoch
    from market.calendar import generate
    from market.contracts import Contract
    from strategies import STRATEGIES
    from strategies.parameters import parse

    sessions = generate(date(2026, 5, 1), date(2026, 10, 30))
    at = np.concatenate([np.arange(epoch(one.opens_at), epoch(one.closes_at), 60, np.int64) for one in sessions])
    close = 80_000 + np.cumsum(np.round(np.random.default_rng(5).normal(0, 12, len(at))).astype(np.int64))
    opened = np.concatenate(([80_000], close[:-1]))
    bars = Bars(at, opened, np.maximum(opened, close) + 4, np.minimum(opened, close) - 4, close, np.ones_like(at))
    contract, kind = Contract("X", "MNQ", Decimal("0.25"), Decimal("0.5")), STRATEGIES["ema_cross"]
    stretch = Stretch(contract, bars, tuple(sessions), None, sessions[20].trade_date, sessions[-1].trade_date)
    dates = tuple(one.trade_date for one in sessions[20:])
    job = Job(kind, Recipe(parse, kind.parameters, {}), Terms(1), (stretch,), dates, {})
    wanted = [{"fast_period": str(5 + number % 12), "trail_atr": str(2 + number / 100)} for number in range(SETS)]
    warm = [{"fast_period": "4", "trail_atr": str(20 + number / 4)} for number in range(SETS)]  # until both have begun

    def seconds(processes: int) -> float:
        with Evaluator(job, processes=processes) as evaluator:
            evaluator.evaluate(warm)
            return _timed(lambda: evaluator.evaluate(wanted))

    one, two = zip(*((seconds(1), seconds(2)) for _ in range(5)), strict=True)
    return min(one) / min(two)


def _year() -> tuple[float, float]:
    """Return seconds of a year of minutes through overnight_range at the prompt, and of a processor; medians of 3."""
    with stack.servers():
        _fill()
        command = ["manage.py", "backtest", "overnight_range", "MNQ", "--report", str(stack.VAR / "year.html")]
        run = partial(subprocess.run, [sys.executable, *command], cwd=stack.ROOT, check=True, stdout=subprocess.DEVNULL)
        elapsed, processor = [], []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            elapsed.append(_timed(run))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return statistics.median(elapsed), statistics.median(processor)


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
