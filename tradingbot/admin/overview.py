"""What the front page says: read in a fixed number of queries, judged in words and colours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Q

from market.orders import OrderStatus, Role
from market.sessions import Session, trade_date_of
from tradingbot.clock import clock
from tradingbot.models import (
    Account,
    AccountingDifference,
    Contract,
    Decision,
    Notification,
    Order,
    Position,
    SessionStep,
    Strategy,
    TradingState,
)
from tradingbot.operations import arming, bars, decisions, heartbeats, rulebooks, sessions, streaming, trading
from tradingbot.operations.risk_states import floor_of, worth_of

_FORGOTTEN = 86_400  # machine seconds after which a silent process is one that is no longer run
_STALE_BAR = timedelta(minutes=3)
_STALE_MACHINE = timedelta(seconds=20)  # of machine time, which a fast clock stretches


@dataclass(frozen=True, slots=True)
class State:
    """The headline: may we trade?"""

    word: str
    tone: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Holding:
    """One open position with what protects it and what it is worth at the newest bar."""

    position: Position
    stops: list[Order]
    targets: list[Order]
    price: Decimal | None
    profit: Decimal | None


@dataclass(frozen=True, slots=True)
class Wallet:
    """One account at the newest prices: day's profit and equity with open positions, dollars left above the floor.

    armed   in a word, empty on paper
    """

    account: Account
    day: Decimal | None
    open_profit: Decimal | None
    equity: Decimal | None
    floor: Decimal | None
    room: Decimal | None
    armed: str


@dataclass(frozen=True, slots=True)
class Worker:
    """One strategy and what came of it today."""

    strategy: Strategy
    word: str
    tone: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest bar of a contract."""

    contract: Contract
    price: Decimal | None
    closed_at: datetime | None
    age: timedelta | None
    tone: str


@dataclass(frozen=True, slots=True)
class Overview:
    now: datetime
    today: date
    session: Session | None
    state: State
    mode: str
    wallets: list[Wallet]
    holdings: list[Holding]
    orders: list[Order]
    workers: list[Worker]
    newest: list[Newest]
    streams: list[streaming.Delivery]
    signs: list[heartbeats.Sign]
    steps: list[SessionStep]
    alerts: list[Notification]
    differences: list[AccountingDifference]


def read(now: datetime) -> Overview:
    """Return everything that the front page shows."""
    today = trade_date_of(now)
    session = sessions.current(now)
    accounts = list(Account.objects.filter(enabled=True).select_related("login"))
    strategies = list(Strategy.objects.select_related("account__login"))
    positions = list(Position.objects.exclude(quantity=0).select_related("account", "contract"))
    live = list(
        Order.objects.live()
        .exclude(status=OrderStatus.SUSPENDED)  # a bracket leg before its entry has filled
        .select_related("account", "contract", "strategy")
        .order_by("account", "contract", "-created_at", "pk")
    )
    newest = [_newest(contract, session, now) for contract in _watched(strategies, positions)]
    holdings = [_holding(position, live, newest) for position in positions]
    signs = heartbeats.overview()
    return Overview(
        now=now,
        today=today,
        session=session,
        state=_state(accounts, signs),
        mode=mode(now),
        wallets=[_wallet(account, positions, today, now) for account in accounts],
        holdings=holdings,
        orders=live,
        workers=_workers(strategies, today),
        newest=newest,
        streams=streaming.deliveries({account.login_id: account.login for account in accounts}.values()),
        signs=signs,
        steps=list(
            SessionStep.objects.filter(session_date=today).select_related("account", "strategy").order_by("due_at")
        ),
        alerts=list(
            Notification.objects.filter(at__gte=now - timedelta(hours=24))
            .exclude(level=Notification.Level.INFO)
            .select_related("account")[:6]
        ),
        differences=list(AccountingDifference.objects.filter(closed_at=None).select_related("account")),
    )


def mode(now: datetime) -> str:
    """Return which venue and which clock, in one line."""
    venue = "Paper venue" if settings.TRADING_VENUE == "paper" else "LIVE at ProjectX"
    if clock.anchor is None:
        return f"{venue} · real time"
    return f"{venue} · rehearsal at {clock.speed:g}x{'' if clock.started() else ', clock stands still'}"


