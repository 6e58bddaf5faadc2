"""What `halt` and `reduce_only` share: one account or all, and a reason that everybody sees."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from tradingbot.clock import now
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import TradingState
from tradingbot.operations import trading


class StopCommand(TerminalCommand):
    """Sets a state in which no entry leaves; what holds already is never weakened."""

    state: ClassVar[TradingState]
    by_default: ClassVar[str]

    def add_reason(self, parser: CommandParser) -> None:
        parser.add_argument("reason", nargs="*", metavar="REASON", help="kept with the state and shown to everybody")
        parser.add_argument("--all", action="store_true", help="every account, also those found later")

    def stop(self, options: dict[str, Any]) -> None:
        reason = " ".join(options["reason"]) or self.by_default
        if options["all"]:
            self._stop_all(reason)
            return
        account = self.account()
        changed = trading.halt(account, reason=reason, by=person(), now=now(), state=self.state)
        account.refresh_from_db()
        self.show(
            {"account": account.name, "state": account.trading_state}
            | {"reason": account.state_reason, "changed": changed},
            f"{account} is {account.get_trading_state_display()}{_already(changed)}: {account.state_reason}",
        )

    def _stop_all(self, reason: str) -> None:
        if self._account_name is not None:
            raise CommandError("--all: it means every account; leave --account out")
        changed = trading.halt_all(reason=reason, by=person(), now=now(), state=self.state)
        row = trading.overall()
        self.show(
            {"account": None, "state": row.trading_state, "reason": row.reason, "changed": changed},
            f"all accounts are {row.get_trading_state_display()}{_already(changed)}: {row.reason}",
        )


def _already(changed: bool) -> str:
    return "" if changed else " already"
