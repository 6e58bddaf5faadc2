"""Halt, resume and flatten for all accounts at once."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from tradingbot import clock
from tradingbot.admin.confirming import ask
from tradingbot.models import Account, Order, Position
from tradingbot.operations import hints, orders, trading

may_steer = permission_required("tradingbot.change_account", raise_exception=True)


@may_steer
def halt_all(request: HttpRequest) -> HttpResponseBase:
    def run(reason: str) -> str:
        by, now = request.user.get_username(), clock.now()
        halted = sum(trading.halt(account, reason=reason, by=by, now=now) for account in _accounts())
        return f"{halted} account(s) halted: no new entries; stops, targets and exits go on."

    return ask(
        request,
        title="Halt all trading?",
        text="No new entry is sent from now on, on any account. Open positions keep their stops and targets.",
        button="Halt all",
        back=reverse("admin:index"),
        run=run,
        with_reason=True,
    )


@may_steer
def resume_all(request: HttpRequest) -> HttpResponseBase:
    def run(reason: str) -> str:
        by, now = request.user.get_username(), clock.now()
        return " ".join(_resumed(account, by, now) for account in _accounts())

    reasons = [f"{account}: {account.state_reason}" for account in _accounts() if account.state_reason]
    return ask(
        request,
        title="Resume trading?",
        text=f"Entries are allowed again on every account. Why it stopped: {'; '.join(reasons) or 'nobody said'}.",
        button="Resume all",
        back=reverse("admin:index"),
        run=run,
        tone="good",
    )


@may_steer
def flatten_all(request: HttpRequest) -> HttpResponseBase:
    def run(reason: str) -> str:
        orders.emergency_stop(reason=reason, by=request.user.get_username(), now=clock.now())
        hints.publish("critical.emergency_stop")
        return "Emergency stop: workers cancel every order and close every position; no entry until you resume."

    return ask(
        request,
        title="Flatten all accounts?",
        text=f"Every order is cancelled ({Order.objects.live().count()} now) and every position closed at market "
        f"({Position.objects.exclude(quantity=0).count()} now), on all {len(_accounts())} account(s). "
        "No entry is sent until somebody resumes trading.",
        button="Flatten all now",
        back=reverse("admin:index"),
        run=run,
        with_reason=True,
    )


def _resumed(account: Account, by: str, now: datetime) -> str:
    try:
        resumed = trading.resume(account, by=by, now=now)
    except ValueError as error:
        return f"{error}."
    return f"{account} may trade again." if resumed else f"{account} trades already."


def _accounts() -> list[Account]:
    return list(Account.objects.filter(enabled=True))
