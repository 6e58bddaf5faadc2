"""What the gate needs to know of an account, read from our rows in few queries, inside the transaction of the order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from market.books import owed_by_venue
from market.orders import ENTRY_TAKEN, Role, Side
from market.sessions import Session, flat_by, trade_date_of
from risk import drawdown, limits, rulebook
from risk.gate import RiskState
from risk.parameters import Parameters
from tradingbot.clock import speed
from tradingbot.models import Account, Balance, Contract, Order, Position, Sharing, Stage, Strategy
from tradingbot.operations import bars, books, payouts, rule_states, statements, strategy_states, trades

TOKEN_LASTS = 24 * 3600.0  # seconds of machine time
_LATENCY = 5.0  # machine seconds that fetching and deciding may take on top of the age that prices may have


def risk_state(account: Account, contract: Contract | None, strategy: Strategy | None, *, now: datetime) -> RiskState:
    """Return the state of `account` for an entry in `contract`. Reads our own rows only; nothing unknown is guessed.

    Without a contract: what its permit needs to know.
    """
    trade_date = trade_date_of(now)
    facts = _facts(account, contract, trade_date, now)
    session = facts.session
    if session is not None and session.trade_date != trade_date:  # a calendar that a person edited
        trade_date = session.trade_date
        facts = _facts(account, contract, trade_date, now)
    orders = books.live_orders(account.pk) if facts.has_orders else []
    positions = books.open_positions(account.pk) if facts.has_positions else []
    moved = min(booked_since(account), Decimal(0)) if facts.has_news else Decimal(0)
    worth = worth_of(account, positions, trade_date=trade_date, moved=moved)
    rules = rule_states.rule_state(account, trade_date=trade_date, now=now)
    return RiskState(
        now=now,
        trading_state=account.trading_state,
        stage=account.stage,
        enabled=account.enabled,
        can_trade=account.can_trade,
        reconciled=account.reconciled_at is not None,
        blocked=account.login.entries_blocked if account.login.enabled else "it is disabled",
        strategy_halted=_halted(strategy, trade_date),
        session=session,
        flat_at=flat_by(session) if session else None,
        entries_until=limits.entries_until(session) if session else None,
        calendar_until=facts.calendar_until if session else None,
        prices_at=facts.covered_until,
        price_age=limits.PRICE_AGE + _LATENCY * speed,
        balance=worth.balance,
        balance_age=facts.balance_age,
        equity=worth.equity,
        day_profit=worth.day_profit,
        floor=floor_of(account),
        maximum_loss=account.maximum_loss,
        daily_loss_limit=account.daily_loss_limit,
        max_lots=max_lots(account, rules.parameters, trade_date),
        product_cap=rules.cap_of(contract.symbol) if contract is not None else None,
        exposures=tuple(books.exposures(positions, orders)),
        contract_taken_by=_taken_by(account, contract, strategy, orders, positions),
        strategies_at_work=len({order.strategy_id for order in orders} - {None, strategy.pk if strategy else None}),
        max_strategies=account.max_strategies if strategy else None,
        taken=frozenset(Side(order.side) for order in orders if _takes(order, strategy, trade_date)),
        entries_minute=facts.entries_minute,
        entries_session=facts.entries_session,
        exposed_accounts=facts.exposed_accounts,
        real=account.is_real,
        armed=is_armed(account, now=now),
        overall_state=facts.overall_state,
        overall_reason=facts.overall_reason,
        token_until=None if facts.token_left is None else now + timedelta(seconds=facts.token_left * speed),
        bracket_mode=account.bracket_mode,
        clock_skew=account.login.clock_skew,
        margin_percent=account.margin_percent,
        product_percent=account.product_percent,
        group_percent=account.group_percent,
        taper_percent=account.taper_percent,
        strategy=None
        if strategy is None
        else strategy_states.strategy_state(strategy, trade_date=trade_date, orders=orders, positions=positions),
        rules=rules,
    )


def is_armed(account: Account, *, now: datetime) -> bool:
    """Return whether a person armed the account for real orders, and it is not over."""
    return account.armed_at is not None and (account.armed_until is None or now < account.armed_until)


@dataclass(frozen=True, slots=True)
class Worth:
    """Dollars of an account at the newest prices; None where a part is not known."""

    balance: Decimal | None
    open_profit: Decimal | None
    equity: Decimal | None
    day_profit: Decimal | None


def worth_of(
    account: Account, positions: Iterable[books.AnyPosition], *, trade_date: date, moved: Decimal | None = None
) -> Worth:
    """Return what the account is worth with `positions` at their newest prices.

    moved   dollars that fills have moved the balance by since it was read; by default what `booked_since` says. The
            gate takes a loss alone: before it admits more, the venue has the last word
    The day's profit is None unless the balance at the start of the session `trade_date` is known.
    """
    balance = None if account.balance is None else account.balance + (booked_since(account) if moved is None else moved)
    open_profit: Decimal | None = Decimal(0)
    positions = list(positions)
    prices = bars.last_prices([position.contract_id for position in positions if position.quantity])
    for position in positions:
        price = prices.get(position.contract_id) if position.quantity else None
        if price is not None and open_profit is not None:
            open_profit += position.open_profit(price)
        elif position.quantity or position.broker_quantity:
            open_profit = None
    equity = None if balance is None or open_profit is None else balance + open_profit
    start = account.session_start_balance if account.session_date == trade_date else None
    profit = None if equity is None or start is None else equity - start
    return Worth(balance, open_profit, equity, profit)


_BOOKED_SINCE = """
SELECT p.id FROM tradingbot_position p
WHERE p.account_id = %(account)s AND EXISTS (
    SELECT 1 FROM tradingbot_fill f
    WHERE f.account_id = p.account_id AND f.contract_id = p.contract_id AND NOT f.voided
      AND f.at >= coalesce(p.booked_from, '-infinity') AND f.at >= %(balance_at)s AND f.booked_at >= %(read_at)s)
