"""The rulebook and what depends on it as rows: read, withdrawn, typed in; the file alone changes the rulebook."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from market.products import PRODUCTS
from market.sessions import trade_date_of
from tradingbot import clock
from tradingbot.admin import columns
from tradingbot.admin.confirming import ask
from tradingbot.admin.facts import FactAdmin, FactInline, HistoryAdmin, PanelAdmin
from tradingbot.models import NewsEvent, NewsStep, Payout, PersonalRules, Rule, RulebookLoad, RuleOverride
from tradingbot.operations import news, rules

VALUE = columns.column("num_value", "value", lambda row: f"{row.value.normalize():f}", order="value")


@admin.register(Rule)
class RuleAdmin(FactAdmin):
    list_display = ("__str__", "topic", "stage", "size", "effective_from", "effective_until", "checked_on", "source")
    list_filter = ("topic", "stage", "size")
    fields = (
        ("topic", "firm", "event"),
        ("stage", "size"),
        ("effective_from", "effective_until"),
        ("source", "checked_on"),
        "values",
        "loaded_at",
    )


@admin.register(RulebookLoad)
class RulebookLoadAdmin(FactAdmin):
    list_display = ("at", "digest", "entries", columns.column("wrong", "problems", lambda row: len(row.problems)))
    fields = (
        ("at", "digest", "entries"),
        columns.column("told", "problems", lambda row: "; ".join(row.problems) or "none"),
    )


@admin.register(RuleOverride)
class RuleOverrideAdmin(FactAdmin):
    list_display = ("account", "parameter", VALUE, "effective_from", "reason", "by", "at", "withdrawn_at")
    list_select_related = ("account",)
    list_filter = ("parameter", "account")
    fields = (
        ("account", "parameter", VALUE),
        ("effective_from", "reason"),
        ("by", "at"),
        ("withdrawn_at", "withdrawn_by"),
    )
    actions_row = actions_detail = ("withdraw",)

    def has_withdraw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        may = request.user.has_perm("tradingbot.change_account")
        return may and (object_id is None or RuleOverride.objects.filter(pk=object_id, withdrawn_at=None).exists())

    @action(description="Withdraw", icon="undo", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = get_object_or_404(RuleOverride.objects.select_related("account"), pk=object_id)

        def run(reason: str) -> str:
            now = clock.now()
            done = rules.withdraw(row, by=request.user.get_username(), now=now, on=trade_date_of(now))
            return f"{row}: withdrawn, the rulebook holds again." if done else f"{row}: was withdrawn before."

        return ask(
            request,
            title=f"Withdraw {row}?",
            text=f"It was set by {row.by}: {row.reason}. From now on the rulebook's value binds {row.account} again.",
            button="Withdraw",
            back=reverse("account-rules", args=[row.account_id]),
            run=run,
        )


@admin.register(Payout)
class PayoutAdmin(FactAdmin):
    list_display = ("session_date", "account", "amount", "seen_at")
    list_select_related = ("account",)
    fields = (("account", "session_date"), ("amount", "seen_at"))


@admin.register(PersonalRules)
class PersonalRulesAdmin(HistoryAdmin):
    list_display = ("account", "daily_loss", "trailing", "loss_action", "daily_profit", "profit_action", "governor")
    list_select_related = ("account",)
    fieldsets = (
        (None, {"fields": ("account",)}),
        (
            "Loss of a day",
            {
                "fields": (("daily_loss", "trailing"), "loss_action"),
                "description": "Realised and open profit since the session began count, as for the firm's own limit.",
            },
        ),
        ("Profit of a day", {"fields": ("daily_profit", "profit_action")}),
        (
            "Consistency governor",
            {
                "fields": (("governor", "governor_safety"),),
                "description": "A day above the firm's share of the target raises what is needed to pass. "
                "The governor keeps a day below it by the safety.",
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else [*fixed, "account"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # empty fields are no limits


def _minutes(help_text: str) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=0,
        max_value=news.LONGEST,
        initial=5,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text=f"{help_text}, minutes up to {news.LONGEST}",
    )


class NewsEventForm(forms.ModelForm):  # type: ignore[type-arg]
    """A news event; products are checked against those that can be traded."""

    minutes_before = _minutes("window before the release")
    minutes_after = _minutes("window after it")

    class Meta:
        model = NewsEvent
        fields = ("title", "kind", "at", "minutes_before", "minutes_after", "action", "symbols")

    def clean_symbols(self) -> str:
        typed = self.cleaned_data["symbols"].replace(",", " ").upper().split()
        unknown = [symbol for symbol in typed if symbol not in PRODUCTS]
        if unknown:
            raise forms.ValidationError(f"{', '.join(unknown)}: no such product. Write roots like ES MNQ.")
        return " ".join(typed)


class NewsStepInline(FactInline):
    model = NewsStep
    fields = readonly_fields = ("account", "at", "done_at", "note")


@admin.register(NewsEvent)
class NewsEventAdmin(PanelAdmin):
    form = NewsEventForm
    list_display = ("at", "title", "kind", "minutes_before", "minutes_after", "action", "symbols", "source")
    list_filter = ("kind", "action")
    date_hierarchy = "at"
    inlines = (NewsStepInline,)
    readonly_fields = ("source",)
    fields = (("title", "kind"), "at", ("minutes_before", "minutes_after"), ("action", "symbols"), "source")

    def save_model(self, request: HttpRequest, obj: NewsEvent, form: Any, change: bool) -> None:
        obj.source = request.user.get_username()
        super().save_model(request, obj, form, change)
