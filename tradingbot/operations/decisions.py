"""From closed bars to decisions: plans are walked, their newest row acted on, and every change of reason kept."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

import strategies as registry
from market.bars import epoch
from market.contracts import Contract as Spec
from market.orders import OrderType, Role, Side
from market.plans import Kind, Management, SidePlan, Signal, last_signals, last_silences
from risk.gate import EntryRequest, EntrySide
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Decision, Order, Outcome, Position, Strategy
from tradingbot.operations import bars, notifications, orders, sessions
from tradingbot.operations.explanations import explain
from tradingbot.operations.orders.opening import config_version
from tradingbot.operations.session_steps import new_york
from tradingbot.operations.sights import Sight, look
from tradingbot.queues import may_mutate

__all__ = ["evaluate", "explain"]

log = logging.getLogger(__name__)

_TYPES = {Kind.MARKET: OrderType.MARKET, Kind.LIMIT: OrderType.LIMIT, Kind.STOP: OrderType.STOP}
_RANGE = ("range_high", "range_low")


def evaluate(contract: Contract, *, now: datetime) -> list[Decision]:
    """Let every enabled strategy on `contract` see the bars that closed since it last looked. Returns what was decided.

    A strategy that fails leaves a FAILED decision and an alert, and does not keep the others from their turn.
    """
    held = bool(orders.holders(contract))
    taken = _manage_manual(contract, now) if held else []
    rows = sessions.strategies_on(contract, now=now)
    sight = look(contract, rows, now=now) if rows else None
    if sight is None:
        return taken
    for row in rows:
        try:
            if held:
                taken += orders.manage(row, contract, now=now)
            taken += _evaluate(row, contract, sight, now)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            log.exception("%s failed on %s", row, contract)
            taken += _failed(row, contract, sight, f"{type(error).__name__}: {error}", now)
    return taken


def _manage_manual(contract: Contract, now: datetime) -> list[Decision]:
    """Manage the positions of manual entries; a failure there keeps no strategy from its turn."""
    try:
        return orders.manage(None, contract, now=now)
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        log.exception("manual positions in %s are not managed", contract)
        return []


def _evaluate(row: Strategy, contract: Contract, sight: Sight, now: datetime) -> list[Decision]:
    """Walk the plan's rows of this session since the last evaluation; act on the newest that asks for something."""
    seen = row.last_evaluated_at
    if seen is not None and seen >= sight.closed_at:
        return []
    kind, params = registry.STRATEGIES[row.kind], row.typed_parameters()
    plan = kind.plan(sight.frames, params, contract.spec)
    after = max(epoch(seen) - 60 if seen else 0, epoch(sight.session.opens_at) - 1)
    signals = last_signals(plan, sight.frames, after)
    if signals:
        managed = kind.management(params, contract.spec)
        return _act(row, contract, sight, signals[-1], params, managed, now)
    silences = last_silences(plan, sight.frames, after)
    if not silences:
        _claim(row, sight)
        return []
    silence = silences[-1]
    news = silence.reason != row.last_reason or seen is None or seen <= sight.session.opens_at
    with transaction.atomic():
        if not _claim(row, sight, silence.reason) or not news:
            return []
        return [
            _decide(
                row,
                contract,
                sight,
                Outcome.NO_SIGNAL,
                "no_signal",
                silence.reason,
                now,
                silence.closed_at,
                silence.figures,
            )
        ]


