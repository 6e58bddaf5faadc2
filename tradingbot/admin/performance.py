"""What accounts and strategies have come to: figures, equity and drawdown as charts, periods, causes, hours."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import version
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from market.performance import Day, figures
from tradingbot.models import Account, Strategy
from tradingbot.operations import performance

_NEWEST = 30  # days in the table
_PERMISSION = "tradingbot.view_dayresult"


def page(request: HttpRequest, kind: str = "account", pk: int | None = None) -> HttpResponse:
    """Show an account or a strategy; without a choice the account that is used by default."""
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Performance",
        "is_fullwidth": "1",
        "library": version("litecharts"),
        "accounts": Account.objects.filter(enabled=True),
        "strategies": Strategy.objects.all(),
        "allowed": request.user.has_perm(_PERMISSION),
    }
    chosen = _chosen(kind, pk)
    if chosen is not None and context["allowed"]:
        found = performance.of_strategy(chosen) if isinstance(chosen, Strategy) else performance.of_account(chosen)
        context |= {"chosen": (kind, chosen.pk), **_shown(found)}
    return render(request, "panel/performance.html", context)


def _chosen(kind: str, pk: int | None) -> Account | Strategy | None:
    if kind == "strategy":
        return get_object_or_404(Strategy, pk=pk)
    if pk is not None:
        return get_object_or_404(Account, pk=pk)
    return Account.objects.filter(enabled=True).order_by("-selected", "name").first()


def _shown(found: performance.Performance) -> dict[str, Any]:
    return {
        "p": found,
        "f": found.figures,
        "curve": _curve(found.days),
        "newest": found.days[: -_NEWEST - 1 : -1],
        "weeks": found.weeks[::-1],
        "months": found.months[::-1],
        "parts": [(name, figures(days)) for name, days in found.parts.items()],
    }


def _curve(days: list[Day]) -> list[dict[str, object]]:
    """Return per session its date, the result up to its end and the fall from the peak, in dollars."""
    total = peak = Decimal(0)
    rows = []
    for day in days:
        total += day.net
        peak = max(peak, total)
        rows.append({"time": day.session_date.isoformat(), "total": float(total), "fall": float(total - peak)})
    return rows
