"""A search for parameters over the cached bars, with the newest sessions locked away."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from backtest.axes import Axis, combinations
from backtest.evaluation import Evaluator, Job, Recipe
from backtest.monte_carlo import odds
from backtest.optimiser import OBJECTIVES, Method, Trial, search
from backtest.outcomes import judge
from backtest.trades import UNIT
from backtest.walk_forward import WalkForward, walk_forward
from strategies.parameters import ParameterError, fields_of, parse
from tradingbot import models
from tradingbot.models import Contract
from tradingbot.operations.backtests.histories import History, history
from tradingbot.operations.backtests.wishes import Wish, rules_of

MOST_COMBINATIONS = 100_000
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it was asked for.

    train, test   sessions of a walk-forward window; 0 for none
    held_out      percent of the sessions, the newest, that nothing looks at
    unlock        look at them after all, once, with the parameters that were found
    name          of the journal; a search of the same name goes on where it was broken off
    """

    wish: Wish
    axes: tuple[Axis, ...]
    method: Method = Method.GRID
    objective: str = "sharpe"
    trials: int = 200
    least_trades: int = 20
    train: int = 0
    test: int = 0
    held_out: int = 20
    unlock: bool = False
    processes: int = 0
    name: str = ""
    seed: int = 1

    def check(self) -> None:
        """Raise ValueError for what cannot be searched."""
        known = {spec.name for spec in fields_of(self.wish.planner.parameters)}
        for axis in self.axes:
            if axis.name not in known or axis.name == "symbol":
                raise ValueError(f"--search: {axis.name} is no parameter of {self.wish.kind} that can be searched")
            wrong = [why for value in axis.values if (why := _wrong(self.wish, {axis.name: value}))]
            if len(wrong) == len(axis.values):
                raise ValueError(f"--search: no value of {axis.name} is possible; {wrong[0]}")
        if self.method is Method.GRID and combinations(self.axes) > MOST_COMBINATIONS:
            raise ValueError(f"{combinations(self.axes):,} combinations: at most {MOST_COMBINATIONS:,}, or use tpe")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"unknown objective {self.objective!r}; known are {', '.join(OBJECTIVES)}")
        if not 0 <= self.held_out <= 90:
            raise ValueError(f"--held-out: {self.held_out} % is not between 0 and 90")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found; `searched` sessions were looked at, the rest is held out."""

    history: History
    searched: int
    trials: tuple[Trial, ...]
    walk: WalkForward | None
    held_out: Trial | None


def find(
    asked: Search,
    contract: Contract,
    *,
    now: datetime,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Found:
    """Search, walk forward if that is asked, and look at the held-out sessions if they are unlocked.

    Raises NoBars, OtherSearch, and ValueError for what is not possible.
    """
    wish = asked.wish
    found = history(contract, [(wish.planner, wish.params)], first=wish.first, last=wish.last, now=now)
    searched = len(found.sessions) - len(found.sessions) * asked.held_out // 100
    journal = journal_of(asked.name) if asked.name else None
    with Evaluator(_job(wish, found), processes=asked.processes or os.cpu_count() or 1, journal=journal) as evaluator:
        common: dict[str, Any] = {
            "objective": OBJECTIVES[asked.objective],
            "method": asked.method,
            "trials": asked.trials,
            "least_trades": asked.least_trades,
            "seed": asked.seed,
        }
        trials = search(
            evaluator,
            asked.axes,
            rows=slice(0, searched),
            progress=lambda done, of: progress("searching", done, of),
            **common,
        )
        walk = None
        if asked.train:
            walk = walk_forward(
                evaluator,
                asked.axes,
                sessions=searched,
                train=asked.train,
                test=asked.test,
                progress=lambda done, of: progress("walking forward", done, of),
                **{**common, "least_trades": max(1, asked.least_trades * asked.train // max(1, searched))},
            )
        held_out = _unlocked(asked, evaluator, trials[0], searched) if asked.unlock else None
    return Found(found, searched, tuple(trials), walk, held_out)


def journal_of(name: str) -> Path:
    """Return where the journal of that name is. Raises ValueError for a name that is no file name."""
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"--name: {name!r} may have letters, digits, - and _ only")
    return Path(settings.VAR_DIR) / "searches" / f"{name}.jsonl"


def document(asked: Search, found: Found) -> dict[str, Any]:
    """Return what was found as JSON has it."""
    sessions = found.history.sessions
    held = sessions[found.searched :]
    return {
        **asked.wish.plain(),
        "method": asked.method.value,
        "objective": asked.objective,
        "sessions": [sessions[0].isoformat(), sessions[found.searched - 1].isoformat(), found.searched],
        "held_out": [held[0].isoformat(), held[-1].isoformat(), len(held)] if held else None,
        "evaluated": len(found.trials),
        "not_judged": sum(bool(trial.why) for trial in found.trials),
        "best": [_plain(trial) for trial in found.trials[:_SHOWN] if not trial.why],
        "why_none": found.trials[0].why or None,
        "firm": _firm(asked, found),
        "walk_forward": _walked(found.walk) if found.walk else None,
        "held_out_result": _plain(found.held_out) if found.held_out else None,
    }


def keep(asked: Search, contract: Contract, found: Found, *, by: str) -> models.Search:
    """Return the row of a search, to be compared with others."""
    told, best = document(asked, found), found.trials[0]
    judged = not best.why
    walk, firm = told["walk_forward"], told["firm"]
    shown = _plain(best)
    return models.Search.objects.create(
        strategy=asked.wish.kind,
        contract=contract,
        axes={axis.name: list(axis.values) for axis in asked.axes},
        method=asked.method.value,
        objective=asked.objective,
        first=found.history.sessions[0],
        last=found.history.sessions[found.searched - 1],
        asked_by=by,
        asked_at=Now(),
        evaluated=len(found.trials),
        best=best.values if judged else {},
        score=shown["score"],
        net=_dollars(shown["net"]) if judged else None,
        trades=shown["trades"] if judged else None,
        walked_net=_dollars(walk["net"]) if walk else None,
        efficiency=walk["efficiency"] if walk else None,
        passes=firm["passes"]["value"] if firm else None,
        breaches=firm["breaches"]["value"] if firm else None,
        held_out=len(found.history.sessions) - found.searched,
        held_out_net=_dollars(_plain(found.held_out)["net"]) if found.held_out else None,
        document=told,
    )


def _dollars(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))


def _wrong(wish: Wish, values: dict[str, str]) -> str:
    """Return what is wrong about the wish's parameters with these values, empty for nothing."""
    try:
        parse(wish.planner.parameters, {**wish.values, **values})
    except ParameterError as error:
        return str(error)
    return ""


