"""Orders and everything that happened to them; a person may ask for a cancel."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action

from tradingbot import clock
from tradingbot.admin import columns
from tradingbot.admin.confirming import ask
from tradingbot.admin.facts import FactAdmin, FactInline
from tradingbot.models import Fill, Order, OrderEvent
from tradingbot.models.orders import OrderQuerySet
from tradingbot.operations import hints, orders
from tradingbot.templatetags import exchange


def order_url(order: Order) -> str:
    return reverse("admin:tradingbot_order_change", args=[order.pk])


def _legs(order: Order) -> SafeString | str:
    legs = order.legs.select_related("contract")
    return (
        format_html_join(", ", "{}", ((columns.link(order_url(leg), f"{leg.role} {leg.describe()}"),) for leg in legs))
        or exchange.NONE
    )


def _filled(order: Order) -> SafeString:
    at = f" at {order.contract.text(order.average_price)}" if order.filled else ""
    return exchange.number(f"{order.filled}{at}")


def _chart(order: Order) -> SafeString:
    url = reverse("chart-day", args=[order.contract.symbol, order.session_date])
    return columns.link(url, f"{order.contract.symbol} on {order.session_date}")


NUMBER = columns.column("number", "#", lambda order: order.pk, order="pk")
WHAT = columns.column("what", "order", Order.describe)
LEGS = columns.column("legs", "bracket", _legs)
CHART = columns.column("chart", "chart", _chart)
FILLED = columns.column("num_filled", "filled", _filled, order="filled")
SLIPPAGE = columns.column("num_slippage", "slippage", exchange.slippage)
DEAL = columns.deal("side", "order")
PRICE = columns.column("num_price", "price", lambda order: exchange.price(order.price, order.contract))


class EventInline(FactInline):
    model = OrderEvent
    verbose_name_plural = "what happened"
    fields = readonly_fields = ("at", "kind", "before", "after", "detail")


class FillInline(FactInline):
    model = Fill
    fields = readonly_fields = ("at", "quantity", "price", "fees", "commissions", "estimated", "voided")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("contract")


@admin.register(Order)
class OrderAdmin(FactAdmin):
    list_display = (
        NUMBER,
        "created_at",
        "account",
        DEAL,
        "role",
        "type",
        PRICE,
        "status",
        FILLED,
        SLIPPAGE,
    )
    list_select_related = ("account", "contract")
    list_filter = ("status", "role", "side", "type", "account", "strategy", "contract__symbol", "session_date")
    titles = {"average_price": "filled at", "desired_price": "asked for", "seen_at": "seen at the venue (machine time)"}
    search_fields = ("tag", "=broker_order_id", "=pk")
    date_hierarchy = "session_date"
    actions = ("cancel_selected",)
    actions_row = actions_detail = ("cancel",)
    inlines = (FillInline, EventInline)
    fieldsets = (
        (None, {"fields": ((WHAT, "status", "reason"), ("account", "strategy", CHART), ("decision", "parent", LEGS))}),
        (
            "Quantity and price",
            {
                "fields": (
                    ("quantity", "filled", "average_price"),
                    ("limit_price", "stop_price", "desired_price"),
                    ("reference_price", SLIPPAGE),
                )
            },
        ),
        (
            "Bracket, in ticks",
            {
                "fields": (
                    ("stop_ticks", "target_ticks", "breakeven_ticks"),
                    ("trail_ticks", "breakeven_offset_ticks", "hold", "adds"),
                    ("partials",),
                )
            },
        ),
        ("Times", {"fields": (("created_at", "updated_at"), ("sent_at", "expires_at"), ("claimed_at", "seen_at"))}),
        ("At the venue", {"fields": (("broker_order_id", "tag"), ("attempt", "empty_reads"), "requested_by")}),
    )

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        may = request.user.has_perm("tradingbot.change_order")
        return may and (object_id is None or Order.objects.live().filter(pk=object_id).exists())

    @admin.action(description="Cancel at the venue", permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: OrderQuerySet) -> HttpResponseBase | None:
        chosen = ",".join(str(order.pk) for order in queryset.live())
        if chosen:
            return HttpResponseRedirect(f"{reverse('cancel-orders')}?orders={chosen}")
        self.message_user(request, "None of them works any more.", messages.WARNING)
        return None

    @action(description="Cancel order", icon="cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        order = get_object_or_404(Order.objects.select_related("contract"), pk=object_id)

        def run(reason: str) -> str:
            asked = orders.cancel_by_hand(order, by=request.user.get_username(), now=clock.now())
            hints.publish("critical.sweep")
            return f"{order}: a worker cancels it." if asked else f"{order} has ended or is being cancelled already."

        return ask(
            request,
            title="Cancel this order?",
            text=f"{order} is {order.get_status_display()}. A worker asks the venue; it may still fill before that.",
            button="Cancel the order",
            back=order_url(order),
            run=run,
        )


@permission_required("tradingbot.change_order", raise_exception=True)
def cancel_chosen(request: HttpRequest) -> HttpResponseBase:
    """Ask once for all orders that were chosen in the list; one that is refused keeps none of the others."""
    numbers = [int(number) for number in request.GET.get("orders", "").split(",") if number.isdecimal()]
    chosen = list(Order.objects.live().filter(pk__in=numbers).select_related("contract"))

    def run(reason: str) -> str:
        by, now, asked = request.user.get_username(), clock.now(), 0
        for order in chosen:
            try:
                asked += orders.cancel_by_hand(order, by=by, now=now)
            except ValueError as error:
                messages.error(request, str(error))
        hints.publish("critical.sweep")
        return f"{asked} order(s) will be cancelled by a worker; ended ones are left alone."

    return ask(
        request,
        title=f"Cancel {len(chosen)} order(s)?",
        text=f"{'; '.join(map(str, chosen))}. A worker asks the venue; they may still fill before that. The stop of an "
        "open position stays.",
        button="Cancel the orders",
        back=reverse("admin:tradingbot_order_changelist"),
        run=run,
    )
