"""Searches for parameters that were kept, side by side: what each found, and how that did afterwards."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import Search
from tradingbot.operations.backtests import presenting
from tradingbot.templatetags import exchange


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or exchange.NONE


def _share(name: str) -> Any:
    def show(row: Search) -> SafeString:
        return exchange.number(exchange.percent(getattr(row, name)))

    return columns.column(f"num_{name}", name, show, order=name)


def _dollars(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))


def _scored(row: Search, value: float | None) -> SafeString:
    """Return a value of the objective, dollars in the colour of their sign."""
    if row.objective == "net":
        return exchange.profit(_dollars(value))
    return exchange.number(presenting.score(row.objective, value))


def _objective(row: Search) -> SafeString:
    return format_html("{} {}", row.objective, _scored(row, row.score))


def _held_out(row: Search) -> Any:
    if not row.held_out:
        return "none"
    return f"{row.held_out} locked" if row.held_out_net is None else exchange.profit(row.held_out_net)


def _table(titles: tuple[str, ...], rows: list[list[Any]]) -> str:
    if not rows:
        return exchange.NONE
    figures = ("tb-num" in str(cell) for cell in rows[0])
    return render_to_string("panel/rows.html", {"titles": zip(titles, figures, strict=True), "rows": rows})


def _best(row: Search) -> str:
    rows = [
        [
            *(trial["values"][name] for name in row.axes),
            _scored(row, trial["score"]),
            exchange.profit(_dollars(trial["net"])),
            exchange.number(f"{trial['trades']:,d}"),
        ]
        for trial in row.document["best"]
    ]
    return _table((*row.axes, row.objective, "net", "trades"), rows)


def _walk(row: Search) -> str:
    walk = row.document["walk_forward"] or {"windows": []}
    rows = [
        [
            *one["tested"],
            *((one["values"] or dict.fromkeys(row.axes, exchange.NONE))[name] for name in row.axes),
            _scored(row, one["score"]),
            _scored(row, one["tested_score"]),
        ]
        for one in walk["windows"]
    ]
    return _table(("from", "until", *row.axes, f"{row.objective} where chosen", "afterwards"), rows)


def _stability(row: Search) -> str:
    walk = row.document["walk_forward"] or {"stability": []}
    return _table(("parameter", "chosen"), [[one["name"], presenting.steadiness(one)] for one in walk["stability"]])


def _efficiency(row: Search) -> str:
    walk = row.document["walk_forward"]
    return presenting.efficiency(walk) if walk else "– (no walk-forward)"


def _odds(row: Search) -> str:
    if row.passes is None or row.breaches is None:
        return exchange.NONE
    return f"{row.passes:.0%} / {row.breaches:.0%}"


WHAT = columns.column("what", "strategy", lambda row: f"{row.strategy} on {row.contract}", order="strategy")
SCORE = columns.column("num_score", "score", _objective, order="score")
EFFICIENCY = columns.column(
    "num_efficiency", "efficiency", lambda row: exchange.number(exchange.ratio(row.efficiency)), order="efficiency"
)
WALKED = columns.profit("walked_net", "walked forward, net", order="walked_net")
WALKED_EFFICIENCY = columns.column("walked_efficiency", "efficiency", _efficiency)
ODDS = columns.column("num_odds", "passes / breaches", lambda row: exchange.number(_odds(row)), order="passes")
AXES = columns.column("axes_shown", "searched", lambda row: _pairs({k: f"{v[0]}…{v[-1]}" for k, v in row.axes.items()}))
BEST = columns.column("best_shown", "best", lambda row: _pairs(row.best))
HELD_OUT = columns.column("num_held_out", "held out", _held_out, order="held_out_net")
TRIALS = columns.column("trials", "the best", _best)
WALK = columns.column("walk", "walk-forward", _walk)
STABILITY = columns.column("stability", "stability", _stability)


@admin.register(Search)
class SearchAdmin(FactAdmin):
    list_display = (
        "id",
        WHAT,
        AXES,
        BEST,
        SCORE,
        columns.profit("net", order="net"),
        columns.profit("walked_net", "walked", order="walked_net"),
        EFFICIENCY,
        ODDS,
        HELD_OUT,
    )
    list_select_related = ("contract",)
    list_filter = ("strategy", "contract__symbol", "objective", "method")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("strategy", "contract", "method"),
                    ("objective", "first", "last"),
                    (AXES, "evaluated", HELD_OUT),
                    ("asked_by", "asked_at"),
                )
            },
        ),
        ("Found", {"fields": (TRIALS, WALK, (WALKED, WALKED_EFFICIENCY), STABILITY)}),
        ("Odds of the account", {"fields": ((_share("passes"), _share("breaches")),)}),
    )