def _job(wish: Wish, found: History) -> Job:
    told = {**{name: str(value) for name, value in wish.plain().items()}, "contracts": ", ".join(found.months)}
    return Job(
        planner=wish.planner,
        make=Recipe(parse, wish.planner.parameters, {**wish.values, "symbol": wish.symbol}),
        terms=wish.terms,
        stretches=found.stretches,
        sessions=found.sessions,
        told=told,
    )


def _unlocked(asked: Search, evaluator: Evaluator, best: Trial, searched: int) -> Trial:
    (found,) = evaluator.evaluate([best.values]).values()
    if isinstance(found, str):
        return Trial(best.values, float("-inf"), None, found)
    days = found[searched:]
    return Trial(best.values, OBJECTIVES[asked.objective](days), days)


def _plain(trial: Trial) -> dict[str, Any]:
    days = trial.days
    return {
        "values": trial.values,
        "score": round(trial.score, 4) if isfinite(trial.score) else None,
        "net": None if days is None else round(int(days.net.sum()) / UNIT, 2),
        "trades": None if days is None else int(days.trades.sum()),
        "why": trial.why or None,
    }


def _firm(asked: Search, found: Found) -> dict[str, Any] | None:
    """Return what the firm would make of the best, on walked-forward days where there are some."""
    best = found.trials[0]
    days = found.walk.days if found.walk else best.days
    rules = rules_of(asked.wish.firm, found.history.sessions[-1])
    if rules is None or days is None or best.why:
        return None
    judged, drawn = judge(days, rules), odds(days, rules, paths=4000)
    return {
        "rules": rules.name,
        "days_are": "walked forward" if found.walk else "those of the search itself: better than can be hoped for",
        "result": str(judged.result),
        "day": judged.day.isoformat() if judged.day else None,
        "passes": asdict(drawn.passes),
        "breaches": asdict(drawn.breaches),
    }


def _walked(walk: WalkForward) -> dict[str, Any]:
    return {
        "windows": [
            {
                "trained": [day.isoformat() for day in window.trained],
                "tested": [day.isoformat() for day in window.tested],
                "values": window.values,
                "score": round(window.score, 4) if isfinite(window.score) else None,
                "tested_score": None
                if window.tested_score is None or not isfinite(window.tested_score)
                else round(window.tested_score, 4),
            }
            for window in walk.windows
        ],
        "net": round(int(walk.days.net.sum()) / UNIT, 2),
        "trades": int(walk.days.trades.sum()),
        "efficiency": walk.efficiency,
        "curve": [
            [day.isoformat(), round(total / UNIT, 2)]
            for day, total in zip(walk.days.dates, walk.days.net.cumsum().tolist(), strict=True)
        ],
        "stability": [asdict(one) for one in walk.stability],
    }
