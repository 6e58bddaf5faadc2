"""From closed bars to decisions: plans are walked, their newest row acted on, and every change of reason kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

import strategies as registry
from market.bars import epoch
from market.orders import Role, Side
from market.plans import Management, Plan, Signal, last_signals, last_silences
from tradingbot.deadlines import may_mutate
from tradingbot.faults import point
from tradingbot.models import Contract, Decision, Order, Outcome, Position, Strategy
from tradingbot.operations import closes, failures, notifications, orders, refusals, sessions
from tradingbot.operations.decision_rows import Verdict, alert, keep, shown
from tradingbot.operations.entry_requests import entry_request
from tradingbot.operations.explanations import explain
from tradingbot.operations.sights import Sight, look

__all__ = ["evaluate", "explain"]

log = logging.getLogger(__name__)

_NOT_FLAT: Verdict = (
    Outcome.DENIED,
    "not_flat_yet",
    "The entry is passed over: the venue has not shown yet that the position before it is closed.",
)


def evaluate(contract: Contract, *, now: datetime) -> list[Decision]:
    """Let every enabled strategy on `contract` see the bars that closed since it last looked. Returns what was decided.

    Open positions come first, those of strategies that were switched off too. A strategy that fails leaves a FAILED
    decision and an alert, and does not keep the others from their turn; one whose own code or parameters fail is
    switched off, what fails around it is tried again on the next bar.
    """
    rows = sessions.strategies_on(contract, now=now)
    engaged = orders.engaged(contract, now=now)
    taken = _manage(contract, engaged, now) if engaged.holders else []
    sight = look(contract, rows, now=now) if rows else None
    if sight is None:
        return taken
    for row in rows:
        try:
            taken += _evaluate(row, contract, sight, row.pk in engaged.strategies, now)
        except SoftTimeLimitExceeded:
            raise
        except _Broken as error:
            log.exception("%s is broken on %s", row, contract)
            taken += failures.switch_off(row, contract, sight, str(error), now)
        except Exception as error:
            log.exception("%s failed on %s", row, contract)
            told = str(error).partition("\n")[0]  # PostgreSQL adds the row, another one each time
            taken += failures.tell(row, contract, sight, f"{type(error).__name__}: {told}", now)
    return taken


def _manage(contract: Contract, engaged: orders.Engaged, now: datetime) -> list[Decision]:
    """Manage every strategy's positions and those of manual entries; a failure at one keeps no other from its turn."""
    rows = Strategy.objects.filter(pk__in=[one for one in engaged.strategies if one]).select_related("account")
    manual = [None] if None in engaged.strategies else []
    taken: list[Decision] = []
    for row in [*manual, *rows.order_by("pk")]:
        try:
            taken += orders.manage(row, contract, now=now)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            log.exception("the positions of %s in %s are not managed", row or "manual entries", contract)
            notifications.notify(
                "strategy",
                f"{row or 'manual entry'}: position in {contract.symbol} not managed",
                account=row.account if row else None,
                body=f"{type(error).__name__}: {error}. Its stop rests where it was; it is tried again each minute.",
                level="alert",
                key=f"unmanaged:{row.pk if row else 0}:{contract.pk}:{type(error).__name__}:{now:%Y%m%d}",
                now=now,
            )
    return taken


def _evaluate(row: Strategy, contract: Contract, sight: Sight, engaged: bool, now: datetime) -> list[Decision]:
    """Walk the plan's rows of this session since the last evaluation: exits of all, entries of the newest that asks."""
    seen = row.last_evaluated_at
    if seen is not None and seen >= sight.closed_at:
        return []
    params, managed, plan = _planned(row, contract, sight)
    after = max(epoch(seen) - 60 if seen else 0, epoch(sight.session.opens_at) - 1)
    signals = last_signals(plan, sight.frames, after)
    if signals:
        wish = _Wish(signals[-1], params, managed)
        return _act(row, contract, sight, signals, wish, engaged, now)
    silences = last_silences(plan, sight.frames, after)
    if not silences:
        _claim(row, sight)
        return []
    silence = silences[-1]
    news = silence.reason != row.last_reason or seen is None or seen <= sight.session.opens_at
    with transaction.atomic():
        if not _claim(row, sight, silence.reason) or not news:
            return []
        refusal = Outcome.NO_SIGNAL, "no_signal", silence.reason
        inputs = shown(contract, silence.figures, silence.measures)
        return [keep(row, contract, sight, refusal, inputs, now, silence.closed_at)]


class _Broken(Exception):
    """The strategy itself fails, on its parameters or in its own code: it would again on every bar."""


