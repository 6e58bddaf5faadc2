"""Searches for parameters that were kept, side by side: what each found, and how that did afterwards."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.template.loader import render_to_string

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import Search
from tradingbot.templatetags import exchange


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or exchange.NONE


def _figure(name: str, form: str, title: str = "") -> Any:
    def show(row: Search) -> str:
        value = getattr(row, name)
        return exchange.NONE if value is None else format(value, form)

    return columns.column(f"num_{name}", title or name, show, order=name)


def _held_out(row: Search) -> Any:
    if not row.held_out:
        return "none"
    return f"{row.held_out} locked" if row.held_out_net is None else exchange.profit(row.held_out_net)


def _table(titles: tuple[str, ...], rows: list[list[Any]]) -> str:
    return render_to_string("panel/rows.html", {"titles": titles, "rows": rows}) if rows else exchange.NONE


def _best(row: Search) -> str:
    figures = ("score", "net", "trades")
    rows = [
        [*(trial["values"][name] for name in row.axes), *(trial[figure] for figure in figures)]
        for trial in row.document["best"]
    ]
    return _table((*row.axes, *figures), rows)


def _walk(row: Search) -> str:
    walk = row.document["walk_forward"] or {"windows": []}
    rows = [
        [
            *one["tested"],
            *((one["values"] or dict.fromkeys(row.axes, exchange.NONE))[name] for name in row.axes),
            one["score"],
            exchange.NONE if one["tested_score"] is None else one["tested_score"],
        ]
        for one in walk["windows"]
    ]
    return _table(("from", "until", *row.axes, "where chosen", "afterwards"), rows)


def _stability(row: Search) -> str:
    walk = row.document["walk_forward"] or {"stability": []}
    rows = [
        [one["name"], f"{one['common']:.0%}", exchange.NONE if one["spread"] is None else one["spread"]]
        for one in walk["stability"]
    ]
    return _table(("parameter", "same value", "spread"), rows)


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
        "strategy",
        "contract",
        AXES,
        columns.of(Search, "evaluated"),
        "objective",
        _figure("score", ".2f"),
        BEST,
        columns.profit("net", order="net"),
        columns.profit("walked_net", "walked forward", order="walked_net"),
        _figure("efficiency", ".2f"),
        _figure("passes", ".0%"),
        _figure("breaches", ".0%"),
        HELD_OUT,
        "asked_by",
    )
    list_select_related = ("contract",)
    list_filter = ("strategy", "contract__symbol", "objective", "method")
    fieldsets = (
        (None, {"fields": (("strategy", "contract", "method"), ("objective", "first", "last"), (AXES, HELD_OUT))}),
        ("Found", {"fields": (TRIALS, WALK, STABILITY)}),
        ("Odds of the account", {"fields": (("passes", "breaches"),)}),
    )
