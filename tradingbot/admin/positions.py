"""Fills, positions and round turns, as booked."""

from __future__ import annotations

from django.contrib import admin

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import Fill, Position, Trade
from tradingbot.templatetags import exchange

BOUGHT = columns.deal("side", "fill")
TRADED = columns.deal("direction", "trade")
GROSS = columns.profit("gross", order="gross")
NET = columns.profit("net", order="net")
POINTS = columns.column("num_points", "points", lambda row: exchange.price(row.points, row.contract))
SLIPPAGE = columns.column("num_slippage", "slippage", lambda row: exchange.dollars(row.slippage))
AGREES = columns.column(
    "agrees",
    "agrees",
    lambda row: (
        exchange.badge("yes", "good") if row.quantity == row.broker_quantity else exchange.badge("differs", "bad")
    ),
)


@admin.register(Fill)
class FillAdmin(FactAdmin):
    list_display = ("at", "account", BOUGHT, "price", "fees", "commissions", "order", "voided")
    list_select_related = ("account", "contract", "order__contract")
    list_filter = ("account", "contract__symbol", "side", "voided", "session_date")
    search_fields = ("=broker_trade_id", "=broker_order_id")
    date_hierarchy = "session_date"
    fields = (
        ("account", "contract", "order"),
        ("side", "quantity", "price"),
        ("at", "booked_at"),
        ("fees", "commissions", "estimated", "voided"),
        ("broker_trade_id", "broker_order_id", "session_date"),
    )


@admin.register(Position)
class PositionAdmin(FactAdmin):
    list_display = ("account", "contract", "quantity", "average_price", "opened_at", "broker_quantity", AGREES)
    list_select_related = ("account", "contract")
    list_filter = ("account", "contract__symbol")
    titles = {"broker_quantity": "at the venue", "unprotected_since": "without a full stop since (machine time)"}
    fields = (
        ("account", "contract"),
        ("quantity", "broker_quantity", "average_price"),
        ("opened_at", "broker_seen_at"),
        ("exposed_since", "unprotected_since"),
        ("differs_since", "close_sent_at"),
    )


@admin.register(Trade)
class TradeAdmin(FactAdmin):
    list_display = (
        "exited_at",
        "account",
        "strategy",
        TRADED,
        "entry_price",
        "exit_price",
        POINTS,
        "exit_role",
        SLIPPAGE,
        NET,
    )
    list_select_related = (
        "account",
        "strategy",
        "contract",
        "entry_fill__order",
        "exit_fill__order",
    )
    list_filter = ("account", "strategy", "contract__symbol", "direction", "exit_role", "session_date")
    titles = {"exited_at": "closed", "entered_at": "opened", "exit_role": "closed by"}
    date_hierarchy = "session_date"
    fields = (
        ("account", "strategy", "contract"),
        ("direction", "quantity", "exit_role"),
        ("entered_at", "exited_at"),
        ("entry_price", "exit_price", POINTS, SLIPPAGE),
        ("entry_fill", "exit_fill", "session_date"),
        (GROSS, "fees", "commissions", NET),
    )
