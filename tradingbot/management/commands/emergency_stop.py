"""`manage.py emergency_stop`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from redis import RedisError

from brokers.base import BrokerError
from market.orders import LIVE, OrderStatus
from tradingbot.clock import now
from tradingbot.management import holdings
from tradingbot.management.tables import Table
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Account, Order, StateChange
from tradingbot.operations import hints, orders

_LIMIT = 120.0  # machine seconds
_PAUSE = 0.5


@dataclass(slots=True)
class _Report:
    """What was open on an account when it was stopped, and when it was seen flat."""

    account: Account
    positions: int
    orders: list[int]
    asked: int
    flat_at: datetime | None = None
    trouble: str = field(default="")

    def row(self) -> dict[str, Any]:
        cancelled = Order.objects.filter(pk__in=self.orders, status=OrderStatus.CANCELLED).count()
        open_now = sum(1 for position in holdings.open_positions(self.account) if holdings.size(position))
        return {
            "account": self.account.name,
            "positions_closed": f"{max(0, self.positions - open_now)} of {self.positions}",
            "orders_cancelled": f"{cancelled} of {len(self.orders)}",
            "flat_seen_at": self.flat_at,
        }


class Command(TerminalCommand):
    help = "Halt all accounts, cancel every order, close every position; waits until all are seen flat."
    example = 'emergency_stop --yes "power is going"'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reason", nargs="*", metavar="REASON", help="shown to everybody")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        self.confirm("Cancel every order and close every position on ALL accounts, now?", yes=options["yes"])
        reports = [_begin(account) for account in Account.objects.filter(enabled=True)]
        reason = " ".join(options["reason"]) or "asked at the prompt"
        orders.emergency_stop(reason=reason, by=person(), now=now())
        hints.publish("critical.emergency_stop")
        self.progress("all accounts are halted; workers, guard and this command flatten them")
        self._wait(reports)
        rows = [report.row() for report in reports]
        columns = ("account", "positions_closed", "orders_cancelled", "flat_seen_at")
        self.show({"halted": True, "accounts": rows}, Table(rows, columns, "no account is known: nothing to close"))
        left = [f"{one.account} ({one.trouble or 'not seen flat'})" for one in reports if one.flat_at is None]
        if left:
            raise CommandError(
                f"NOT seen flat after {_LIMIT:.0f} s: {', '.join(left)}; look at the platform NOW. The flatten goes on"
            )

    def _wait(self, reports: list[_Report]) -> None:
        give_up = time.monotonic() + _LIMIT
        while (left := [one for one in reports if one.flat_at is None]) and time.monotonic() < give_up:
            for one in left:
                _help(one)
                flat = StateChange.objects.filter(
                    account=one.account, kind=StateChange.Kind.FLATTEN, after="flat", pk__gt=one.asked
                ).first()
                if flat is not None:
                    one.flat_at = flat.at
                    self.progress(f"{one.account}: flat, seen twice")
            time.sleep(_PAUSE)


def _begin(account: Account) -> _Report:
    working = Order.objects.filter(account=account, status__in=LIVE).exclude(status=OrderStatus.SUSPENDED)
    open_now = sum(1 for position in holdings.open_positions(account) if holdings.size(position))
    newest = StateChange.objects.filter(account=account).values_list("pk", flat=True).first()
    return _Report(account, open_now, list(working.values_list("pk", flat=True)), newest or 0)


def _help(report: _Report) -> None:
    """Do a round of the flatten here, too: whoever has the account's lease at the moment does it."""
    try:
        orders.flatten(report.account, now=now())
        report.trouble = ""
    except (BrokerError, RedisError) as error:
        report.trouble = f"the venue could not be asked from here: {error}"
