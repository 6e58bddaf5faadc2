"""Strategies: on and off, their parameters, what they did last; and the overnight ranges."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString
from simple_history.template_utils import HistoricalRecordContextHelper
from unfold.decorators import action

from tradingbot import clock
from tradingbot.admin import columns
from tradingbot.admin.confirming import ask
from tradingbot.admin.facts import FactAdmin, HistoryAdmin
from tradingbot.admin.parameters import PREFIX, NewStrategyForm, column_of, form_for, specs_of
from tradingbot.models import Contract, Decision, OvernightRange, Strategy
from tradingbot.operations import hints, strategy_watch
from tradingbot.operations import strategies as operation
from tradingbot.operations.differences import differences
from tradingbot.operations.orders.opening import config_version
from tradingbot.templatetags import exchange

_IN_A_ROW = 3
_LIMITS = (
    ("max_positions", "max_entries_a_day", "max_signals_a_day"),
    ("min_reward_risk", "max_stop_points", "max_risk_dollars"),
    ("entry_windows", "entry_zone"),
    ("daily_loss_dollars", "daily_loss_share", "drawdown_dollars"),
    ("loss_streak", "cooldown_minutes", "buffer_dollars"),
)


def _state(strategy: Strategy) -> SafeString:
    if not strategy.enabled:
        return exchange.badge("off", "quiet")
    if strategy.stopped_reason:
        return exchange.badge("stopped by its drawdown", "bad")
    if strategy.halted_on:
        return exchange.badge(f"halted {strategy.halted_on}", "warn")
    return exchange.badge("on", "good")


def _chart(row: OvernightRange) -> SafeString:
    return columns.link(reverse("chart-day", args=[row.contract.symbol, row.session_date]), "open chart")


class ParameterChanges(HistoricalRecordContextHelper):
    """A version beside the one before it: each parameter that changed on a line of its own, no JSON."""

    def context_for_delta_changes(self, delta: Any) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = []
        for change, row in zip(delta.changes, super().context_for_delta_changes(delta), strict=True):
            if change.field == "parameters":
                found = differences(change.old or {}, change.new or {})
                shown += [{"field": one.name, "old": one.before, "new": one.after} for one in found]
            else:
                shown.append(row)
        return shown


STATE = columns.column("state", "state", _state, order="enabled")
SIZE = columns.column("num_size", "points", lambda row: exchange.price(row.high - row.low, row.contract))
CHART = columns.column("chart", "chart", _chart)


@admin.register(Strategy)
class StrategyAdmin(HistoryAdmin):
    list_display = ("name", "kind", "account", "symbol", STATE, "last_reason", "last_evaluated_at")
    list_select_related = ("account",)
    list_filter = ("enabled", "kind", "account")
    actions = ("start", "stop")
    actions_row = ("toggle", "run_now")
    actions_detail = ("toggle", "run_now", "release")
    readonly_fields = (
        "halted_on",
        "halt_reason",
        "stopped_reason",
        "last_reason",
        "last_evaluated_at",
        "last_run_at",
        "evaluations",
    )
    titles = {"last_evaluated_at": "last bar seen", "last_reason": "last said"}
    history_list_display = ("version", "first_used")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=form_for(obj.kind) if obj else NewStrategyForm, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": (("name", "kind"), ("account", "symbol"))}),)
        specs, changes = specs_of(obj.kind), self.has_change_permission(request, obj)
        names = [PREFIX + spec.name if changes else column_of(spec) for spec in specs]
        rows = [tuple(names[first : first + _IN_A_ROW]) for first in range(0, len(names), _IN_A_ROW)]
        symbol = () if "symbol" in {spec.name for spec in specs} else ("symbol",)
        fieldsets = (
            (None, {"fields": (("name", "kind", "account"), ("enabled", "follow_ticks", *symbol))}),
            ("Parameters", {"fields": rows}),
            (
                "Limits of this strategy",
                {
                    "fields": _LIMITS,
                    "description": "Each is off while it is empty. They are looked at before the account's; "
                    "docs/risk.md says what each counts.",
                },
            ),
            (
                "Today",
                {"fields": (("halted_on", "halt_reason"), "stopped_reason", "last_reason", self.readonly_fields[4:])},
            ),
        )
        return self.shown(fieldsets, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else [*fixed, "name", "kind", "account"]

    @admin.display(description="version")
    def version(self, record: Any) -> str:
        """Return what decisions name the parameters by."""
        return config_version(record.instance)

    @admin.display(description="first used")
    def first_used(self, record: Any) -> str:
        taken = Decision.objects.filter(strategy=record.id, config_version=self.version(record))
        first = taken.order_by("at").values_list("at", flat=True).first()
        return exchange.moment(first) if first else "none yet"

    def get_historical_record_context_helper(self, request: HttpRequest, record: Any) -> ParameterChanges:
        return ParameterChanges(self.model, record)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its orders and decisions refer to it

    def save_model(self, request: HttpRequest, obj: Strategy, form: ModelForm[Any], change: bool) -> None:
        wanted = obj.enabled
        if change and "enabled" in form.changed_data:
            obj.enabled = not wanted
        super().save_model(request, obj, form, change)
        if wanted != obj.enabled:
            _switch(obj, wanted, request)

    @admin.action(description="Start", permissions=["change"])
    def start(self, request: HttpRequest, queryset: QuerySet[Strategy]) -> None:
        for strategy in queryset:
            _switch(strategy, True, request)

    @admin.action(description="Stop", permissions=["change"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Strategy]) -> None:
        for strategy in queryset:
            _switch(strategy, False, request)

    @action(description="Switch on or off", icon="toggle_on", permissions=["change"])
    def toggle(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        strategy = get_object_or_404(Strategy, pk=object_id)
        text = (
            "It places no further entries; working entries are cancelled, open positions keep their stops."
            if strategy.enabled
            else f"It may place orders on {strategy.account} from the next bar on."
        )
        word = "off" if strategy.enabled else "on"
        return ask(
            request,
            title=f"Switch {strategy} {word}?",
            text=text,
            button=f"Switch {word}",
            back=_back(strategy),
            run=lambda reason: _switched(strategy, not strategy.enabled, request),
            tone="bad" if strategy.enabled else "good",
        )

    @action(description="Release", icon="play_arrow", permissions=["change"])
    def release(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        strategy = get_object_or_404(Strategy, pk=object_id)

        def run(reason: str) -> str:
            by = request.user.get_username()
            released = strategy_watch.release(strategy, by=by, reason=reason, now=clock.now())
            return f"{strategy} may trade again." if released else f"{strategy} was not stopped by its drawdown."

        return ask(
            request,
            title=f"Release {strategy}?",
            text=f"Why it was stopped: {strategy.stopped_reason or 'it is not stopped'}. Its drawdown is counted from "
            "now on.",
            button="Release",
            back=_back(strategy),
            run=run,
            with_reason=True,
            tone="good",
        )

    @action(description="Evaluate now", icon="bolt", permissions=["change"])
    def run_now(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        strategy = get_object_or_404(Strategy, pk=object_id)
        venue = strategy.account.login.venue
        contract = Contract.objects.filter(venue=venue, symbol=strategy.symbol, active=True).first()

        def run(reason: str) -> str:
            if contract is None:
                raise ValueError(f"the venue lists no contract {strategy.symbol}")
            hints.publish("normal.evaluate", contract_id=contract.pk)
            return f"A worker evaluates {strategy} on the newest closed bar; the decision appears under Decisions."

        return ask(
            request,
            title=f"Evaluate {strategy} now?",
            text="It looks at the bars that closed since its last evaluation and may place orders if it is on.",
            button="Evaluate now",
            back=_back(strategy),
            run=run,
            tone="good",
        )


def _switched(strategy: Strategy, on: bool, request: HttpRequest) -> str:
    by, now = request.user.get_username(), clock.now()
    if on:
        operation.start(strategy, by=by, now=now)
    else:
        operation.stop(strategy, by=by, now=now)
    return f"{strategy} is {'on' if on else 'off'}."


def _switch(strategy: Strategy, on: bool, request: HttpRequest) -> None:
    try:
        messages.success(request, _switched(strategy, on, request))
    except ValueError as error:
        messages.error(request, str(error))


def _back(strategy: Strategy) -> str:
    return reverse("admin:tradingbot_strategy_change", args=[strategy.pk])


@admin.register(OvernightRange)
class OvernightRangeAdmin(FactAdmin):
    list_display = (
        "session_date",
        "contract",
        "high",
        "low",
        SIZE,
        "bars",
        "expected_bars",
        "complete",
        "captured_at",
        CHART,
    )
    list_select_related = ("contract",)
    list_filter = ("contract__symbol", "complete")
    titles = {"expected_bars": "minutes"}
    date_hierarchy = "session_date"
    fields = (
        ("contract", "session_date"),
        ("high", "low", SIZE),
        ("bars", "expected_bars", "complete"),
        ("captured_at", CHART),
    )
