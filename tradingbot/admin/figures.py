"""How the venue answered, how the cache served and what the streams brought, in the last 24 hours on one page."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tradingbot.operations import api_figures

_HOURS = 24


def page(request: HttpRequest) -> HttpResponse:
    """Show the figures as the rows have them: up to five minutes old."""
    context = {
        **admin.site.each_context(request),
        "title": "Venue, cache and stream",
        "hours": _HOURS,
        "calls": api_figures.calls(within=timedelta(hours=_HOURS)),
        "cache": api_figures.cache(),
        "streams": api_figures.streams(),
    }
    return render(request, "panel/figures.html", context)
