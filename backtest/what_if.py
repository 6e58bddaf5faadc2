"""Real trades under other settings: what would have been left out, what the rest would have come to.

A replay knows the trades as they were: another size scales their results, a rule leaves some out. It does not know what
else would have been entered, nor that a larger size fills worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from backtest.days import Days
from backtest.outcomes import Outcome, Rules, judge
from backtest.simulation import EPOCH
from backtest.trades import units
from market.performance import Day, Figures, figures


@dataclass(frozen=True, slots=True)
class RealTrade:
    """One entry as it was traded, whatever pieces it was closed in; dollars."""

    session_date: date
    entered_at: datetime
    exited_at: datetime
    quantity: int
    gross: Decimal
    costs: Decimal
    strategy: str = ""

    @property
    def net(self) -> Decimal:
        return self.gross - self.costs


@dataclass(frozen=True, slots=True)
class Settings:
    """What to change; None changes nothing.

    size                contracts of every entry
    stop_after_losses   losing trades of a session after which nothing more is entered in it
    stop_after_loss     dollars lost by closed trades of a session after which nothing more is entered in it
    most_trades         entries of a session
    """

    size: int | None = None
    stop_after_losses: int | None = None
    stop_after_loss: Decimal | None = None
    most_trades: int | None = None

    def __post_init__(self) -> None:
        given = (self.size, self.stop_after_losses, self.stop_after_loss, self.most_trades)
        if any(value is not None and value <= 0 for value in given):
            raise ValueError(f"{self}: everything that is set must be above 0")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it; `outcome` None without rules."""

    trades: list[RealTrade]
    figures: Figures
    outcome: Outcome | None


def replay(trades: Iterable[RealTrade], settings: Settings) -> list[RealTrade]:
    """Return the trades that would have been made, with the results that they would have had.

    A trade is left out by what had been closed when it was entered: what ends later is not known yet.
    """
    kept: list[RealTrade] = []
    for trade in sorted(trades, key=lambda trade: trade.entered_at):
        today = [one for one in kept if one.session_date == trade.session_date]
        closed = [one for one in today if one.exited_at <= trade.entered_at]
        lost = sum(one.net < 0 for one in closed)
        total = sum((one.net for one in closed), Decimal(0))
        if settings.most_trades is not None and len(today) >= settings.most_trades:
            continue
        if settings.stop_after_losses is not None and lost >= settings.stop_after_losses:
            continue
        if settings.stop_after_loss is not None and total <= -settings.stop_after_loss:
            continue
        kept.append(trade if settings.size is None else _scaled(trade, settings.size))
    return kept


def what_if(trades: Sequence[RealTrade], settings: Settings, rules: Rules | None) -> Replayed:
    """Return the replay in figures, over all sessions in which anything was traded, and what `rules` make of it."""
    sessions = sorted({trade.session_date for trade in trades})
    kept = replay(trades, settings)
    rows = [_day(session, [trade for trade in kept if trade.session_date == session]) for session in sessions]
    outcome = judge(as_days(rows), rules) if rules is not None and rows else None
    return Replayed(kept, figures(rows), outcome)


def as_days(rows: Sequence[Day]) -> Days:
    """Return results by session as the firm's rules are judged; their lows are those of closed trades."""
    columns = ((units(row.net), units(min(row.low, row.net, Decimal(0))), row.trades) for row in rows)
    net, low, count = np.array(list(columns), np.int64).reshape(-1, 3).T
    return Days(np.array([row.session_date.toordinal() - EPOCH for row in rows], np.int64), net, low, count)


def _scaled(trade: RealTrade, size: int) -> RealTrade:
    factor = Decimal(size) / trade.quantity
    cent = Decimal("0.01")
    gross, costs = (trade.gross * factor).quantize(cent), (trade.costs * factor).quantize(cent)
    return replace(trade, quantity=size, gross=gross, costs=costs)


def _day(session: date, trades: Sequence[RealTrade]) -> Day:
    total = low = Decimal(0)
    for trade in sorted(trades, key=lambda trade: trade.exited_at):
        total += trade.net
        low = min(low, total)
    won, lost = ([trade.net for trade in trades if trade.net * sign > 0] for sign in (1, -1))
    return Day(
        session_date=session,
        trades=len(trades),
        won=len(won),
        lost=len(lost),
        gross=sum((trade.gross for trade in trades), Decimal(0)),
        costs=sum((trade.costs for trade in trades), Decimal(0)),
        net=total,
        gain=sum(won, Decimal(0)),
        loss=sum(lost, Decimal(0)),
        low=low,
    )
