"""Results by day and strategy, and sessions whose trades do not explain the balance: a person closes them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.decorators import action

from tradingbot import clock
from tradingbot.admin import columns
from tradingbot.admin.confirming import ask
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import AccountingDifference, DayResult
from tradingbot.operations import accounting
from tradingbot.templatetags import exchange

GROSS = columns.profit("gross", order="gross")
NET = columns.profit("net", order="net")
DIFFERENCE = columns.profit("difference", order="difference")
OPEN = columns.column(
    "open",
    "state",
    lambda row: exchange.badge("open", "bad") if row.is_open else exchange.badge("closed", "good"),
    order="closed_at",
)
OWNER = columns.column("owner", "strategy", lambda row: row.strategy or "by hand", order="strategy")
HELD = columns.column("num_held", "in the market", lambda row: exchange.age(row.held), order="held")


@admin.register(DayResult)
class DayResultAdmin(FactAdmin):
    list_display = ("session_date", "account", OWNER, "trades", "won", "lost", GROSS, "costs", NET, "low", HELD)
    list_select_related = ("account", "strategy")
    list_filter = ("account", "strategy", "session_date")
    date_hierarchy = "session_date"
    fields = (
        ("account", OWNER, "session_date"),
        ("trades", "won", "lost"),
        (GROSS, "costs", NET),
        ("gain", "loss", "low"),
        ("risk", "risked", HELD),
    )


@admin.register(AccountingDifference)
class AccountingDifferenceAdmin(FactAdmin):
    list_display = ("session_date", "account", DIFFERENCE, "cause", "detail", OPEN, "closed_by", "reason")
    list_select_related = ("account",)
    list_filter = ("account", "cause", ("closed_at", admin.EmptyFieldListFilter))
    actions_row = actions_detail = ("close",)
    fields = (
        ("account", "session_date", "at"),
        ("expected", "seen", DIFFERENCE),
        ("cause", "detail"),
        (OPEN, "closed_at", "closed_by"),
        "reason",
    )

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        open_ = AccountingDifference.objects.filter(closed_at=None)
        may = request.user.has_perm("tradingbot.change_accountingdifference")
        return may and (object_id is None or open_.filter(pk=object_id).exists())

    @action(description="Close with a reason", icon="task_alt", permissions=["close"])
    def close(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        difference = get_object_or_404(AccountingDifference.objects.select_related("account"), pk=object_id)

        def run(reason: str) -> str:
            accounting.close(difference, reason=reason, by=request.user.get_username(), now=clock.now())
            return f"{difference} is closed: later sessions are compared with the balance after it."

        return ask(
            request,
            title=f"Close the difference of {difference.session_date}?",
            text=f"{difference.account}: the balance changed by {difference.seen:+,.2f} dollars, booked were "
            f"{difference.expected:+,.2f}. Suspected: {difference.get_cause_display()}. {difference.detail}",
            button="Close it",
            back=reverse("admin:tradingbot_accountingdifference_change", args=[difference.pk]),
            run=run,
            with_reason=True,
            tone="good",
        )
