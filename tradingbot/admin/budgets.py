"""The request budget of each login: what every lane sent in the last minute, and what it may still send."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from brokers.base import Lane
from brokers.budget import Usage
from tradingbot.operations import breakers, budgets

MEANS = {
    Lane.CANCEL: "Cancel, close, exit, login",
    Lane.STOP: "Stops and targets, reads of a flatten",
    Lane.RESOLVE: "What became of an order",
    Lane.PLACE: "Entries",
    Lane.RECONCILE: "Orders, fills, positions, balance",
    Lane.BARS: "Bars",
}


def page(request: HttpRequest) -> HttpResponse:
    """Show the budgets; the changing part of the page asks for itself again."""
    whole = "HX-Request" not in request.headers
    context = {**(admin.site.each_context(request) if whole else {}), **_context(), "title": "Request budget"}
    return render(request, "panel/budgets.html" if whole else "panel/budget_tables.html", context)


def _context() -> dict[str, Any]:
    share, note = budgets.guards_share()
    return {
        "logins": [(row.login, row.usage, row.usage and _lanes(row.usage), _breaker(row)) for row in budgets.spent()],
        "guards_share": share,
        "guards_note": note,
        "refresh": 5,
    }


def _breaker(row: budgets.Spent) -> tuple[str, str] | None:
    """Return tone and words of the circuit breaker."""
    match row.breaker:
        case breakers.State.OPEN:
            return "bad", "Open: the venue fails, reads and entries wait for seconds"
        case breakers.State.HALF_OPEN:
            return "warn", "Half open: one read finds out whether the venue answers"
        case breakers.State.CLOSED:
            return "good", "Closed: the venue answers"
    return None


def _lanes(usage: Usage) -> list[dict[str, Any]]:
    """Return the lanes as rows, the first to go first."""
    return [
        {
            "name": MEANS[lane],
            "sent": usage.by_lane[lane],
            "limit": usage.limits[lane],
            "left": usage.left(lane),
            "state": "good" if usage.left(lane) else "bad",
        }
        for lane in Lane
    ]
