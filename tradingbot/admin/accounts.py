"""Accounts with the limits that bind them, balances, who changed what may trade; halt, arm, resume and flatten."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.enums import ActionVariant

from market.sessions import trade_date_of
from tradingbot import clock
from tradingbot.admin import columns
from tradingbot.admin.confirming import CodeForm, NameForm, ResumeForm, ask
from tradingbot.admin.facts import FactAdmin, HistoryAdmin
from tradingbot.models import Account, Balance, StateChange, TradingState
from tradingbot.models.accounts import Venue
from tradingbot.operations import arming, hints, orders, permits, rules, trading
from tradingbot.templatetags import exchange

DAY = columns.profit("day_profit", "realised today")
EQUITY = columns.column("num_equity", "equity", lambda row: exchange.dollars(row.equity))
LOTS = columns.column("num_max_lots", "max lots", lambda row: exchange.NONE if row.max_lots is None else row.max_lots)
BOUND = columns.column(
    "bound_by",
    "binds today, and why",
    lambda row: render_to_string(
        "panel/effective.html", {"effective": rules.effective(row, trade_date_of(clock.now()))}
    ),
)
OPEN = columns.profit("open_profit", "open P&L", order="open_profit")


def _permit(account: Account) -> SafeString:
    rules = [
        {"rule": rule.name, "value": rule.value, "limit": rule.limit, "ok": rule.ok, "note": rule.note}
        for rule in permits.rules(account, now=clock.now())
    ]
    return render_to_string("panel/rules.html", {"rules": rules})


def _margin(account: Account) -> SafeString | str:
    bound = permits.margin(account, now=clock.now())
    if bound.dollars is None:
        return "not known of everything that is open"
    share = "" if bound.percent is None else f", {bound.percent:.1f} % of equity"
    return format_html("{}{}", exchange.dollars(bound.dollars), share)


PERMIT = columns.column("permit", "permit", _permit)
MARGIN = columns.column("margin", "margin of what is open and works", _margin)


@admin.register(Account)
class AccountAdmin(HistoryAdmin):
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
    titles = {
        "trading_state": "state",
        "state_until": "until",
        "balance_at": "balance of",
        "can_trade": "venue allows",
        "selected": "default",
    }
    actions_row = ("flatten", "halt", "resume", "choose", "rules")
    actions_detail = (
        *("flatten", "halt", "arm", "disarm", "rules"),
        {"title": "More", "icon": "more_horiz", "items": ["reduce", "resume", "choose"]},
    )
    readonly_fields = (
        "maximum_loss",
        "daily_loss_limit",
        LOTS,
        BOUND,
        "login",
        "name",
        "broker_account_id",
        "can_trade",
        "selected",
        "trading_state",
        "state_reason",
        "state_until",
        "lock",
        "lock_until",
        "armed_at",
        "armed_until",
        "flatten_requested_at",
        "flatten_reason",
        "balance",
        "balance_at",
        "session_start_balance",
        DAY,
        MARGIN,
        PERMIT,
        "reconciled_at",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "login", "broker_account_id"),
                    ("stage", "size", "has_daily_loss_limit"),
                    ("enabled", "selected"),
                    ("can_trade", "reconciled_at", "bracket_mode"),
                )
            },
        ),
        (
            "State",
            {
                "fields": (
                    ("trading_state", "state_reason", "state_until"),
                    ("lock", "lock_until"),
                    ("armed_at", "armed_until"),
                    ("flatten_requested_at", "flatten_reason"),
                )
            },
        ),
        ("Permit", {"fields": (PERMIT,), "description": "What must stand before any entry, as it is now."}),
        ("Money", {"fields": (("balance", "balance_at"), ("session_start_balance", DAY), MARGIN)}),
        (
            "Limits of the firm",
            {
                "fields": (
                    ("start_balance", "highest_eod_balance"),
                    ("maximum_loss", "daily_loss_limit", LOTS),
                    BOUND,
                    ("sharing", "max_strategies"),
                ),
                "description": "They follow stage and size by the rulebook, or an override with its reason "
                "(Rules, Override a rule). An entry is refused while a required one is empty.",
            },
        ),
        (
            "Limits of your own",
            {
                "fields": (("product_percent", "group_percent"), ("margin_percent", "taper_percent")),
                "description": "Each is off while it is empty; docs/risk.md has the formulas.",
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        now = clock.now()
        rules.apply(obj, on=trade_date_of(now), now=now)

    @action(description="Rules", icon="policy")
    def rules(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return HttpResponseRedirect(reverse("account-rules", args=[object_id]))

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
            text="No new entry is sent from now on, and entries that work are cancelled. Open positions keep their "
            "stops and targets.",
            button="Halt entries",
            back=_back(account),
            run=run,
            with_reason=True,
        )

    @action(description="Reduce only", icon="compress", permissions=["change"])
    def reduce(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str) -> str:
            by, state = request.user.get_username(), TradingState.REDUCE_ONLY
            trading.halt(account, reason=reason, by=by, now=clock.now(), state=state)
            account.refresh_from_db()
            return f"{account} is {account.get_trading_state_display()}: no new entries; strategies may close."

        return ask(
            request,
            title=f"Only reduce on {account}?",
            text="No new entry is sent from now on, and entries that work are cancelled. Positions keep their stops "
            "and targets, and strategies may close them.",
            button="Reduce only",
            back=_back(account),
            run=run,
            with_reason=True,
        )

    @action(description="Resume", icon="play_arrow", permissions=["change"])
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str, override: str) -> str:
            by = request.user.get_username()
            trading.resume(account, by=by, now=clock.now(), reason=reason, override=override)
            return f"{account} trades again."

        return ask(
            request,
            title=f"Resume {account}?",
            text=f"It is {account.get_trading_state_display()}: {account.state_reason or 'no reason given'}. "
            "Entries are allowed again. After a maximum loss a reason is required.",
            button="Resume trading",
            back=_back(account),
            run=run,
            asks=ResumeForm,
            tone="good",
        )

    def has_arm_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, login__venue=Venue.PROJECTX, armed_at=None)

    def has_disarm_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, armed_at__isnull=False)

    def _may(self, request: HttpRequest, object_id: Any, **wanted: Any) -> bool:
        may = bool(request.user.has_perm("tradingbot.change_account"))
        return may and (object_id is None or Account.objects.filter(pk=object_id, **wanted).exists())

    @action(description="Arm", icon="lock_open", permissions=["arm"], variant=ActionVariant.WARNING)
    def arm(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account.objects.select_related("login"), pk=object_id)

        def run(typed: str, code: str = "") -> str:
            until = arming.arm(account, name=typed, by=request.user.get_username(), now=clock.now(), code=code)
            return f"{account} is armed until {exchange.moment(until)}: real entries may leave."

        return ask(
            request,
            title=f"Arm {account} for real orders?",
            text="Real entries may leave until the session's flat time, then it disarms by itself. By typing its name "
            "you also say that the platform shows Auto OCO Brackets under Settings, Risk Settings.",
            button="Arm",
            back=_back(account),
            run=run,
            asks=CodeForm if arming.needs_code() else NameForm,
        )

    @action(description="Disarm", icon="lock", permissions=["disarm"])
    def disarm(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        account = get_object_or_404(Account, pk=object_id)

        def run(reason: str) -> str:
            done = arming.disarm(account, by=request.user.get_username(), reason=reason, now=clock.now())
            return f"{account} is disarmed: no real entry leaves." if done else f"{account} was not armed."

        return ask(
            request,
            title=f"Disarm {account}?",
            text="No real entry leaves from now on, and entries that work are cancelled. What protects and closes "
            "goes on.",
            button="Disarm",
            back=_back(account),
            run=run,
            with_reason=True,
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


@admin.register(StateChange)
class StateChangeAdmin(FactAdmin):
    list_display = ("at", "account", "kind", "before", "after", "by", "reason", "until")
    list_select_related = ("account",)
    list_filter = ("kind", "account")
    search_fields = ("reason", "by")
    fields = (("at", "machine_at"), ("account", "kind"), ("before", "after"), ("by", "reason"), "until")
