"""Who may trade: halt and resume."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from tradingbot.models import Account, TradingState
from tradingbot.operations import notifications

log = logging.getLogger(__name__)


def halt(
    account: Account,
    *,
    reason: str,
    by: str,
    now: datetime,
    until: datetime | None = None,
    state: TradingState = TradingState.HALTED,
) -> bool:
    """Let no new entry leave; stops, targets and exits still may. False if the account is halted already.

    until   when the lock ends by itself; None: when a person resumes
    """
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        if account.trading_state == TradingState.HALTED:
            return False
        account.trading_state, account.state_reason, account.state_until = state, reason[:300], until
        account.save(update_fields=["trading_state", "state_reason", "state_until"])
        notifications.notify(
            "risk", f"{account} {state.label}", account=account, body=f"{reason} (by {by})", level="alert", now=now
        )
    log.warning("%s %s by %s: %s", account, state.label, by, reason)
    return True


def resume(account: Account, *, by: str, now: datetime) -> bool:
    """Let entries leave again. False if they may already. Raises ValueError while a flatten is under way."""
    with transaction.atomic():
        account = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        if account.flatten_requested_at is not None:
            raise ValueError(f"{account} is being flattened; it can resume once it is seen flat")
        if account.trading_state == TradingState.ACTIVE:
            return False
        account.trading_state, account.state_reason, account.state_until = TradingState.ACTIVE, "", None
        account.save(update_fields=["trading_state", "state_reason", "state_until"])
        notifications.notify("risk", f"{account} resumed", account=account, body=f"by {by}", now=now)
    return True


def end_locks(*, now: datetime) -> int:
    """Make accounts active whose lock has run out. Returns how many."""
    due = Account.objects.exclude(trading_state=TradingState.ACTIVE).filter(
        state_until__lte=now, flatten_requested_at__isnull=True
    )
    return sum(resume(account, by="the clock", now=now) for account in due)
