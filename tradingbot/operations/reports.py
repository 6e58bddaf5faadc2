"""The day in figures: what traded, what it cost, what each strategy came to, and that the account ended flat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from market.orders import LIVE, Role
from tradingbot.models import Account, Decision, Notification, Order, Outcome, Position, Strategy, Trade
from tradingbot.operations import accounts, notifications, risk_states


@dataclass(frozen=True, slots=True)
class Summary:
    """One account's session. Dollars; `trades` counts round turns by their entry order, not by partial fills.

    is_flat    no position and no live order now
    outcomes   (strategy, what became of it in one sentence)
    room       dollars between the balance and the floor, None while one of them is not known
    """

    account: str
    session_date: date
    trades: int
    won: int
    gross: Decimal
    costs: Decimal
    net: Decimal
    denials: int
    is_flat: bool
    outcomes: tuple[tuple[str, str], ...]
    balance: Decimal | None
    floor: Decimal | None
    room: Decimal | None

    @property
    def facts(self) -> dict[str, str]:
        """Return the figures as they are shown to the trader."""
        rate = f", {self.won} won ({self.won * 100 // self.trades} %)" if self.trades else ""
        shown = {
            "Trades": f"{self.trades}{rate}",
            "Gross": dollars(self.gross),
            "Fees": dollars(-self.costs),
            "Net": dollars(self.net),
            "Flat": "yes" if self.is_flat else "NO",
            "Denied entries": str(self.denials),
        }
        if self.balance is not None:
            shown["Balance"] = f"${self.balance:,.2f}"
        if self.floor is not None and self.room is not None:
            shown["Room to the floor"] = f"${self.room:,.2f} (floor ${self.floor:,.2f})"
        return shown | dict(self.outcomes)


def summary(account: Account, session_date: date) -> Summary:
    """Return the figures of one session from our rows; the balance is the session's last where it was kept."""
    trades = list(Trade.objects.filter(account=account, session_date=session_date).select_related("entry_fill"))
    turns: dict[int, Decimal] = {}
    for trade in trades:
        key = trade.entry_fill.order_id or -trade.pk
        turns[key] = turns.get(key, Decimal(0)) + trade.net
    closing = account.balances.filter(session_date=session_date).order_by("-end_of_day", "-at").first()
    balance = closing.balance if closing else account.balance
    floor = closing.floor if closing else risk_states.floor_of(account)
    return Summary(
        account=account.name,
        session_date=session_date,
        trades=len(turns),
        won=sum(net > 0 for net in turns.values()),
        gross=sum((trade.gross for trade in trades), Decimal(0)),
        costs=sum((trade.fees + trade.commissions for trade in trades), Decimal(0)),
        net=sum((trade.net for trade in trades), Decimal(0)),
        denials=Decision.objects.filter(account=account, session_date=session_date, outcome=Outcome.DENIED).count(),
        is_flat=not _is_exposed(account),
        outcomes=tuple(
            (strategy.name, _outcome(strategy, session_date))
            for strategy in account.strategies.all()
            if strategy.enabled or strategy.decisions.filter(session_date=session_date).exists()
        ),
        balance=balance,
        floor=floor,
        room=None if balance is None or floor is None else balance - floor,
    )


def daily_report(account: Account, *, now: datetime) -> Notification | None:
    """Write the summary of the newest ended session for the trader, once; None if it was written or none has ended."""
    ended = accounts.last_ended(now)
    if ended is None:
        return None
    day = summary(account, ended.trade_date)
    result = f"{dollars(day.net)} net" if day.trades else "no trade"
    return notifications.notify(
        "summary",
        f"{ended.trade_date:%a %d %b %Y}: {result}",
        account=account,
        body="" if day.is_flat else "The account is NOT flat: look at it now.",
        facts=day.facts,
        level="info" if day.is_flat else "alert",
        key=f"summary:{account.pk}:{ended.trade_date}",
        now=now,
    )


def dollars(amount: Decimal) -> str:
    """Return a result with its sign, e.g. +$345.20."""
    return f"{'-' if amount < 0 else '+'}${abs(amount):,.2f}"


def _is_exposed(account: Account) -> bool:
    positions = Position.objects.filter(account=account).exclude(quantity=0, broker_quantity=0)
    return positions.exists() or Order.objects.filter(account=account, status__in=LIVE).exists()


def _outcome(strategy: Strategy, session_date: date) -> str:
    """Return what became of `strategy` in a session: its result, its unreached entries, or why it did not enter."""
    trades = list(strategy.trades.filter(session_date=session_date))
    if trades:
        net = sum((trade.net for trade in trades), Decimal(0))
        return f"{dollars(net)}, out by {' and '.join(sorted({trade.exit_role for trade in trades}))}"
    if strategy.orders.filter(session_date=session_date, role=Role.ENTRY, filled__gt=0).exists():
        return "a position is still open"
    last = strategy.decisions.filter(session_date=session_date).first()
    if strategy.orders.filter(session_date=session_date, role=Role.ENTRY).exists():
        return "its entries were not reached"
    return last.sentence if last else "it did not decide anything: see `manage.py why`"
