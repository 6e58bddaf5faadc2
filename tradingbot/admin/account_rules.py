"""Pages of the rules: what binds each stage and size, what binds one account and how far it is, its overrides."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from market.sessions import trade_date_of
from risk.parameters import SPECS, words
from risk.rulebook import STALE_AFTER, Rulebook, RulebookInvalid, Stage
from tradingbot import clock
from tradingbot.models import Account, PersonalRules, RuleOverride
from tradingbot.models.rules import OVERRIDABLE
from tradingbot.operations import progress, rulebooks, rules, what_if


def rulebook(request: HttpRequest) -> HttpResponse:
    """Show what binds each stage and size today, where it is written and when that was read."""
    today = trade_date_of(clock.now())
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Rulebook", "today": today}
    try:
        book = rulebooks.current()
    except RulebookInvalid as error:
        context["problems"] = error.problems
    else:
        context |= _book(book, today)
    return render(request, "panel/rulebook.html", context)


def account(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what binds an account, where that comes from, and what it lacks to pass or to be paid."""
    row = get_object_or_404(Account.objects.select_related("login"), pk=pk)
    if not request.user.has_perm("tradingbot.view_account"):
        raise PermissionDenied
    now = clock.now()
    context = {
        **admin.site.each_context(request),
        "title": f"Rules and progress of {row}",
        "p": progress.read(row, now=now),
        **dict(zip(("odds", "no_odds"), what_if.odds(row, now=now), strict=True)),
        "effective": rules.effective(row, trade_date_of(now)),
        "overrides": RuleOverride.objects.filter(account=row),
        "may_change": request.user.has_perm("tradingbot.change_account"),
    }
    return render(request, "panel/account_rules.html", context)


class OverrideForm(forms.Form):
    """One parameter that is another for this account; `sure` once the question was answered."""

    parameter = forms.ChoiceField(choices=OVERRIDABLE, widget=UnfoldAdminSelectWidget())
    value = forms.DecimalField(
        max_digits=16,
        decimal_places=4,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="dollars, lots, days, or a share like 0.55, as the parameter is",
    )
    effective_from = forms.DateField(widget=UnfoldAdminDateWidget(), help_text="session from which it binds")
    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="stored with your name and shown with the value"
    )


@permission_required("tradingbot.change_account", raise_exception=True)
def override(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask for an override, say what it changes, write it when confirmed."""
    row = get_object_or_404(Account.objects.select_related("login"), pk=pk)
    now = clock.now()
    today = trade_date_of(now)
    form = OverrideForm(request.POST or None, initial={"effective_from": today})
    back = reverse("account-rules", args=[pk])
    question = ""
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            if "sure" in request.POST:
                rules.override(
                    row,
                    wish["parameter"],
                    wish["value"],
                    effective_from=wish["effective_from"],
                    reason=wish["reason"],
                    by=request.user.get_username(),
                    now=now,
                    on=today,
                )
                messages.success(request, _sentence(row, wish, today))
                return HttpResponseRedirect(back)
            rules.check_override(wish["parameter"], wish["value"], reason=wish["reason"])
            question = _sentence(row, wish, today)
        except ValueError as error:
            form.add_error("value", str(error))
    context = {
        **admin.site.each_context(request),
        "title": f"Override a rule of {row}",
        "form": form,
        "question": question,
        "back": back,
        "known": rules.effective(row, today),
    }
    return render(request, "panel/override.html", context)


@permission_required("tradingbot.change_account", raise_exception=True)
def personal(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to the account's personal limits, to an empty form while it has none."""
    row = PersonalRules.objects.filter(account=get_object_or_404(Account, pk=pk)).first()
    if row is None:
        return HttpResponseRedirect(f"{reverse('admin:tradingbot_personalrules_add')}?account={pk}")
    return HttpResponseRedirect(reverse("admin:tradingbot_personalrules_change", args=[row.pk]))


def _sentence(row: Account, wish: dict[str, Any], today: date) -> str:
    name, value = wish["parameter"], wish["value"]
    before = next((known for known in rules.effective(row, today) if known.name == name), None)
    was = f"{before.text} ({before.origin})" if before else "not set"
    title = name.replace("_", " ")
    return f"{title} of {row}: {was} becomes {words(name, _plain(value))} from {wish['effective_from']} on."


def _plain(value: Decimal) -> Decimal:
    return Decimal(int(value)) if value == int(value) else value.normalize()


def _book(book: Rulebook, today: date) -> dict[str, Any]:
    pairs = book.accounts()
    tables = []
    for stage in dict.fromkeys(stage for stage, _ in pairs):
        found = [book.parameters(of, size, today) for of, size in pairs if of is stage]
        of_stage = [of for of in found if of is not None]
        rows = [
            (name.replace("_", " "), spec.help, [words(name, getattr(of, name)) for of in of_stage])
            for name, spec in SPECS.items()
            if stage in spec.stages
        ]
        tables.append((_TITLES[stage], of_stage, rows))
    caps = [
        (symbol, [book.caps(size, today).get(symbol) for size in (50, 100, 150)]) for symbol in book.caps(50, today)
    ]
    return {
        "tables": tables,
        "permitted": sorted(book.permitted(today) or ()),
        "caps": caps,
        "cpi": book.news("cpi", today),
        "conduct": book.conduct(today),
        "checked_on": book.checked_on,
        "age": (today - book.checked_on).days,
        "stale": (today - book.checked_on).days > STALE_AFTER,
    }


_TITLES = {
    Stage.PRACTICE: "Practice",
    Stage.COMBINE: "Trading Combine",
    Stage.EXPRESS: "Express Funded",
    Stage.LIVE: "Live Funded (never traded by a program)",
}
