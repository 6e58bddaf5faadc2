"""The chart page of a contract and day, and the data that it asks for."""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control

from market.sessions import trade_date_of
from tradingbot import clock
from tradingbot.dashboard.drawing import draw
from tradingbot.models import BarDay, Contract, Strategy


@staff_member_required
def newest(request: HttpRequest) -> HttpResponseBase:
    """Go to the day with the newest bars; without any, to the symbol of a strategy or contract."""
    day = BarDay.objects.order_by("-updated_at").select_related("contract").defer("data").first()
    if day:
        return HttpResponseRedirect(reverse("chart-day", args=[day.contract.symbol, day.trade_date]))
    symbol = Strategy.objects.order_by("-enabled").values_list("symbol", flat=True).first()
    return HttpResponseRedirect(reverse("chart-day", args=[symbol or "MNQ", trade_date_of(clock.now())]))


@staff_member_required
def page(request: HttpRequest, symbol: str, day: date | None = None) -> HttpResponse:
    """Return the page; its script asks for the data."""
    day = day or trade_date_of(clock.now())
    contract = _contract(request, symbol, day)
    days = BarDay.objects.filter(contract=contract) if contract else BarDay.objects.none()
    data = reverse("chart-data", args=[symbol, day])
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": f"{contract or symbol}, session of {day:%a %d %b %Y}",
        "symbol": symbol,
        "contract": contract,
        "data": f"{data}?contract={contract.pk}" if contract else "",
        "before": days.filter(trade_date__lt=day).values_list("trade_date", flat=True).first(),
        "after": days.filter(trade_date__gt=day).order_by("trade_date").values_list("trade_date", flat=True).first(),
        "symbols": Contract.objects.filter(Q(days__isnull=False) | Q(symbol=symbol))
        .values_list("symbol", flat=True)
        .distinct()
        .order_by("symbol"),
        "day": day,
        "library": version("litecharts"),
        "is_fullwidth": "1",
    }
    return render(request, "dashboard/chart.html", context)


@staff_member_required
def data(request: HttpRequest, symbol: str, day: date) -> JsonResponse:
    """Return bars, lines and fills of the day."""
    contract = _contract(request, symbol, day)
    if contract is None:
        raise Http404(f"no contract {symbol}")
    return JsonResponse(draw(contract, day, now=clock.now()))


@cache_control(public=True, max_age=31_536_000, immutable=True)
def library(request: HttpRequest, **address: str) -> HttpResponse:
    """Return TradingView's lightweight-charts as its wheel carries it; the address names the wheel's version."""
    return HttpResponse(_library(), content_type="text/javascript; charset=utf-8")


@cache
def _library() -> bytes:
    package = find_spec("litecharts")
    if package is None or package.origin is None:
        raise Http404("the package litecharts is not installed")
    return (Path(package.origin).parent / "js" / "lightweight-charts.js").read_bytes()


def _contract(request: HttpRequest, symbol: str, day: date) -> Contract | None:
    """Return the contract asked for, else the one with bars of that day, else the active one."""
    contracts = Contract.objects.filter(symbol=symbol)
    if (asked := request.GET.get("contract", "")).isdecimal():
        return contracts.filter(pk=int(asked)).first()
    with_bars = Q(days__trade_date=day)
    return contracts.filter(with_bars).order_by("-active", "-days__count").first() or contracts.first()