"""


def holdings(account: Account) -> tuple[list[Position], Decimal]:
    """Return what is open, and what fills have moved the balance by since it was read: booking waits meanwhile."""
    with transaction.atomic():
        rows = account.positions.select_for_update(of=("self",)).select_related("contract").order_by("pk")
        return [row for row in rows if row.quantity or row.broker_quantity], booked_since(account)


def booked_since(account: Account) -> Decimal:
    """Return dollars that fills booked since the balance was read have moved it by, as the venue realises them.

    What was executed clearly before it was in it, however late it was booked; the venue's clock may differ from ours.
    """
    moment = _moment(account)
    news = [pk for (pk,) in statements.rows(_BOOKED_SINCE, {"account": account.pk, **moment})]
    moved = Decimal(0)
    for position in Position.objects.filter(pk__in=news).select_related("contract") if news else []:
        rows, point_value = trades.unsettled(position), position.contract.spec.point_value
        known = [row for row in rows if row.booked_at < moment["read_at"] or row.execution.at < moment["balance_at"]]
        moved += owed_by_venue((row.execution for row in rows), point_value)
        moved -= owed_by_venue((row.execution for row in known), point_value)
    return moved


def _moment(account: Account) -> dict[str, Any]:
    at, skew = account.balance_at, timedelta(seconds=limits.CLOCK_SKEW)
    return {"read_at": account.balance_read_at, "balance_at": None if at is None else at - skew}


def floor_of(account: Account) -> Decimal | None:
    """Return the equity at which the account is lost, None unless everything that makes it is known."""
    if account.start_balance is None or account.maximum_loss is None or account.highest_eod_balance is None:
        return None
    return drawdown.floor(
        start=account.start_balance, maximum_loss=account.maximum_loss, highest_eod=account.highest_eod_balance
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is not in the rows of the account, its positions and its orders; `calendar_until` is its last date.

    has_news   fills were booked since the balance was read
    """

    balance_age: float | None
    covered_until: datetime | None
    has_news: bool
    entries_session: int
    entries_minute: int
    exposed_accounts: int
    has_orders: bool
    has_positions: bool
    calendar_until: date | None
    overall_state: str
    overall_reason: str
    token_left: float | None
    session: Session | None


