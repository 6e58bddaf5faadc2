"""Money that the firm paid out: told apart from other money that left an account, kept, and what follows from it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django.db.models import F, Sum

from risk import payouts
from risk.rulebook import RulebookInvalid
from tradingbot.models import Account, Payout, Stage
from tradingbot.operations import notifications, rules


def is_payout(account: Account, amount: Decimal, *, before: Decimal, on: date) -> bool:
    """Return whether `amount` dollars that left the account can have been paid out of the balance `before`.

    While the rules of an Express account are not known anything can: its floor is rather too high than too low.
    """
    if account.stage != Stage.EXPRESS or account.maximum_loss is None or amount <= 0:
        return False
    try:
        found = rules.parameters_of(account, on)
    except RulebookInvalid:
        found = None
    return found is None or payouts.is_possible(found, amount, before=before)


def keep(account: Account, amount: Decimal, *, session_date: date, now: datetime) -> None:
    """Keep a payout with the first session without it: from then on the floor stands at the starting balance."""
    fixed = (account.start_balance or Decimal(0)) + (account.maximum_loss or Decimal(0))
    account.highest_eod_balance = max(account.highest_eod_balance or fixed, fixed)
    account.save(update_fields=["highest_eod_balance"])
    row, new = Payout.objects.get_or_create(
        account=account, session_date=session_date, defaults={"amount": amount, "seen_at": now}
    )
    if not new:
        Payout.objects.filter(pk=row.pk).update(amount=F("amount") + amount)
    notifications.notify(
        "risk",
        f"Payout seen: {account}",
        account=account,
        body=f"${amount:,.2f} left the account; its floor is fixed now.",
        key=f"payout:{row.pk}:{amount}",
        now=now,
    )


def between(account: Account, after: date, until: date) -> Decimal:
    """Return what was paid out after the session `after`, up to and in the session `until`."""
    found = Payout.objects.filter(account_id=account.pk, session_date__gt=after, session_date__lte=until)
    return found.aggregate(total=Sum("amount"))["total"] or Decimal(0)