def _watched(strategies: list[Strategy], positions: list[Position]) -> list[Contract]:
    wanted = Q(symbol__in={s.symbol for s in strategies if s.enabled}, active=True)
    wanted |= Q(pk__in={position.contract_id for position in positions})
    return list(Contract.objects.filter(wanted, venue__in={s.account.login.venue for s in strategies} or {"paper"}))


def _newest(contract: Contract, session: Session | None, now: datetime) -> Newest:
    last = bars.last_price(contract)
    if last is None:
        return Newest(contract, None, None, None, "bad" if session else "quiet")
    price, closed_at = last
    age = now - closed_at
    stale = session is not None and age > max(_STALE_BAR, _STALE_MACHINE * clock.speed)
    return Newest(contract, price, closed_at, age, "bad" if stale else "good" if session else "quiet")


def _holding(position: Position, live: list[Order], newest: list[Newest]) -> Holding:
    mine = [o for o in live if o.account_id == position.account_id and o.contract_id == position.contract_id]
    price = next((n.price for n in newest if n.contract.pk == position.contract_id), None)
    return Holding(
        position=position,
        stops=[order for order in mine if order.role == Role.STOP],
        targets=[order for order in mine if order.role == Role.TARGET],
        price=price,
        profit=None if price is None else position.open_profit(price),
    )


def _wallet(account: Account, positions: list[Position], today: date, now: datetime) -> Wallet:
    mine = [position for position in positions if position.account_id == account.pk]
    worth, floor = worth_of(account, mine, trade_date=today), floor_of(account)
    room = None if worth.equity is None or floor is None else worth.equity - floor
    armed = arming.state(account, now=now)
    return Wallet(account, worth.day_profit, worth.open_profit, worth.equity, floor, room, armed)


def _workers(strategies: list[Strategy], today: date) -> list[Worker]:
    said = {
        decision.strategy_id: decision
        for decision in Decision.objects.filter(strategy__in=strategies, session_date=today)
        .order_by("strategy_id", "-at", "-pk")
        .distinct("strategy_id")
    }
    return [_worker(strategy, said.get(strategy.pk), today) for strategy in strategies]


def _worker(strategy: Strategy, decision: Decision | None, today: date) -> Worker:
    if decision is not None:
        return Worker(strategy, decision.get_outcome_display(), decision.outcome, decision.sentence)
    if not strategy.enabled:
        return Worker(strategy, "off", "quiet", "Switched off.")
    sentences = decisions.explain(strategy, today)
    return Worker(strategy, "waiting", "info", " ".join(sentences[:2]))


def _state(accounts: list[Account], signs: list[heartbeats.Sign]) -> State:
    if not accounts:
        return State("No account", "quiet", "Nothing can be traded before the venue has listed an account.")
    overall = trading.overall()
    if overall.trading_state != TradingState.ACTIVE:
        word = overall.get_trading_state_display()
        flattening = sum(account.flatten_requested_at is not None for account in accounts)
        also = f" {flattening} of {len(accounts)} account(s) being closed now." if flattening else ""
        sentence = f"Every account, by {overall.by or 'nobody'}: {overall.reason or 'no reason given'}.{also}"
        return State(f"All {word}", "bad" if overall.trading_state == TradingState.HALTED else "warn", sentence)
    problems = rulebooks.problems()
    silent = [sign.name for sign in signs if not sign.alive and sign.age < _FORGOTTEN]
    for word, tone, sentence, which in (
        ("Flattening", "bad", "being closed now", [a for a in accounts if a.flatten_requested_at]),
        ("Halted", "bad", "without new entries", [a for a in accounts if a.trading_state == TradingState.HALTED]),
        ("Reduce only", "warn", "only closing", [a for a in accounts if a.trading_state == TradingState.REDUCE_ONLY]),
        ("Entries blocked", "warn", "blocked by the login", [a for a in accounts if a.login.entries_blocked]),
        ("Starting", "warn", "not yet reconciled with the venue", [a for a in accounts if not a.reconciled_at]),
    ):
        if which:
            names = ", ".join(account.name for account in which)
            return State(word, tone, f"{len(which)} of {len(accounts)} account(s) {sentence}: {names}.")
    if problems:
        return State("No entries", "bad", f"The rulebook cannot be used: {problems[0]}. Stops and flattening go on.")
    if silent:
        return State("Trading", "warn", f"No sign of life from {', '.join(silent)}.")
    return State("Trading", "good", f"{len(accounts)} account(s) may trade; every process answers.")
