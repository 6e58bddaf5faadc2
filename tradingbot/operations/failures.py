"""Strategies that fail: the broken one is switched off, what fails around one is told once and tried again."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from market.orders import Role
from tradingbot.models import Contract, Decision, Order, Outcome, Strategy
from tradingbot.operations import orders
from tradingbot.operations.decision_rows import alert, keep
from tradingbot.operations.sights import Sight


def switch_off(row: Strategy, contract: Contract, sight: Sight, reason: str, now: datetime) -> list[Decision]:
    """Switch off a strategy that is broken and cancel its entries; its position keeps its stop and is still managed."""
    sentence = f"{reason[:300]}. The strategy is switched off; start it again once that is mended."
    with transaction.atomic():
        found = Strategy.objects.select_for_update(of=("self",)).filter(pk=row.pk, enabled=True).first()
        if found is None:
            return []
        found.enabled, found.last_reason, found.last_run_at = False, reason[:300], Now()
        found._change_reason = f"it failed: {reason}"[:100]  # type: ignore[attr-defined]  # simple_history reads it
        found.save(update_fields=["enabled", "last_reason", "last_run_at"])
        decision = keep(row, contract, sight, (Outcome.FAILED, "broken", sentence), {}, now, sight.closed_at)
        alert(row, decision, now)
    for order in Order.objects.live().filter(strategy=row, role=Role.ENTRY, filled=0):
        orders.request_cancel(order, by=f"{row} is broken", now=now)
    return [decision]


def tell(row: Strategy, contract: Contract, sight: Sight, reason: str, now: datetime) -> list[Decision]:
    """Keep why a strategy failed, once for each reason; the bar stays unseen, so that the next run tries again."""
    changed = Strategy.objects.filter(pk=row.pk).exclude(last_reason=reason[:300])
    with transaction.atomic():
        if not changed.update(last_reason=reason[:300], last_run_at=Now()):
            return []
        decision = keep(row, contract, sight, (Outcome.FAILED, "failed", reason), {}, now, sight.closed_at)
        alert(row, decision, now)
    return [decision]
