"""Why a strategy did what it did in a session, or did nothing: sentences from the rows that everybody left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from market.orders import OrderStatus, Role
from market.sessions import Session, capture_at, flat_by, trade_date_of, tradeable
from tradingbot.clock import now as market_now
from tradingbot.models import BarDay, Decision, Order, Outcome, SessionStep, Strategy, TradingState
from tradingbot.operations import calendar, contracts, heartbeats, risk_states, trading
from tradingbot.operations.session_steps import new_york

_STALE = timedelta(minutes=3)
_WORKERS = ("beat", "worker-high", "worker-normal")


def explain(strategy: Strategy | None, session_date: date) -> list[str]:
    """Return what happened in the session of `session_date`, oldest first, and why nothing did if nothing did.

    strategy   None for all of them, each sentence led by the strategy's name
    """
    rows = [strategy] if strategy else list(Strategy.objects.select_related("account__login").order_by("name"))
    if not rows:
        return ["No strategy is configured: the venue has not been read yet, or no account is known."]
    now = market_now()
    lead = "" if strategy else "{}: "
    return [lead.format(row) + sentence for row in rows for sentence in _explain(row, session_date, now)]


def _explain(row: Strategy, day: date, now: datetime) -> Iterator[str]:
    session = calendar.session_for(day)
    if session is None:
        yield f"{day} is not traded: the calendar has no session on that date."
        return
    decisions = list(Decision.objects.filter(strategy=row, session_date=day).order_by("at", "pk"))
    for decision in decisions:
        yield f"{new_york(decision.at):%H:%M:%S} {decision.get_outcome_display()}: {decision.sentence}"
        yield from _not_kept(decision)
        for order in decision.orders.filter(parent=None).select_related("contract").order_by("pk"):
            yield f"         {_became(order)}"
    if any(decision.outcome in (Outcome.ORDERED, Outcome.DENIED, Outcome.MISSED) for decision in decisions):
        return
    if not decisions and day == trade_date_of(now) and now < capture_at(session) and row.enabled:
        yield f"Nothing yet: entries are decided at {new_york(capture_at(session)):%H:%M} New York."
    yield from _nothing(row, session, now)


def _not_kept(decision: Decision) -> Iterator[str]:
    """Return every rule that a denied entry did not keep, the first one apart: the sentence says it."""
    failed = [rule for rule in decision.rules if rule["ok"] is False]
    for rule in failed[1:]:
        yield f"         also {rule['rule']}: {rule['value']}, where the limit is {rule['limit']}. {rule['note']}"


def _became(order: Order) -> str:
    """Return an order and what became of it, with its bracket."""
    text = f"#{order.pk} {order.describe()}: {order.get_status_display()}"
    if order.filled:
        text += f", {order.filled} filled at {order.contract.text(order.average_price)}"
    if order.reason and order.status not in (OrderStatus.WORKING, OrderStatus.FILLED):
        text += f" ({order.reason})"
    legs = [
        f"{leg.role} {order.contract.text(leg.price)} {leg.get_status_display()}"
        for leg in order.legs.exclude(status=OrderStatus.SUSPENDED).order_by("pk")
        if leg.role in (Role.STOP, Role.TARGET) and leg.price is not None
    ]
    return f"{text}; {', '.join(legs)}" if legs else text


def _nothing(row: Strategy, session: Session, now: datetime) -> Iterator[str]:
    """Return every reason that keeps, or kept, the strategy from trading in `session`."""
    today = session.trade_date == trade_date_of(now)
    account = row.account
    if not row.enabled:
        yield f"{row} is switched off."
    if row.stopped_reason:
        yield f"{row} stands still until a person releases it: {row.stopped_reason}."
    if row.halted_on == session.trade_date:
        yield f"{row} stands still in this session: {row.halt_reason or 'halted'}."
    if not tradeable(session):
        yield f"The session ends at {new_york(flat_by(session)):%H:%M} New York, before the range is known: no trade."
    if today and not account.enabled:
        yield f"Account {account} is disabled here."
    overall = trading.overall()
    if today and overall.trading_state != TradingState.ACTIVE:
        yield f"All accounts are {overall.get_trading_state_display()}: {overall.reason}"
    if today and account.is_real and not risk_states.is_armed(account, now=now):
        yield f"Account {account} is not armed: no real entry leaves."
    if today and account.trading_state != TradingState.ACTIVE:
        yield f"Account {account} is {account.get_trading_state_display()}: {account.state_reason}"
    if today and not account.can_trade:
        yield f"The venue does not let account {account} trade."
    if today and account.login.entries_blocked:
        yield f"Login {account.login} may send no entries: {account.login.entries_blocked}."
    yield from _steps(row, session)
    yield from _feed(row, session, now)
    yield from _ran(row, session, now, today=today)


def _steps(row: Strategy, session: Session) -> Iterator[str]:
    steps = SessionStep.objects.filter(strategy=row, session_date=session.trade_date)
    for step in steps.filter(state=SessionStep.State.MISSED):
        yield f"Missed: {step.get_step_display()}, due {new_york(step.due_at):%H:%M} New York ({step.note})."
    if row.enabled and tradeable(session) and not steps.exists():
        yield "The session was never planned: the task that does it (high.due_steps) did not run."


def _feed(row: Strategy, session: Session, now: datetime) -> Iterator[str]:
    contract = contracts.front(row.account.venue, row.symbol)
    if contract is None:
        yield f"The venue lists no contract for {row.symbol}."
        return
    days = BarDay.objects.filter(contract__symbol=row.symbol, contract__venue=row.account.venue)
    day = days.filter(trade_date=session.trade_date).order_by("-covered_until").first()
    wanted = min(now, session.closes_at)
    if wanted < session.opens_at:
        return
    if day is None:
        yield f"No bar of {row.symbol} is known in this session: the feed is stale or the venue does not answer."
    elif day.covered_until < wanted - _STALE:
        yield f"The feed is stale: bars of {row.symbol} are known until {new_york(day.covered_until):%H:%M} New York."


def _ran(row: Strategy, session: Session, now: datetime, *, today: bool) -> Iterator[str]:
    """Return whether the task that decides ran at all."""
    seen = row.last_evaluated_at
    if row.enabled and now > session.opens_at and (seen is None or seen <= session.opens_at):
        last = f"its last bar closed {new_york(seen):%d %b %H:%M} New York" if seen else "it never ran"
        yield f"The strategy was not evaluated in this session: {last}."
    elif today and row.last_reason:
        yield f"Last evaluation: {row.last_reason}"
    if today and (silent := sorted(heartbeats.silent(_WORKERS))):
        yield f"No sign of life from {', '.join(silent)}: what they do is not done."
