"""`manage.py reconcile`."""

from __future__ import annotations

from typing import Any

from tradingbot.clock import now
from tradingbot.management.terminal import TerminalCommand
from tradingbot.operations import reconciliation


class Command(TerminalCommand):
    help = "Compare orders, fills and positions with the venue, set ours right and show what differed."
    example = "reconcile --account PRAC"

    def handle(self, **options: Any) -> None:
        account = self.account()
        differences = reconciliation.reconcile(account, now=now(), max_age=0)
        self.show(
            {"account": account.name, "differences": differences},
            *(differences or [f"{account}: our rows agree with the venue"]),
        )