def _planned(row: Strategy, contract: Contract, sight: Sight) -> tuple[Any, Management, Plan]:
    """Return parameters, management and plan of a strategy. Raises _Broken for whatever goes wrong in them."""
    try:
        kind, params = registry.STRATEGIES[row.kind], row.typed_parameters()
        return params, kind.management(params, contract.spec), kind.plan(sight.frames, params, contract.spec)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        raise _Broken(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Wish:
    """The newest row that asks for something, and how the strategy is set."""

    signal: Signal
    params: Any
    managed: Management


class _TakenByAnother(Exception):
    """Another worker has the bar, or the strategy was switched off: what this one wrote is taken back."""


def _act(
    row: Strategy,
    contract: Contract,
    sight: Sight,
    signals: Sequence[Signal],
    wish: _Wish,
    engaged: bool,
    now: datetime,
) -> list[Decision]:
    """Close what any unseen row wants closed, then enter as the newest row asks. One of them claims the bar.

    An entry that follows an exit is asked for only when the venue shows that the position and its legs are gone.
    """
    enters = wish.signal.long is not None or wish.signal.short is not None
    try:
        left = _leave(row, contract, sight, signals, now) if engaged else None
        if left is None:
            if enters:
                return [_enter(row, contract, sight, wish, now, engaged=engaged)]
            _claim(row, sight)
            return []
        flat = orders.seen_flat(row.account, contract, now=now)
        if not enters:
            return [left]
        return [left, _enter(row, contract, sight, wish, now, engaged=True, claims=False, flat=flat)]
    except _TakenByAnother:
        return []


def _leave(
    row: Strategy, contract: Contract, sight: Sight, signals: Sequence[Signal], now: datetime
) -> Decision | None:
    """Close the strategy's position if a row that closed after its fill asks for it, however late it is seen.

    Exit and claim of the bar are one transaction. Returns None where there is nothing to close, or it is under way.
    """
    if _to_leave(row, contract, sight, signals, now)[1] is None:
        return None
    orders.refresh(row.account, now=now)  # a stop may have filled; without an answer we close what our rows show
    with transaction.atomic():
        orders.lock(row.account_id)
        quantity, signal = _to_leave(row, contract, sight, signals, now)
        if signal is None or quantity < 1:
            return None
        order = orders.exit(row.account, contract, quantity, now=now, by=str(row))
        why = signal.reason or "the strategy wants out"
        refusal = Outcome.MANAGED, "exit", f"{quantity} {contract.symbol} closed at market: {why}."
        inputs = shown(contract, signal.figures, signal.measures, signal.reason)
        decision = keep(row, contract, sight, refusal, inputs, now, signal.closed_at)
        order.strategy, order.decision = row, decision
        order.save(update_fields=["strategy", "decision"])
        if not _claim(row, sight, decision.sentence):
            raise _TakenByAnother
        point("exit.before_intent")
    point("exit.after_intent")
    if may_mutate():  # else the sweeper sends it
        orders.send(order, now=now)
    return decision


def _to_leave(
    row: Strategy, contract: Contract, sight: Sight, signals: Sequence[Signal], now: datetime
) -> tuple[int, Signal | None]:
    """Return how many contracts are to be closed and the row that wants it, None if none does."""
    found = orders.holdings({row.account_id}, contract, sight.session.trade_date)
    mine = [one for one in found if one.entry.strategy_id == row.pk and one.left > 0]
    wanting = [
        signal
        for signal in signals
        for one in mine
        if (signal.exit_long if one.entry.side == Side.BUY else signal.exit_short)
        and one.filled_at is not None
        and one.filled_at < signal.closed_at
    ]
    position = Position.objects.filter(account=row.account_id, contract=contract).first()
    if not wanting or position is None or closes.is_in_flight(position):
        return 0, None
    under_way = Order.objects.live().filter(account=row.account_id, contract=contract, role=Role.EXIT)
    leaving = sum(order.quantity - order.filled for order in under_way)
    return min(sum(one.left for one in mine), abs(position.quantity)) - leaving, wanting[-1]


def _enter(
    row: Strategy,
    contract: Contract,
    sight: Sight,
    wish: _Wish,
    now: datetime,
    *,
    engaged: bool,
    claims: bool = True,
    flat: bool = True,
) -> Decision:
    """Commit what the newest row asks for together with the claim of its bar, then send.

    Claim and intents are one transaction: of two workers with the same bar one finds the claim taken and does nothing,
    and a crash leaves either both, and the sweeper sends, or neither, and the next evaluation finds the row again.
    The account's row is locked first, as everywhere, so that nobody waits for the other in a circle.

    claims   False if the exit before it has claimed the bar: a crash in between costs the entry
    flat     whether the venue has shown that the exit before it is done
    """
    signal = wish.signal
    refusal = refusals.refused(row.account, contract, sight, signal, wish.managed, wish.params, now)
    with transaction.atomic():
        account = orders.lock(row.account_id)
        passed = _NOT_FLAT if not flat else None
        passed = passed or refusals.passed_over(row, contract, sight, signal, wish.managed, engaged=engaged)
        entries: list[Order] = []
        inputs = shown(contract, signal.figures, signal.measures, signal.reason)
        if why := passed or refusal:
            decision = keep(row, contract, sight, why, inputs, now, signal.closed_at)
            if not passed:
                alert(row, decision, now)
        else:
            decision, entries = orders.open_locked(
                account=account,
                contract=contract,
                request=entry_request(contract.spec, sight, signal, wish.managed, wish.params.size),
                session_date=sight.session.trade_date,
                now=now,
                strategy=row,
                inputs=inputs,
                bar_closed_at=signal.closed_at,
                management=wish.managed,
                trail_ticks=signal.trail_ticks,
                adds=signal.adds,
            )
        if claims and not _claim(row, sight, decision.sentence):
            raise _TakenByAnother
        point("place.before_intent")
    point("place.after_intent")
    for order in entries:
        if may_mutate():  # else the sweeper sends it
            orders.send(order, now=now)
    return decision


def _claim(row: Strategy, sight: Sight, reason: str | None = None) -> bool:
    """Move the strategy on to this bar; False if another worker did, or a person switched the strategy off."""
    mine = Strategy.objects.filter(pk=row.pk, enabled=True, last_evaluated_at=row.last_evaluated_at)
    changes: dict[str, Any] = {} if reason is None else {"last_reason": reason[:300]}
    return bool(
        mine.update(last_evaluated_at=sight.closed_at, last_run_at=Now(), evaluations=F("evaluations") + 1, **changes)
    )