def _act(
    row: Strategy, contract: Contract, sight: Sight, signal: Signal, params: Any, managed: Management, now: datetime
) -> list[Decision]:
    """Commit what `signal` asks for together with the claim of its bar, then send.

    Claim and intents are one transaction: of two workers with the same bar one finds the claim taken and does nothing,
    and a crash leaves either both, and the sweeper sends, or neither, and the next evaluation finds the row again.
    The account's row is locked first, as everywhere, so that nobody waits for the other in a circle.
    """
    denial = _denial(contract, sight, signal, managed, now) or _near_daily_loss(row.account, params)
    try:
        with transaction.atomic():
            account = orders.lock(row.account_id)
            leaving: list[Order] = []
            if denial:
                outcome, code, sentence = denial
                decision = _decide(row, contract, sight, outcome, code, sentence, now, signal.closed_at, signal.figures)
                _alert(row, decision, now)
            else:
                decision, leaving = _ask(row, account, contract, sight, signal, params, managed, now)
            if not _claim(row, sight, decision.sentence):
                raise _TakenByAnother
            point("place.before_intent")
    except _TakenByAnother:
        return []
    point("place.after_intent")
    for order in leaving:
        if may_mutate():  # else the sweeper sends it
            orders.send(order, now=now)
    return [decision]


class _TakenByAnother(Exception):
    """Another worker has the bar, or the strategy was switched off: what this one wrote is taken back."""


def _ask(
    row: Strategy,
    account: Account,
    contract: Contract,
    sight: Sight,
    signal: Signal,
    params: Any,
    managed: Management,
    now: datetime,
) -> tuple[Decision, list[Order]]:
    """Write what the signal asks of the locked account; returns the decision and the orders that are to be sent."""
    leaving = _exits(row, contract, signal, now)
    request = _request(contract.spec, sight, signal, managed, params.size)
    if request is None:
        sentence = f"{row.symbol}: the position is to be closed" if leaving else "Nothing is open to be closed."
        return (
            _decide(row, contract, sight, Outcome.MANAGED, "exit", sentence, now, signal.closed_at, signal.figures),
            leaving,
        )
    decision, entries = orders.open_locked(
        account=account,
        contract=contract,
        request=request,
        session_date=sight.session.trade_date,
        now=now,
        strategy=row,
        inputs=_inputs(contract, signal.figures, signal.measures, signal.reason),
        bar_closed_at=signal.closed_at,
        management=managed,
    )
    return decision, leaving + entries


def _denial(
    contract: Contract, sight: Sight, signal: Signal, managed: Management, now: datetime
) -> tuple[Outcome, str, str] | None:
    """Return why the signal may not be acted on any more, before the gate is asked."""
    at = f"{new_york(signal.closed_at):%H:%M}"
    sides = [side for side in (signal.long, signal.short) if side is not None]
    if not sides:
        return None
    if all(side.expires_at <= now for side in sides):
        sentence = f"The entries of {at} ended before they could be placed: seen at {new_york(now):%H:%M} New York."
        return Outcome.MISSED, "expired", sentence
    if managed.late_grace is not None and now > signal.closed_at + managed.late_grace:
        grace = int(managed.late_grace.total_seconds()) // 60
        sentence = (
            f"The entries of {at} were seen at {new_york(now):%H:%M} New York, more than {grace} minutes late: "
            "no trade, as the strategy is set (late_start)."
        )
        return Outcome.MISSED, "too_late", sentence
    if not set(_RANGE) <= signal.figures.keys():
        return None
    planned = tuple(contract.spec.price(int(signal.figures[name])) for name in _RANGE)
    if sight.captured == planned:
        return None
    try:
        captured = bars.capture_range(contract, sight.session, now=now)
    except bars.NotCovered as error:
        return Outcome.DENIED, "range_incomplete", str(error)
    if (captured.high, captured.low) != planned:
        sentence = (
            f"The captured range is {contract.text(captured.low)} – {contract.text(captured.high)}, the plan's is "
            f"{contract.text(planned[1])} – {contract.text(planned[0])}."
        )
        return Outcome.DENIED, "range_differs", sentence
    return None


def _near_daily_loss(account: Account, params: Any) -> tuple[Outcome, str, str] | None:
    """Return why the strategy's own filter keeps it from trading after the losses of the day."""
    if not getattr(params, "filter_dll_proximity", False) or account.daily_loss_limit is None:
        return None
    used = -(account.day_profit or Decimal(0)) / account.daily_loss_limit * 100
    if used < params.dll_proximity_percent:
        return None
    sentence = (
        f"{used:.0f} % of the daily loss limit are lost, the strategy places no entry from "
        f"{params.dll_proximity_percent} % on (filter_dll_proximity)."
    )
    return Outcome.DENIED, "dll_proximity", sentence


