"""What one strategy may do, before its account is asked: limits that a person sets, each off unless set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from risk.exposures import Exposure
from risk.windows import Windows


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    """None, or a window without times, switches a rule off. Dollars are positive.

    max_positions       positions and working entries at once; a pair of entries is one
    max_entries, max_signals   in a session; signals count when they are denied, too
    min_reward_risk     target over stop, as distances from the entry
    max_risk            dollars that one trade may lose at its stop, with costs and slippage
    max_stop_points     distance of the stop from the entry
    daily_loss_share    percent of the account's daily loss limit
    daily_loss, drawdown   dollars lost in the session, and below its best total
    loss_streak, cooldown   so many losing trades in a row pause it for so long
    buffer              dollars of room to the floor below which the size is 1
    """

    max_positions: int | None = None
    max_entries: int | None = None
    max_signals: int | None = None
    min_reward_risk: Decimal | None = None
    max_risk: Decimal | None = None
    max_stop_points: Decimal | None = None
    windows: Windows | None = None
    daily_loss_share: int | None = None
    daily_loss: Decimal | None = None
    drawdown: Decimal | None = None
    loss_streak: int | None = None
    cooldown: timedelta = timedelta(hours=1)
    buffer: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StrategyState:
    """A strategy's limits and what it has done.

    positions   its positions and working entries; entries, signals: of this session so far
    realised    net dollars of its trades in this session
    exposures   its part of the account's book
    drawdown    dollars that its closed trades are below their best total
    losses, lost_at   losing trades in a row in this session, and when the newest of them ended
    """

    limits: StrategyLimits
    positions: int = 0
    entries: int = 0
    signals: int = 0
    realised: Decimal = Decimal(0)
    exposures: tuple[Exposure, ...] = ()
    drawdown: Decimal = Decimal(0)
    losses: int = 0
    lost_at: datetime | None = None
