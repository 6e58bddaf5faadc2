"""Decisions as they are kept: who, on which bar, on what figures, and why in one sentence."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tradingbot.models import Contract, Decision, Outcome, Strategy
from tradingbot.operations import notifications
from tradingbot.operations.orders.opening import config_version
from tradingbot.operations.sights import Sight

Verdict = tuple[Outcome, str, str]
"""Outcome, code, sentence."""


def keep(
    row: Strategy,
    contract: Contract,
    sight: Sight,
    verdict: Verdict,
    inputs: dict[str, Any],
    now: datetime,
    closed_at: datetime,
) -> Decision:
    """Return the decision, stored; inputs as `shown` gives them."""
    outcome, code, sentence = verdict
    return Decision.objects.create(
        account=row.account,
        strategy=row,
        contract=contract,
        session_date=sight.session.trade_date,
        at=now,
        bar_closed_at=closed_at,
        outcome=outcome,
        code=code,
        sentence=sentence[:500],
        inputs=inputs,
        config_version=config_version(row),
    )


def shown(
    contract: Contract, figures: dict[str, float], measures: dict[str, float] | None = None, reason: str = ""
) -> dict[str, Any]:
    """Return what a row shows as a person reads it: figures, which are in ticks, in points; measures as they are."""
    points = {name: str((contract.spec.tick_size * round(ticks * 100)) / 100) for name, ticks in figures.items()}
    plain = {name: f"{value:.6g}" for name, value in (measures or {}).items()}
    return points | plain | ({"reason": reason} if reason else {})


def alert(row: Strategy, decision: Decision, now: datetime) -> None:
    """Tell a person of the decision."""
    notifications.notify(
        "strategy",
        f"{row}: {decision.get_outcome_display()}",
        account=row.account,
        body=decision.sentence,
        level="alert",
        key=f"decision-{decision.pk}",
        now=now,
    )
