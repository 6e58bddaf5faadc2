"""An account's real trades under other settings, and how likely it is to pass or be lost if it goes on like that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from backtest.outcomes import Rules
from backtest.prospects import Prospects, Standing, TooFewTrades, fresh, prospects
from backtest.what_if import RealTrade, Replayed, Settings, what_if
from market.sessions import trade_date_of
from risk.rulebook import RulebookInvalid
from tradingbot.models import Account, CalendarDay, Stage, Strategy, Trade
from tradingbot.operations import risk_states
from tradingbot.operations import rules as rules_operations
from tradingbot.operations.results import entry_of

_Days = tuple[tuple[Decimal, ...], ...]
"""Net results of each day's trades."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What was, and what would have been. Odds are None where there are too few trades, `why` says so then.

    odds   of the account as it stands, if it goes on as before, and as under the settings
    """

    before: Replayed
    after: Replayed
    odds: tuple[Prospects, Prospects] | None
    why: str


def compare(
    account: Account,
    settings: Settings,
    *,
    rules: Rules | None,
    strategy: Strategy | None = None,
    first: date | None = None,
    now: datetime,
) -> Compared:
    """Replay the trades of an account (of one strategy, since a session) as they were and under `settings`.

    rules   those of another account type, whose odds are told from its beginning; None for the account's own
    Raises ValueError without a trade.
    """
    trades = traded(account, strategy=strategy, first=first)
    if not trades:
        raise ValueError(f"{account} has closed no trade" + (f" of {strategy}" if strategy else "") + " in this time")
    judged = rules or rules_of(account, on=trade_date_of(now))
    before, after = (what_if(trades, each, judged) for each in (Settings(), settings))
    if judged is None:
        return Compared(before, after, None, "start balance or maximum loss of the account are not set")
    standing = fresh(judged) if rules is not None else standing_of(account, now=now)
    if standing is None:
        return Compared(before, after, None, "balance or highest end of day of the account are not known")
    sessions = _sessions(trades)
    try:
        odds = tuple(_drawn(_by_day(each.trades, sessions), standing, judged) for each in (before, after))
    except TooFewTrades as error:
        return Compared(before, after, None, str(error))
    return Compared(before, after, (odds[0], odds[1]), "")


def odds(account: Account, *, now: datetime) -> tuple[Prospects | None, str]:
    """Return how likely the account passes, or is lost, if it goes on as it has, or why that cannot be told."""
    try:
        judged = rules_of(account, on=trade_date_of(now))
    except RulebookInvalid:
        return None, "the rulebook cannot be used"
    standing = standing_of(account, now=now)
    if judged is None or standing is None:
        return None, "balance, start balance, maximum loss or highest end of day are not known"
    trades = traded(account)
    try:
        return _drawn(_by_day(trades, _sessions(trades) if trades else []), standing, judged), ""
    except TooFewTrades as error:
        return None, str(error)


@lru_cache(maxsize=32)  # from the same trades, standing and rules come the same odds: a page asks at every visit
def _drawn(by_day: _Days, standing: Standing, rules: Rules) -> Prospects:
    return prospects(by_day, standing, rules)


def traded(account: Account, *, strategy: Strategy | None = None, first: date | None = None) -> list[RealTrade]:
    """Return the entries of an account that have been closed, their pieces put together, oldest first."""
    rows = Trade.objects.filter(account=account).select_related("entry_fill", "strategy").order_by("entered_at", "pk")
    if strategy is not None:
        rows = rows.filter(strategy=strategy)
    if first is not None:
        rows = rows.filter(session_date__gte=first)
    whole: dict[tuple[int, date], RealTrade] = {}
    for row in rows:
        key = (entry_of(row), row.session_date)
        piece = RealTrade(
            session_date=row.session_date,
            entered_at=row.entered_at,
            exited_at=row.exited_at,
            quantity=row.quantity,
            gross=row.gross,
            costs=row.fees + row.commissions,
            strategy=row.strategy.name if row.strategy else "",
        )
        before = whole.get(key)
        whole[key] = piece if before is None else _joined(before, piece)
    return list(whole.values())


def rules_of(account: Account, *, on: date) -> Rules | None:
    """Return the account's own rules as an outcome is judged by, None while a required one is not known.

    Raises RulebookInvalid.
    """
    found = rules_operations.parameters_of(account, on)
    if found is None or account.start_balance is None or account.maximum_loss is None:
        return None
    judged = Rules(
        name=account.name,
        start=account.start_balance,
        maximum_loss=account.maximum_loss,
        daily_loss=account.daily_loss_limit,
    )
    if account.stage != Stage.COMBINE or found.consistency_ratio is None or found.min_trading_days is None:
        return judged
    return replace(
        judged,
        target=found.profit_target,
        best_day=found.consistency_ratio,
        least_days=found.min_trading_days,
    )


def standing_of(account: Account, *, now: datetime) -> Standing | None:
    """Return where the account stands at the newest prices, None while a part is not known."""
    today = trade_date_of(now)
    positions = list(account.positions.exclude(quantity=0).select_related("contract"))
    worth = risk_states.worth_of(account, positions, trade_date=today)
    if worth.equity is None or account.highest_eod_balance is None:
        return None
    days: dict[date, Decimal] = {}
    trades_today = 0
    for row in account.results.all():
        days[row.session_date] = days.get(row.session_date, Decimal(0)) + row.net
        trades_today += row.trades if row.session_date == today else 0
    done = days.pop(today, Decimal(0))
    return Standing(
        equity=worth.equity,
        highest=account.highest_eod_balance,
        best_day=max(days.values(), default=Decimal(0)),
        days=len(days),
        today=done,
        trades_today=trades_today,
    )


def _joined(one: RealTrade, piece: RealTrade) -> RealTrade:
    return replace(
        one,
        exited_at=max(one.exited_at, piece.exited_at),
        quantity=one.quantity + piece.quantity,
        gross=one.gross + piece.gross,
        costs=one.costs + piece.costs,
    )


def _sessions(trades: Sequence[RealTrade]) -> list[date]:
    """Return the sessions from the first to the last trade, those without one too."""
    span = (min(trade.session_date for trade in trades), max(trade.session_date for trade in trades))
    known = CalendarDay.objects.filter(trade_date__range=span).values_list("trade_date", flat=True)
    weekdays = {span[0] + timedelta(days=number) for number in range((span[1] - span[0]).days + 1)}
    found = set(known) or {day for day in weekdays if day.weekday() < 5}
    return sorted(found | {trade.session_date for trade in trades})


def _by_day(trades: Sequence[RealTrade], sessions: Sequence[date]) -> _Days:
    days: dict[date, list[Decimal]] = {day: [] for day in sessions}
    for trade in trades:
        days[trade.session_date].append(trade.net)
    return tuple(map(tuple, days.values()))