_FACTS = f"""
SELECT
    extract(epoch FROM statement_timestamp() - %(read_at)s::timestamptz)::float,
    (SELECT covered_until FROM tradingbot_barday WHERE contract_id = %(contract)s ORDER BY trade_date DESC LIMIT 1),
    EXISTS ({_BOOKED_SINCE}),
    (SELECT count(*) FROM tradingbot_order
     WHERE account_id = %(account)s AND role = 'entry' AND session_date = %(trade_date)s),
    (SELECT count(*) FROM tradingbot_order
     WHERE account_id = %(account)s AND role = 'entry' AND session_date = %(trade_date)s
       AND created_at > %(minute_ago)s),
    (SELECT count(*) FROM tradingbot_account other
     WHERE other.login_id = %(login)s AND other.id <> %(account)s AND (
         EXISTS (SELECT 1 FROM tradingbot_order o WHERE o.account_id = other.id AND o.status IN ({statements.LIVE}))
         OR EXISTS (SELECT 1 FROM tradingbot_position p
                    WHERE p.account_id = other.id AND (p.quantity <> 0 OR p.broker_quantity <> 0)))),
    EXISTS (SELECT 1 FROM tradingbot_order WHERE account_id = %(account)s
            AND (status IN ({statements.LIVE}) OR (status = 'abandoned' AND role = 'entry'))),
    EXISTS (SELECT 1 FROM tradingbot_position
            WHERE account_id = %(account)s AND (quantity <> 0 OR broker_quantity <> 0)),
    (SELECT max(trade_date) FROM tradingbot_calendarday),
    coalesce(overall.trading_state, 'halted'), coalesce(overall.reason, 'the state of all accounts is missing'),
    extract(epoch FROM %(token_at)s::timestamptz - statement_timestamp())::float + %(token_lasts)s,
    day.trade_date, day.opens_at, day.closes_at, day.rth_opens_at
FROM (SELECT 1) always
LEFT JOIN tradingbot_overallstate overall ON overall.id = 1
LEFT JOIN tradingbot_calendarday day ON day.opens_at <= %(now)s AND day.closes_at > %(now)s
ORDER BY day.trade_date
LIMIT 1
"""  # noqa: S608


def _facts(account: Account, contract: Contract | None, trade_date: date, now: datetime) -> _Facts:
    """Read in one statement: the account is locked meanwhile, and the market does not wait."""
    values = {
        "account": account.pk,
        "login": account.login_id,
        "contract": contract.pk if contract else 0,
        "token_at": account.login.token_renewed_at,
        "token_lasts": TOKEN_LASTS,
        **_moment(account),
        "trade_date": trade_date,
        "minute_ago": now - timedelta(minutes=1),
        "now": now,
    }
    (row,) = statements.rows(_FACTS, values)
    session = Session(*row[12:]) if row[12] else None
    return _Facts(*(*row[:12], session))


def _takes(order: books.LiveOrder, strategy: Strategy | None, trade_date: date) -> bool:
    mine = strategy is not None and order.strategy_id == strategy.pk and order.session_date == trade_date
    return mine and order.role == Role.ENTRY and order.status in ENTRY_TAKEN


def _taken_by(
    account: Account,
    contract: Contract | None,
    strategy: Strategy | None,
    orders: list[books.LiveOrder],
    positions: list[books.OpenPosition],
) -> str:
    """Return the name of another strategy at work in `contract`, empty for none or where the account lets them share.

    Entries, legs and exits say whose a position is; one that has none of them is its last entry's. What a person placed
    is nobody's.
    """
    if strategy is None or contract is None or account.sharing == Sharing.NET:
        return ""
    working = [order for order in orders if order.contract_id == contract.pk]
    others = [order.strategy_id for order in working if order.strategy_id not in (None, strategy.pk)]
    if others:
        return str(Strategy.objects.get(pk=others[0]))
    held = any(position.contract_id == contract.pk for position in positions)
    if not held or any(order.strategy_id == strategy.pk and order.role != Role.ENTRY for order in working):
        return ""
    filled = Order.objects.filter(account=account, contract=contract, role=Role.ENTRY, filled__gt=0)
    last = filled.select_related("strategy").order_by("-pk").first()
    return str(last.strategy) if last is not None and last.strategy_id not in (None, strategy.pk) else ""


def _halted(strategy: Strategy | None, trade_date: date) -> str:
    if strategy is None:
        return ""
    if not strategy.enabled:
        return "it is switched off"
    if strategy.stopped_reason:
        return f"{strategy.stopped_reason}; a person releases it"
    return (strategy.halt_reason or "halted") if strategy.halted_on == trade_date else ""


def max_lots(account: Account, rules: Parameters | None, trade_date: date) -> Decimal | None:
    """Return the account's limit; an Express account's last end of day, less payouts since, may allow less."""
    if account.stage != Stage.EXPRESS or account.max_lots is None or rules is None:
        return account.max_lots  # without rules there are no entries
    ended = Balance.objects.filter(account=account, end_of_day=True, session_date__lt=trade_date)
    last = ended.order_by("-session_date").first()
    left = None if last is None else last.balance - payouts.between(account, last.session_date, trade_date)
    level = rulebook.lots(rules, last_eod=left)
    return None if level is None else min(account.max_lots, level)
