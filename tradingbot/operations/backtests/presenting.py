"""How a result is told: as a document for scripts and rows, as lines for a person, as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backtest.monte_carlo import Odds, odds
from backtest.outcomes import Outcome
from backtest.report import figures, money, report
from backtest.results import Result
from tradingbot.operations.backtests.histories import History
from tradingbot.operations.backtests.wishes import Wish

__all__ = ["document", "drawn_page", "efficiency", "money", "notes", "odds_of", "page", "score", "steadiness", "told"]

_SPREADS = (  # of 0 to 0.5: the standard deviation of the places on the axis over its length
    (0.25, "the others all over its axis: no value can be relied on"),
    (0.1, "the others some way off"),
    (0.0, "the others close to it"),
)


def odds_of(result: Result) -> Odds | None:
    """Return the odds under the rules that the result was judged by, None without rules or sessions."""
    return odds(result.days, result.outcome.rules) if result.outcome and len(result.days) else None


def document(wish: Wish, result: Result, found: History, drawn: Odds | None) -> dict[str, Any]:
    """Return everything but the single trades as JSON has it."""
    return {
        **wish.plain(),
        "from": found.sessions[0].isoformat(),
        "to": found.sessions[-1].isoformat(),
        "contracts": list(found.months),
        "sessions_with_holes": [day.isoformat() for day in found.holes],
        "statistics": result.statistics.plain(),
        "not_placed": result.refused,
        "outcome": _outcome(result.outcome),
        "odds": asdict(drawn) if drawn else None,
    }


def told(wish: Wish, result: Result, found: History, drawn: Odds | None) -> dict[str, str]:
    """Return name and text of what a person reads first."""
    lines = {
        "strategy": f"{wish.kind} on {', '.join(found.months)}",
        "sessions": f"{found.sessions[0]} to {found.sessions[-1]}",
        **dict(figures(result)),
        "slippage": wish.slippage_from,
    }
    if result.refused:
        lines["not placed"] = ", ".join(f"{count} {name}" for name, count in result.refused.items())
    if drawn is not None:
        for name in ("passes", "breaches"):
            chance = getattr(drawn, name)
            lines[name] = f"{chance.value:.1%} within {drawn.sessions} sessions ({chance.low:.0%} to {chance.high:.0%})"
    return lines


def notes(found: History) -> list[str]:
    """Return what the reader has to know about the bars."""
    if not found.holes:
        return []
    shown = ", ".join(day.isoformat() for day in found.holes[:5]) + (" …" if len(found.holes) > 5 else "")
    return [
        f"{len(found.holes)} sessions are not known to their end ({shown}): no order after the first missing minute."
    ]


def score(objective: str, value: float | None) -> str:
    """Return an objective's value as text: dollars, or a ratio with two decimals."""
    if value is None or objective == "net":
        return money(value)
    return f"{value:.2f}"


def efficiency(walk: Mapping[str, Any]) -> str:
    """Return a walk-forward's efficiency (of its document) as text, and why there is none."""
    if walk["efficiency"] is not None:
        return f"{walk['efficiency']:.2f}"
    why = "what was chosen had no positive result to compare with" if walk["stability"] else "no window was traded"
    return f"– ({why})"


def steadiness(chosen: Mapping[str, Any]) -> str:
    """Return in words how steadily a parameter was chosen over the windows of a walk-forward (of its document)."""
    values, spread = chosen["values"], chosen["spread"]
    value, times = Counter(values).most_common(1)[0]
    if times == len(values):
        return f"{value} in every window"
    said = f"{value} in {times} of {len(values)} windows"
    if spread is None:
        return said
    return f"{said}, {next(words for least, words in _SPREADS if spread >= least)}"


def page(wish: Wish, result: Result, found: History, drawn: Odds | None) -> str:
    """Return the page with charts, which opens without a network."""
    plain = wish.plain()
    facts = {
        "bars read": plain["bars"],
        "slippage": wish.slippage_from,
        "costs": f"${2 * result.terms.costs} a contract and round turn",
        **{name: str(value) for name, value in plain["parameters"].items()},
    }
    lines = told(wish, result, found, drawn)
    head = [f"{lines['strategy']}, {lines['sessions']}", *notes(found)]
    head += [f"{name}: {lines[name]}" for name in ("not placed", "passes", "breaches") if name in lines]
    return drawn_page(result, f"{wish.kind} on {wish.symbol}", facts, head)


def drawn_page(
    result: Result, title: str, facts: Mapping[str, str], notes: Sequence[str], owners: Sequence[str] = ()
) -> str:
    """Return a page with its charts; see `backtest.report`."""
    return report(result, title=title, facts=facts, notes=notes, library=_library(), owners=owners)


def _outcome(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    plain = asdict(outcome)
    rules = {name: value if value is None or name == "name" else str(value) for name, value in plain["rules"].items()}
    return plain | {
        "rules": rules,
        "result": str(outcome.result),
        "day": outcome.day.isoformat() if outcome.day else None,
        "profit": str(outcome.profit),
        "closest": str(outcome.closest),
    }


@cache
def _library() -> str:
    """Return TradingView's lightweight-charts as its wheel carries it."""
    package = find_spec("litecharts")
    if package is None or package.origin is None:
        raise ValueError("the package litecharts is not installed: the page has no charts without it")
    return (Path(package.origin).parent / "js" / "lightweight-charts.js").read_text(encoding="utf-8")
