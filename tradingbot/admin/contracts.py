"""Contracts as the venue lists them, and their cached bars."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from market.bars import moment
from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import BarDay, BarHour, Contract
from tradingbot.templatetags import exchange

_PRICES = ("open", "high", "low", "close")


def _chart(day: BarDay) -> SafeString:
    url = reverse("chart-day", args=[day.contract.symbol, day.trade_date])
    return columns.link(f"{url}?contract={day.contract_id}", "open chart")


def _table(row: BarDay | BarHour) -> SafeString:
    """Return the packed bars as a table: New York time, prices on the tick grid, newest first."""
    spec, text = row.contract.spec, row.contract.text
    rows = [
        (exchange.clock(moment(bar.opened_at)), *(text(spec.price(getattr(bar, name))) for name in _PRICES), bar.volume)
        for bar in reversed(list(row.bars))
    ]
    return render_to_string("panel/bars.html", {"rows": rows})


CHART = columns.column("chart", "chart", _chart)
TABLE = columns.column("table", "bars", _table)
LENGTH = columns.column("length", "a bar is", lambda row: f"{row.seconds} s", order="seconds")
TICK = columns.column("num_tick", "tick in points", lambda row: exchange.number(f"{row.tick_size.normalize():f}"))
TICK_VALUE = columns.column("num_tick_value", "a tick is worth", lambda row: exchange.dollars(row.tick_value))


@admin.register(Contract)
class ContractAdmin(FactAdmin):
    list_display = ("name", "symbol", "venue", "description", TICK, TICK_VALUE, "active", "seen_at")
    list_filter = ("venue", "active", "symbol")
    search_fields = ("name", "symbol", "broker_contract_id")
    titles = {"seen_at": "listed by the venue"}
    fields = (
        ("name", "symbol", "venue"),
        ("description", "broker_contract_id"),
        (TICK, TICK_VALUE),
        ("active", "seen_at"),
    )


@admin.register(BarDay)
class BarDayAdmin(FactAdmin):
    list_display = ("trade_date", "contract", "count", "complete", "covered_until", "source", "updated_at", CHART)
    list_select_related = ("contract",)
    list_filter = ("contract", "complete", "source")
    titles = {"count": "bars"}
    date_hierarchy = "trade_date"
    fields = (
        ("contract", "trade_date", "count"),
        ("complete", "covered_until"),
        ("source", "updated_at", CHART),
        TABLE,
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        one = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return rows if one else rows.defer("data")


@admin.register(BarHour)
class BarHourAdmin(FactAdmin):
    list_display = ("opened_at", "contract", LENGTH, "covered_until")
    list_select_related = ("contract",)
    list_filter = ("contract", "seconds")
    titles = {"opened_at": "hour"}
    fields = (("contract", LENGTH), ("opened_at", "covered_until"), TABLE)
