"""The exchange's calendar, which a person may correct, and the plan of each session."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin, PanelAdmin
from tradingbot.models import CalendarDay, SessionStep
from tradingbot.templatetags import exchange

RTH_OPENS = columns.clock("rth_opens_at", "regular hours open")
CLOSES = columns.clock("closes_at", "closes")
EARLY = columns.column(
    "early",
    "early close",
    lambda row: exchange.badge("early", "warn") if row.session.early_close else exchange.NONE,
    order="early_close",
)
DUE = columns.clock("due_at", "due")
DEADLINE = columns.clock("deadline", "deadline")
DONE = columns.clock("done_at", "done")


@admin.register(CalendarDay)
class CalendarDayAdmin(PanelAdmin):
    list_display = ("trade_date", "opens_at", RTH_OPENS, CLOSES, EARLY, "source", "note")
    list_filter = ("early_close", "source")
    titles = {"rth_opens_at": "regular hours open"}
    date_hierarchy = "trade_date"
    readonly_fields = ("source",)
    fields = ("trade_date", ("opens_at", "closes_at"), "rth_opens_at", "source", "note")

    def save_model(self, request: HttpRequest, obj: CalendarDay, form: ModelForm[Any], change: bool) -> None:
        obj.source = request.user.get_username()  # a row that a person wrote is not generated again
        obj.early_close = obj.session.early_close
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a day that is missing is generated again; shorten it instead


@admin.register(SessionStep)
class SessionStepAdmin(FactAdmin):
    list_display = ("session_date", "step", "account", "strategy", DUE, DEADLINE, "state", DONE, "note")
    list_select_related = ("account", "strategy")
    list_filter = ("state", "step", "account", "strategy", "session_date")
    date_hierarchy = "session_date"
    fields = (
        ("session_date", "step", "state"),
        ("account", "strategy", "contract"),
        ("due_at", "deadline"),
        ("done_at", "claimed_at", "attempts"),
        "note",
    )
