"""Simulations: asked for in a form, watched while they run, compared in one list, opened as a page with charts."""

from __future__ import annotations

import gzip
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

import strategies
from backtest.codes import Policy
from strategies.parameters import ParameterError
from tradingbot.admin import columns
from tradingbot.admin.facts import PanelAdmin
from tradingbot.models import Backtest, Contract, Strategy
from tradingbot.operations.backtests import FIRMS, Wish, records
from tradingbot.templatetags import exchange

_TONES = {"passed": "good", "breached": "bad"}
_REFRESH = "3"  # seconds, while anything runs
_NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


class WishForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person wants simulated."""

    strategy = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget(), help_text="a kind, or a strategy as it is configured"
    )
    contract = forms.ModelChoiceField(Contract.objects.filter(active=True), widget=UnfoldAdminSelectWidget())
    parameters = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        help_text="one a line, for example stop_atr=2.5; over the strategy's own",
    )
    first = forms.DateField(required=False, widget=UnfoldAdminSingleDateWidget(), help_text="all if empty")
    last = forms.DateField(required=False, widget=UnfoldAdminSingleDateWidget(), help_text="all if empty")
    slippage = forms.IntegerField(
        min_value=0, max_value=1000, initial=1, widget=UnfoldAdminTextInputWidget(), help_text="ticks"
    )
    policy = forms.TypedChoiceField(
        coerce=int,
        choices=[(int(policy), policy.name.lower()) for policy in Policy],
        widget=UnfoldAdminSelectWidget(),
        help_text="how a bar that reached two prices is read",
    )
    firm = forms.ChoiceField(
        required=False,
        choices=[("", "none"), *((name, name) for firm in FIRMS for name in (firm, f"{firm}-dll"))],
        initial="combine-50",
        widget=UnfoldAdminSelectWidget(),
        help_text="rules that judge the result",
    )

    class Meta:
        model = Backtest
        fields = ("strategy", "contract", "parameters", "first", "last", "slippage", "policy", "firm")

    wish: Wish

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [(kind.name, kind.title) for kind in strategies.STRATEGIES.values()]
        rows = [(name, f"{name} (configured)") for name in Strategy.objects.values_list("name", flat=True)]
        choices = [*((name, title) for name, title in kinds if name not in dict(rows)), *rows]
        self.fields["strategy"].choices = choices  # type: ignore[attr-defined]

    def clean_parameters(self) -> dict[str, str]:
        values = {}
        for line in filter(None, map(str.strip, self.cleaned_data["parameters"].splitlines())):
            name, equals, value = line.partition("=")
            if not equals:
                raise forms.ValidationError(f"{line!r} is not NAME=VALUE")
            values[name.strip()] = value.strip()
        return values

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        first, last = cleaned["first"], cleaned["last"]
        if first and last and last < first:
            self.add_error("last", f"{last} is before {first}.")
        try:
            self.wish = records.wish_for(
                cleaned["strategy"],
                cleaned["contract"],
                cleaned["parameters"],
                first,
                last,
                slippage=cleaned["slippage"],
                policy=Policy(cleaned["policy"]),
                firm=cleaned["firm"],
            )
            self.wish.check()
        except ParameterError as error:
            for name, message in error.errors.items():
                self.add_error("parameters", f"{name}: {message}")
        except ValueError as error:
            self.add_error(None, str(error))
        return cleaned


def _state(row: Backtest) -> SafeString:
    text = f"{row.progress} %" if row.state == Backtest.State.RUNNING else row.get_state_display()
    return exchange.badge(text, row.state)


def _outcome(row: Backtest) -> SafeString:
    return exchange.badge(row.outcome, _TONES.get(row.outcome, "quiet")) if row.outcome else SafeString(exchange.NONE)


def _details(told: dict[str, Any]) -> str:
    return render_to_string("panel/details.html", {"pairs": told.items()}) if told else exchange.NONE


def _page(row: Backtest) -> SafeString | str:
    if row.state != Backtest.State.DONE:
        return exchange.NONE
    return columns.link(reverse("admin:tradingbot_backtest_report", args=[row.pk]), "open report")


def _figure(name: str, form: str) -> Any:
    def show(row: Backtest) -> str:
        value = getattr(row, name)
        return exchange.NONE if value is None else format(value, form)

    return columns.column(f"num_{name}", name.replace("_", " "), show, order=name)


STATE = columns.column("state_shown", "state", _state, order="state")
OUTCOME = columns.column("outcome_shown", "account", _outcome, order="outcome")
RESULT = columns.column("result", "", lambda row: _details(row.document.get("told", {})))
REPORT = columns.column("report", "report", _page)


@admin.register(Backtest)
class BacktestAdmin(PanelAdmin):
    form = WishForm
    list_display = (
        "id",
        STATE,
        "strategy",
        "contract",
        "first",
        "last",
        columns.profit("net", order="net"),
        "trades",
        _figure("win_rate", ".1%"),
        _figure("profit_factor", ".2f"),
        _figure("sharpe", ".2f"),
        columns.loss("max_drawdown", "drawdown", order="max_drawdown"),
        OUTCOME,
        REPORT,
        "asked_by",
    )
    list_select_related = ("contract",)
    list_filter = ("state", "strategy", "contract__symbol", "outcome")
    actions = ("cancel",)
    add_fields = (("strategy", "contract"), ("first", "last"), "parameters", ("slippage", "policy", "firm"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": self.add_fields}),)
        facts = (
            ("strategy", "contract", STATE),
            ("first", "last", "firm"),
            ("slippage", "policy", "parameters"),
            ("asked_by", "asked_at"),
            ("started_at", "finished_at", "reason"),
            REPORT,
        )
        return self.shown(((None, {"fields": facts}), ("Result", {"fields": (RESULT,)})), request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else super().get_readonly_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backtest]:
        rows: QuerySet[Backtest] = super().get_queryset(request).defer("page")
        return rows

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: Backtest, form: Any, change: bool) -> None:
        row = records.ask(form.wish, form.cleaned_data["contract"], by=request.user.get_username())
        obj.pk, obj.state, obj.asked_by, obj.asked_at = row.pk, row.state, row.asked_by, row.asked_at

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)
        busy = (Backtest.State.QUEUED, Backtest.State.RUNNING)
        if request.method == "GET" and Backtest.objects.filter(state__in=busy).exists():
            response.headers["Refresh"] = _REFRESH
        return response

    def get_urls(self) -> list[URLPattern]:
        report = path("<int:pk>/report/", self.admin_site.admin_view(self.report), name="tradingbot_backtest_report")
        return [report, *super().get_urls()]

    def report(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return the page with charts."""
        row = Backtest.objects.filter(pk=pk).exclude(page=b"").only("page").first()
        if row is None or not self.has_view_permission(request):
            raise Http404("there is no report of this simulation")
        response = HttpResponse(gzip.decompress(bytes(row.page)))
        response.headers["Content-Security-Policy"] = _NOTHING_FROM_OUTSIDE
        return response

    @admin.action(description="Cancel", permissions=["view"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Backtest]) -> None:
        count = sum(records.cancel(row) for row in queryset)
        self.message_user(request, f"{count} simulation(s) will stop.")
