"""`manage.py balance`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.base import BrokerError
from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management.tables import money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Account
from tradingbot.operations import accounts, risk_states


class Command(TerminalCommand):
    help = "Show what the account is worth now and how far it is from its limits."
    example = "balance --account PRAC"

    def handle(self, **options: Any) -> None:
        account = self.account()
        fresh = True
        try:
            accounts.refresh(account, now=now())
        except BrokerError as error:
            fresh = False
            self.progress(f"the venue could not be read ({error}): these are the last known figures")
        account.refresh_from_db()
        facts = _facts(account)
        self.show(facts | {"fresh": fresh}, facts)


def _facts(account: Account) -> dict[str, Any]:
    today = trade_date_of(now())
    worth = risk_states.worth_of(account, account.positions.select_related("contract"), trade_date=today)
    floor = risk_states.floor_of(account)
    realised = account.day_profit if account.session_date == today else None
    limit = None if account.daily_loss_limit is None else -account.daily_loss_limit
    return {
        "account": account.name,
        "state": account.trading_state,
        "state_reason": account.state_reason or None,
        "balance": money(account.balance),
        "balance_at": account.balance_at,
        "realised_today": money(realised, signed=True),
        "open_profit": money(worth.open_profit, signed=True),
        "equity": money(worth.equity),
        "maximum_loss_floor": money(floor),
        "room_to_floor": money(_room(worth.equity, floor)),
        "room_to_daily_limit": money(_room(worth.day_profit, limit)),
    }


def _room(value: Decimal | None, limit: Decimal | None) -> Decimal | None:
    return None if value is None or limit is None else value - limit
