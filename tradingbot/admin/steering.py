"""Halt, reduce only, resume and emergency stop, for all accounts at once."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from tradingbot import clock
from tradingbot.admin.confirming import ResumeForm, ask
from tradingbot.models import Account, Order, Position, TradingState
from tradingbot.operations import hints, orders, trading

may_steer = permission_required("tradingbot.change_account", raise_exception=True)


@may_steer
def halt_all(request: HttpRequest) -> HttpResponseBase:
    return _bind_all(request, TradingState.HALTED, "Halt all trading?", "Halt all")


@may_steer
def reduce_all(request: HttpRequest) -> HttpResponseBase:
    return _bind_all(request, TradingState.REDUCE_ONLY, "Only reduce, on all accounts?", "Reduce only")


def _bind_all(request: HttpRequest, state: TradingState, title: str, button: str) -> HttpResponseBase:
    def run(reason: str) -> str:
        new = trading.halt_all(reason=reason, by=request.user.get_username(), now=clock.now(), state=state)
        already = "" if new else " already, or more strictly"
        return f"All accounts are {state.label}{already}: no new entries; stops, targets and exits go on."

    return ask(
        request,
        title=title,
        text="No new entry is sent from now on, on any account, and entries that work are cancelled. Open positions "
        "keep their stops and targets, and strategies may close them.",
        button=button,
        back=reverse("admin:index"),
        run=run,
        with_reason=True,
    )


@may_steer
def resume_all(request: HttpRequest) -> HttpResponseBase:
    def run(reason: str, override: str) -> str:
        by, now = request.user.get_username(), clock.now()
        trading.resume_all(by=by, now=now, reason=reason)
        return " ".join(_resumed(account, by, now, reason, override) for account in _accounts())

    overall = trading.overall()
    reasons = [f"all accounts: {overall.reason}"] if overall.reason else []
    reasons += [f"{account}: {account.state_reason}" for account in _accounts() if account.state_reason]
    return ask(
        request,
        title="Resume trading?",
        text=f"Entries are allowed again on every account. Why it stopped: {'; '.join(reasons) or 'nobody said'}. "
        "An account that reached its maximum loss needs a reason, and stays halted while it is at it.",
        button="Resume all",
        back=reverse("admin:index"),
        run=run,
        asks=ResumeForm,
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
        title="Emergency stop: flatten all accounts?",
        text=f"Every order is cancelled ({Order.objects.live().count()} now) and every position closed at market "
        f"({Position.objects.exclude(quantity=0).count()} now), on all {len(_accounts())} account(s). "
        "No entry is sent until somebody resumes trading. Guard does it, too, should the workers or Redis be away.",
        button="Flatten all now",
        back=reverse("admin:index"),
        run=run,
        with_reason=True,
    )


def _resumed(account: Account, by: str, now: datetime, reason: str, override: str) -> str:
    try:
        resumed = trading.resume(account, by=by, now=now, reason=reason, override=override)
    except ValueError as error:
        return f"{error}."
    return f"{account} may trade again." if resumed else f"{account} trades already."


def _accounts() -> list[Account]:
    return list(Account.objects.filter(enabled=True))
