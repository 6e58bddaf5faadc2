"""Logins, accounts with the limits that bind them, balances; halt, resume and flatten by request."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from simple_history.admin import SimpleHistoryAdmin
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminURLInputWidget

from tradingbot import clock
from tradingbot.admin import columns
from tradingbot.admin.confirming import ask
from tradingbot.admin.facts import FactAdmin, PanelAdmin
from tradingbot.models import Account, Balance, Login
from tradingbot.operations import hints, orders, trading
from tradingbot.templatetags import exchange


class LoginForm(forms.ModelForm):  # type: ignore[type-arg]
    """A login whose key goes in and never comes out."""

    base_url = forms.URLField(
        assume_scheme="https", widget=UnfoldAdminURLInputWidget(), help_text="for example https://api.topstepx.com"
    )
    api_key = forms.CharField(
        label="API key",
        strip=True,
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="stored encrypted, never shown again; leave empty to keep the present one",
    )

    class Meta:
        model = Login
        fields = ("name", "venue", "base_url", "user_name", "api_key", "enabled")

    def clean_api_key(self) -> str:
        key: str = self.cleaned_data["api_key"] or self.instance.api_key
        if not key:
            raise forms.ValidationError("Paste the API key of this user; without one the venue refuses the login.")
        return key


@admin.register(Login)
class LoginAdmin(PanelAdmin):
    form = LoginForm
    list_display = ("name", "venue", "base_url", "user_name", "enabled", "entries_blocked", "token_renewed_at")
    readonly_fields = ("entries_blocked", "token_renewed_at")
    fields = (("name", "enabled"), ("venue", "base_url"), ("user_name", "api_key"), readonly_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


DAY = columns.profit("day_profit", "realised today")
EQUITY = columns.column("num_equity", "equity", lambda row: exchange.dollars(row.equity))
OPEN = columns.profit("open_profit", "open P&L", order="open_profit")


@admin.register(Account)
class AccountAdmin(SimpleHistoryAdmin, PanelAdmin):
    list_display = (
        "name",
        "stage",
        "trading_state",
        "state_reason",
        "balance",
        DAY,
        "can_trade",
        "enabled",
        "selected",
    )
    list_select_related = ("login",)
    list_filter = ("trading_state", "stage", "enabled", "login")
    titles = {"trading_state": "state", "state_until": "until", "can_trade": "venue allows", "selected": "default"}
    actions_row = actions_detail = ("flatten", "halt", "resume", "choose")
    readonly_fields = (
        "login",
        "name",
        "broker_account_id",
        "can_trade",
        "selected",
        "trading_state",
        "state_reason",
        "state_until",
        "flatten_requested_at",
        "flatten_reason",
        "balance",
        "balance_at",
        "session_start_balance",
        DAY,
        "reconciled_at",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "login", "broker_account_id"),
                    ("stage", "enabled", "selected"),
                    ("can_trade", "reconciled_at"),
                )
            },
        ),
        (
            "State",
            {"fields": (("trading_state", "state_reason", "state_until"), ("flatten_requested_at", "flatten_reason"))},
        ),
        ("Money", {"fields": (("balance", "balance_at"), ("session_start_balance", DAY))}),
        (
            "Limits of the firm",
            {
                "fields": (("start_balance", "maximum_loss"), ("daily_loss_limit", "max_lots"), "highest_eod_balance"),
                "description": "An entry is refused while a required limit is empty.",
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the venue lists them

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @action(description="Flatten", icon="vertical_align_center", permissions=["change"], variant=ActionVariant.DANGER)
    def flatten(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str) -> str:
            orders.request_flatten(account, reason=reason, by=request.user.get_username(), now=clock.now())
            hints.publish("critical.flatten_due", account_id=account.pk)
            return (
                f"{account}: a worker cancels every order and closes every position; no entry until the session ends."
            )

        return ask(
            request,
            title=f"Flatten {account}?",
            text="Every working order is cancelled and every position is closed at market. "
            "No entry is sent until the session ends, or somebody resumes trading.",
            button="Flatten now",
            back=_back(account),
            run=run,
            with_reason=True,
        )

    @action(description="Halt entries", icon="pan_tool", permissions=["change"])
    def halt(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str) -> str:
            trading.halt(account, reason=reason, by=request.user.get_username(), now=clock.now())
            return f"{account} is halted: no new entries; stops, targets and exits go on."

        return ask(
            request,
            title=f"Halt {account}?",
            text="No new entry is sent from now on. Open positions keep their stops and targets.",
            button="Halt entries",
            back=_back(account),
            run=run,
            with_reason=True,
        )

    @action(description="Resume", icon="play_arrow", permissions=["change"])
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str) -> str:
            trading.resume(account, by=request.user.get_username(), now=clock.now())
            return f"{account} trades again."

        return ask(
            request,
            title=f"Resume {account}?",
            text=f"It is {account.get_trading_state_display()}: {account.state_reason or 'no reason given'}. "
            "Entries are allowed again.",
            button="Resume trading",
            back=_back(account),
            run=run,
            tone="good",
        )

    @action(description="Use by default", icon="star", permissions=["change"])
    def choose(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str) -> str:
            with transaction.atomic():
                for other in Account.objects.select_for_update().filter(selected=True).exclude(pk=account.pk):
                    other.selected = False
                    other.save(update_fields=["selected"])
                account.selected = True
                account.save(update_fields=["selected"])
            return f"Commands and the API use {account} when no account is named."

        return ask(
            request,
            title=f"Use {account} by default?",
            text="Commands and API requests that name no account mean this one. Strategies stay where they are.",
            button="Use by default",
            back=_back(account),
            run=run,
            tone="good",
        )


def _back(account: Account) -> str:
    return reverse("admin:tradingbot_account_change", args=[account.pk])


@admin.register(Balance)
class BalanceAdmin(FactAdmin):
    list_display = ("at", "account", "session_date", "balance", OPEN, EQUITY, "floor", "end_of_day")
    list_select_related = ("account",)
    list_filter = ("account", "end_of_day", "session_date")
    date_hierarchy = "session_date"
    fields = (("account", "session_date", "at"), ("balance", OPEN, EQUITY), ("floor", "end_of_day"))
