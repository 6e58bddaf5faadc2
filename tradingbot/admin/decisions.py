"""Why something was done, or was not: every rule with its value, limit and verdict."""

from __future__ import annotations

from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.admin.orders import order_url
from tradingbot.models import Decision
from tradingbot.templatetags import exchange


def _rules(decision: Decision) -> SafeString:
    return render_to_string("panel/rules.html", {"rules": decision.rules})


def _orders(decision: Decision) -> SafeString | str:
    made = decision.orders.filter(parent=None).select_related("contract")
    return format_html_join(", ", "{}", ((columns.link(order_url(o), o),) for o in made)) or exchange.NONE


def _chart(decision: Decision) -> SafeString | str:
    if decision.contract is None:
        return exchange.NONE
    symbol = decision.contract.symbol
    return columns.link(reverse("chart-day", args=[symbol, decision.session_date]), f"{symbol} on that day")


RULES = columns.column("rules_asked", "rules", _rules)
ORDERS = columns.column("orders_made", "orders", _orders)
CHART = columns.column("chart", "chart", _chart)


@admin.register(Decision)
class DecisionAdmin(FactAdmin):
    list_display = ("at", "account", "strategy", "contract", "outcome", "code", "sentence")
    list_select_related = ("account", "strategy", "contract")
    list_filter = ("outcome", "strategy", "account", "code", "session_date")
    search_fields = ("sentence", "code")
    titles = {"bar_closed_at": "on the bar closed at"}
    date_hierarchy = "session_date"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "sentence",
                    ("outcome", "code", "session_date"),
                    ("at", "bar_closed_at"),
                    ("account", "strategy", "contract"),
                    (ORDERS, CHART),
                    ("config_version", "requested_by"),
                )
            },
        ),
        ("Rules", {"fields": (RULES,)}),
        ("Taken on", {"fields": ("inputs",)}),
    )