def _request(spec: Spec, sight: Sight, signal: Signal, managed: Management, size: int) -> EntryRequest | None:
    sides = tuple(
        _side(side, plan) for side, plan in ((Side.BUY, signal.long), (Side.SELL, signal.short)) if plan is not None
    )
    if not sides:
        return None
    return EntryRequest(
        contract=spec,
        quantity=min(managed.quantity(size, side.stop_ticks or 0, spec) for side in sides),
        sides=sides,
        oco=signal.oco,
        reference=int(sight.frames.base.close[-1]),
    )


def _side(side: Side, plan: SidePlan) -> EntrySide:
    return EntrySide(
        side=side,
        type=_TYPES[plan.kind],
        price=None if plan.kind is Kind.MARKET else plan.price,
        stop_ticks=plan.stop_ticks,
        target_ticks=plan.target_ticks or None,
        expires_at=plan.expires_at,
    )


def _exits(row: Strategy, contract: Contract, signal: Signal, now: datetime) -> list[Order]:
    """Return a market order for a position that the signal wants closed, unless one is under way."""
    if not (signal.exit_long or signal.exit_short):
        return []
    position = Position.objects.filter(account=row.account, contract=contract).exclude(quantity=0).first()
    if position is None or not (signal.exit_long if position.quantity > 0 else signal.exit_short):
        return []
    if Order.objects.live().filter(account=row.account, contract=contract, role=Role.EXIT).exists():
        return []
    return [orders.exit(row.account, contract, abs(position.quantity), now=now, by=str(row))]


def _claim(row: Strategy, sight: Sight, reason: str | None = None) -> bool:
    """Move the strategy on to this bar; False if another worker did, or a person switched the strategy off."""
    mine = Strategy.objects.filter(pk=row.pk, enabled=True, last_evaluated_at=row.last_evaluated_at)
    changes: dict[str, Any] = {} if reason is None else {"last_reason": reason[:300]}
    return bool(
        mine.update(last_evaluated_at=sight.closed_at, last_run_at=Now(), evaluations=F("evaluations") + 1, **changes)
    )


def _failed(row: Strategy, contract: Contract, sight: Sight, reason: str, now: datetime) -> list[Decision]:
    """Keep why a strategy failed, once for each reason; the bar stays unseen, so that the next run tries again."""
    changed = Strategy.objects.filter(pk=row.pk).exclude(last_reason=reason[:300])
    with transaction.atomic():
        if not changed.update(last_reason=reason[:300], last_run_at=Now()):
            return []
        decision = _decide(row, contract, sight, Outcome.FAILED, "failed", reason, now, sight.closed_at, {})
        _alert(row, decision, now)
    return [decision]


def _decide(
    row: Strategy,
    contract: Contract,
    sight: Sight,
    outcome: Outcome,
    code: str,
    sentence: str,
    now: datetime,
    closed_at: datetime,
    figures: dict[str, float],
) -> Decision:
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
        inputs=_inputs(contract, figures),
        config_version=config_version(row),
    )


def _inputs(
    contract: Contract, figures: dict[str, float], measures: dict[str, float] | None = None, reason: str = ""
) -> dict[str, Any]:
    """Return what a row shows as a person reads it: figures, which are in ticks, in points; measures as they are."""
    points = {name: str((contract.spec.tick_size * round(ticks * 100)) / 100) for name, ticks in figures.items()}
    plain = {name: f"{value:.6g}" for name, value in (measures or {}).items()}
    return points | plain | ({"reason": reason} if reason else {})


def _alert(row: Strategy, decision: Decision, now: datetime) -> None:
    notifications.notify(
        "strategy",
        f"{row}: {decision.get_outcome_display()}",
        account=row.account,
        body=decision.sentence,
        level="alert",
        key=f"decision-{decision.pk}",
        now=now,
    )
