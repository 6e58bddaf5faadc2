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
from django.utils.html import format_html
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
from tradingbot.admin.parameters import specs_of
from tradingbot.models import Backtest, Contract, Strategy
from tradingbot.operations.backtests import FIRMS, Wish, records
from tradingbot.templatetags import exchange

_TONES = {"passed": "good", "breached": "bad"}
_BUSY = (Backtest.State.QUEUED, Backtest.State.RUNNING)
_WORDS = {"True": "yes", "False": "no"}
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
        likely = Strategy.objects.select_related("account__login").order_by("-enabled", "name").first()
        if likely is not None:
            self.initial.setdefault("strategy", likely.name)
        self.initial.setdefault("contract", _likely_contract(likely))

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


def _likely_contract(strategy: Strategy | None) -> Contract | None:
    """Return what a strategy trades, or the only contract there is."""
    active = Contract.objects.filter(active=True)
    if strategy is not None:
        active = active.filter(venue=strategy.account.login.venue)
        if mine := active.filter(symbol=strategy.symbol).first():
            return mine
    two = list(active[:2])
    return two[0] if len(two) == 1 else None


def _watched(request: HttpRequest, page: HttpResponse, rows: QuerySet[Backtest]) -> HttpResponse:
    """Return the page, which asks for itself again while one of the rows runs."""
    if request.method == "GET" and rows.filter(state__in=_BUSY).exists():
        page.headers["Refresh"] = _REFRESH
    return page


def _state(row: Backtest) -> SafeString:
    text = f"{row.progress} %" if row.state == Backtest.State.RUNNING else row.state
    return exchange.badge(text, row.state)


def _outcome(row: Backtest) -> SafeString:
    return exchange.badge(row.outcome, _TONES.get(row.outcome, "quiet")) if row.outcome else SafeString(exchange.NONE)


def _sessions(row: Backtest) -> str:
    if row.first is None and row.last is None:
        return "all"
    return f"{exchange.day(row.first)} to {exchange.day(row.last)}"


def _result(row: Backtest) -> str:
    told = dict(row.document.get("told", ()))
    return render_to_string("panel/details.html", {"pairs": told.items()}) if told else exchange.NONE


def _parameters(row: Backtest) -> SafeString | str:
    """Return the parameters in the order in which the strategy declares them."""
    places = {spec.name: place for place, spec in enumerate(specs_of(row.strategy))}
    names = sorted(row.parameters, key=lambda name: (places.get(name, len(places)), name))
    if not names:
        return "as the strategy ships"
    pairs = [(name, _WORDS.get(str(row.parameters[name]), row.parameters[name])) for name in names]
    return format_html('<div class="tb-columns">{}</div>', render_to_string("panel/details.html", {"pairs": pairs}))


def _report(row: Backtest, text: str, style: str) -> SafeString | str:
    if row.state != Backtest.State.DONE:
        return exchange.NONE
    url = reverse("admin:tradingbot_backtest_report", args=[row.pk])
    return format_html('<a class="{}" href="{}">{}</a>', style, url, text)


def _figure(name: str, form: str) -> Any:
    def show(row: Backtest) -> SafeString:
        value = getattr(row, name)
        return exchange.number(exchange.NONE if value is None else format(value, form))

    return columns.column(f"num_{name}", name.replace("_", " "), show, order=name)


STATE = columns.column("state_shown", "state", _state, order="state")
OUTCOME = columns.column("outcome_shown", "account", _outcome, order="outcome")
WHAT = columns.column("what", "strategy", lambda row: f"{row.strategy} on {row.contract}", order="strategy")
SESSIONS = columns.column("sessions", "sessions", _sessions, order="first")
RESULT = columns.column("result", "", _result)
PARAMETERS = columns.column("parameters_shown", "", _parameters)
REPORT = columns.column("report", "report", lambda row: _report(row, "open report", "tb-link"))
REPORT_BUTTON = columns.column(
    "report_button", "report", lambda row: _report(row, "Open the report", "tb-button tb-button-on")
)


@admin.register(Backtest)
class BacktestAdmin(PanelAdmin):
    form = WishForm
    list_display = (
        "id",
        STATE,
        WHAT,
        SESSIONS,
        columns.profit("net", order="net"),
        "trades",
        _figure("win_rate", ".1%"),
        _figure("profit_factor", ".2f"),
        _figure("sharpe", ".2f"),
        columns.loss("max_drawdown", "drawdown", order="max_drawdown"),
        OUTCOME,
        REPORT,
    )
    list_select_related = ("contract",)
    list_filter = ("state", "strategy", "contract__symbol", "outcome")
    actions = ("cancel",)
    add_fields = (("strategy", "contract"), ("first", "last"), "parameters", ("slippage", "policy", "firm"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": self.add_fields}),)
        facts = (
            (STATE, REPORT_BUTTON, "reason"),
            ("strategy", "contract", "firm"),
            ("first", "last", "asked_by"),
            ("slippage", "policy", "asked_at"),
            ("started_at", "finished_at"),
        )
        sections = (
            (None, {"fields": facts}),
            ("Result", {"fields": (RESULT,)}),
            ("Parameters", {"fields": (PARAMETERS,)}),
        )
        return self.shown(sections, request, obj)

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
        return _watched(request, super().changelist_view(request, extra_context), Backtest.objects.all())

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        context = {"show_save_and_continue": False, "show_save_and_add_another": False, "title": "New simulation"}
        page: HttpResponse = super().add_view(request, form_url, {**(extra_context or {}), **context})
        return page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        page = super().change_view(request, object_id, form_url, extra_context)
        return _watched(request, page, Backtest.objects.filter(pk=object_id))

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
