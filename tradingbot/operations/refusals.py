"""Why a signal's entries are not asked for: passed over, late, on a range that differs, or after the day's losses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from market.orders import ENTRY_TAKEN, OrderStatus, Role, Side
from market.plans import Management, Signal
from tradingbot.models import Account, Contract, Order, Outcome, Strategy
from tradingbot.operations import bars, orders
from tradingbot.operations.decision_rows import Verdict
from tradingbot.operations.session_steps import new_york
from tradingbot.operations.sights import Sight

_RANGE = ("range_high", "range_low")


def passed_over(
    row: Strategy, contract: Contract, sight: Sight, signal: Signal, managed: Management, *, engaged: bool
) -> Verdict | None:
    """Return why the plan's own rule passes the entries over: an entry is for a flat strategy, an addition is not.

    engaged   whether the strategy has had an entry in this session that filled, or has one that may
    Call it inside the transaction that holds the account's lock.
    """
    sides = [side for side, asked in ((Side.BUY, signal.long), (Side.SELL, signal.short)) if asked is not None]
    session_date = sight.session.trade_date
    entries = orders.holdings({row.account_id}, contract, session_date) if engaged else []
    held = [one.entry.side for one in entries if one.left > 0 and one.entry.strategy_id == row.pk]
    said = " and ".join(side.name.lower() for side in sides)
    if signal.adds and set(held) != set(sides):
        return Outcome.DENIED, "nothing_to_add_to", f"The {said} entry adds to a position, and there is none."
    if signal.adds and (added := _added(row, session_date)) >= managed.max_adds:
        return Outcome.DENIED, "adds_used", f"The position was added to {added} times already (max_adds)."
    if held and not signal.adds:
        return Outcome.DENIED, "position_held", f"The {said} entry is passed over: the strategy has a position."
    working = engaged and Order.objects.filter(
        strategy=row, session_date=session_date, role=Role.ENTRY, status__in=ENTRY_TAKEN, side__in=sides
    )
    if working and working.exists():
        return Outcome.DENIED, "entry_works", f"The {said} entry is passed over: one of that side works already."
    return None


def _added(row: Strategy, session_date: Any) -> int:
    """Return how many additions the strategy sent since its last entry of another kind."""
    sent = Order.objects.filter(strategy=row, session_date=session_date, role=Role.ENTRY)
    newest_first = sent.exclude(status=OrderStatus.REJECTED).order_by("-pk").values_list("adds", flat=True)
    return next((number for number, adds in enumerate(newest_first) if not adds), len(newest_first))


def refused(
    account: Account, contract: Contract, sight: Sight, signal: Signal, managed: Management, params: Any, now: datetime
) -> Verdict | None:
    """Return why the entries may not be acted on any more, before the gate is asked."""
    return _late(signal, managed, now) or _differs(contract, sight, signal, now) or _near_daily_loss(account, params)


def _late(signal: Signal, managed: Management, now: datetime) -> Verdict | None:
    at = f"{new_york(signal.closed_at):%H:%M}"
    sides = [side for side in (signal.long, signal.short) if side is not None]
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
    return None


def _differs(contract: Contract, sight: Sight, signal: Signal, now: datetime) -> Verdict | None:
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


def _near_daily_loss(account: Account, params: Any) -> Verdict | None:
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
