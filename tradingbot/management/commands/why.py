"""`manage.py why`."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from market.sessions import NEW_YORK, trade_date_of
from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Table
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Account, Decision, Strategy
from tradingbot.operations import decisions, permits, progress
from tradingbot.operations.orders.opening import rule_row


class Command(TerminalCommand):
    help = "Explain what was done in a session, and what was not."
    example = "why overnight_range 2026-11-18"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", nargs="?", metavar="STRATEGY", help="one strategy (all)")
        parser.add_argument("date", nargs="?", metavar="DATE", help="session, for example 2026-11-18 (today)")

    def handle(self, **options: Any) -> None:
        typed, day = options["strategy"], options["date"]
        if typed and not day and typed[0].isdigit():
            typed, day = None, typed
        session = _day(day) if day else trade_date_of(now())
        strategy = names.strategy(typed) if typed else None
        sentences = decisions.explain(strategy, session)
        if strategy is None:
            sentences += [_by_hand(decision) for decision in _manual(session)]
        standing = _permits(strategy) if session == trade_date_of(now()) else []
        rows = [{**row, "kept": {True: "yes", False: "NO", None: "–"}[row["ok"]]} for row in standing]
        sentences += _useful(strategy, session)
        self.show(
            {"strategy": strategy.name if strategy else None, "session": session, "sentences": sentences}
            | {"permit": standing},
            *(sentences or [f"nothing was decided in the session of {session}"]),
            *([Table(rows, ("account", "rule", "value", "limit", "kept"), "")] if rows else []),
        )


def _permits(strategy: Strategy | None) -> list[dict[str, Any]]:
    """Return what must stand before any entry, now, of the strategy's account or of all."""
    accounts = Account.objects.filter(enabled=True).select_related("login").order_by("name")
    if strategy is not None:
        accounts = accounts.filter(pk=strategy.account_id)
    moment = now()
    return [
        {"account": account.name, **rule_row(rule)}
        for account in accounts
        for rule in permits.rules(account, now=moment)
    ]


def _useful(strategy: Strategy | None, session: date) -> list[str]:
    """Return what is still useful today on the accounts that are meant; nothing for another session."""
    if session != trade_date_of(now()):
        return []
    accounts = [strategy.account] if strategy else Account.objects.filter(enabled=True).select_related("login")
    return [sentence for account in accounts if (sentence := progress.useful_sentence(account, now=now()))]


def _manual(session: date) -> QuerySet[Decision]:
    return Decision.objects.filter(strategy=None, session_date=session).select_related("account").order_by("at", "pk")


def _by_hand(decision: Decision) -> str:
    at = decision.at.astimezone(ZoneInfo(NEW_YORK))
    return (
        f"{decision.requested_by or 'by hand'}: {at:%H:%M:%S} {decision.get_outcome_display()} "
        f"on {decision.account}: {decision.sentence}"
    )


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise WrongUsage(f"DATE: {typed!r} is not a date: write it like 2026-11-18") from None
