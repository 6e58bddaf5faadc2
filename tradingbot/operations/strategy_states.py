"""What the gate needs to know of the strategy that asks: its limits and what it has done, in one statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from market.books import keep
from market.orders import LIVE, Role, Side
from risk.exposures import Exposure
from risk.strategies import StrategyLimits, StrategyState
from tradingbot.models import Position, Strategy
from tradingbot.operations import statements, trades
from tradingbot.operations.books import LiveOrder, OpenPosition, stop_ticks


def limits_of(strategy: Strategy) -> StrategyLimits:
    """Return what a person set on the strategy. Raises ValueError for a window that cannot be read."""
    return StrategyLimits(
        max_positions=strategy.max_positions,
        max_entries=strategy.max_entries_a_day,
        max_signals=strategy.max_signals_a_day,
        min_reward_risk=strategy.min_reward_risk,
        max_risk=strategy.max_risk_dollars,
        max_stop_points=strategy.max_stop_points,
        windows=strategy.windows() if strategy.entry_windows else None,
        daily_loss_share=strategy.daily_loss_share,
        daily_loss=strategy.daily_loss_dollars,
        drawdown=strategy.drawdown_dollars,
        loss_streak=strategy.loss_streak,
        cooldown=timedelta(minutes=strategy.cooldown_minutes or 60),
        buffer=strategy.buffer_dollars,
    )


def strategy_state(
    strategy: Strategy, *, trade_date: date, orders: Iterable[LiveOrder], positions: Iterable[OpenPosition]
) -> StrategyState:
    """Return the strategy's limits and doings; `orders` are the live ones of its account, `positions` the open ones."""
    limits = limits_of(strategy)
    if limits == StrategyLimits(cooldown=limits.cooldown):
        return StrategyState(limits)
    mine = [order for order in orders if order.strategy_id == strategy.pk]
    stopped = {order.contract_id for order in mine if order.role == Role.STOP}
    held = {item.contract_id: _own(strategy, item) for item in positions if item.contract_id in stopped}
    done = results(strategy, trade_date=trade_date)
    return StrategyState(
        limits=limits,
        positions=len({_group(order) for order in mine if order.role in (Role.ENTRY, Role.STOP)}),
        entries=done.entries,
        signals=done.signals,
        realised=done.realised,
        exposures=tuple(_exposures(mine, held)),
        drawdown=done.drawdown,
        losses=done.losses,
        lost_at=done.lost_at,
    )


@dataclass(frozen=True, slots=True)
class Results:
    """What a strategy did: decisions and closed trades of the session, and its fall from its best total."""

    entries: int
    signals: int
    realised: Decimal
    drawdown: Decimal
    losses: int
    lost_at: datetime | None


# A trade of several executions counts once, by the order that opened it.
_RESULTS = """
WITH trades AS (
    SELECT t.session_date, sum(t.net) AS net, max(t.exited_at) AS at, max(t.id) AS id
    FROM tradingbot_trade t JOIN tradingbot_fill f ON f.id = t.entry_fill_id
    WHERE t.strategy_id = %(strategy)s
    GROUP BY t.session_date, coalesce(f.order_id, -t.id)
), counted AS (
    SELECT at, id, sum(net) OVER (ORDER BY at, id) AS total FROM trades
    WHERE %(since)s::timestamptz IS NULL OR at > %(since)s::timestamptz
), today AS (
    SELECT net, at, id FROM trades WHERE session_date = %(trade_date)s
), lost AS (
    SELECT at FROM today l
    WHERE net < 0 AND NOT EXISTS (SELECT 1 FROM today w WHERE w.net >= 0 AND (w.at, w.id) > (l.at, l.id))
)
SELECT
    (SELECT count(*) FROM tradingbot_decision
     WHERE strategy_id = %(strategy)s AND session_date = %(trade_date)s AND outcome = 'ordered'),
    (SELECT count(*) FROM tradingbot_decision
     WHERE strategy_id = %(strategy)s AND session_date = %(trade_date)s AND outcome IN ('ordered', 'denied')),
    (SELECT coalesce(sum(net), 0) FROM today),
    (SELECT greatest(0, coalesce(max(total), 0)) FROM counted)
      - coalesce((SELECT total FROM counted ORDER BY at DESC, id DESC LIMIT 1), 0),
    (SELECT count(*) FROM lost),
    (SELECT max(at) FROM lost)
"""


def results(strategy: Strategy, *, trade_date: date) -> Results:
    """Return what the strategy did in the session `trade_date`, and its drawdown since a person last released it."""
    values = {"strategy": strategy.pk, "trade_date": trade_date, "since": strategy.results_since}
    ((entries, signals, realised, drawdown, losses, lost_at),) = statements.rows(_RESULTS, values)
    return Results(entries, signals, realised, drawdown, losses, lost_at)


def _group(order: LiveOrder) -> object:
    """Return what makes an entry and its stop, and the two sides of a pair, one position."""
    entry = order.parent if order.role == Role.STOP and order.parent is not None else order
    return entry.oco_group or entry.pk


def _own(strategy: Strategy, position: OpenPosition) -> OpenPosition:
    """Return the position at the price of the strategy's own open contracts: its closed trades leave those."""
    row = Position.objects.get(account=strategy.account_id, contract=position.contract_id)
    averages = keep(booked.owned for booked in trades.unsettled(row)).averages
    return position._replace(average_price=averages.get(strategy.pk, position.average_price))


def _exposures(orders: Iterable[LiveOrder], held: dict[int, OpenPosition]) -> Iterable[Exposure]:
    for order in orders:
        left = order.quantity - order.filled
        position = held.get(order.contract_id)
        if left <= 0 or order.status not in LIVE:
            continue
        if order.role == Role.ENTRY:
            yield Exposure(order.spec, Side(order.side), left, order.stop_ticks)
        elif order.role == Role.STOP and position is not None:
            side = Side(order.side).opposite
            ticks = stop_ticks(order, position, side)
            if ticks is not None:
                yield Exposure(order.spec, side, left, ticks, is_position=True)
