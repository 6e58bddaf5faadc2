"""The front page: its first rendering by the admin's index, then the same part again every few seconds."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tradingbot.admin import overview
from tradingbot.clock import clock


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the index page's context; unfold calls it."""
    return {**context, **_context(request), "title": "Control panel", "is_fullwidth": "1"}


def part(request: HttpRequest) -> HttpResponse:
    """Return the changing part of the front page; a visitor whose login has ended reloads and logs in."""
    if not admin.site.has_permission(request):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "panel/front.html", _context(request))


def environment(request: HttpRequest) -> list[str]:
    """Return the label beside the page's title: which venue, which clock."""
    speed = "" if clock.anchor is None else f" {clock.speed:g}x"
    return [f"Paper{speed}", "info"] if settings.TRADING_VENUE == "paper" else [f"LIVE{speed}", "danger"]


def _context(request: HttpRequest) -> dict[str, Any]:
    return {
        "o": overview.read(clock.now()),
        "refresh": 5 if clock.anchor is None else 2,
        "may_steer": request.user.has_perm("tradingbot.change_account"),
        "venue": settings.TRADING_VENUE,
    }
