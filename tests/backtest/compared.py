"""What a life at the venue and a run of the kernel did, in the same words: prices in ticks, times in epoch seconds."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

from backtest.codes import (
    O_ENDING,
    O_FILL,
    O_KIND,
    O_PRICE,
    O_SIDE,
    O_SIGNAL,
    O_STOP,
    O_TARGET,
    QUANTITY,
    ROW,
    TRAIL_TICKS,
    Ending,
)
from backtest.results import Result
from backtest.trades import dollars
from market.bars import epoch
from market.orders import OrderType
from market.plans import Kind
from tests.backtest.live import Life
from tradingbot.models import Fill, Order, Trade

_KINDS = {OrderType.MARKET: Kind.MARKET, OrderType.LIMIT: Kind.LIMIT, OrderType.STOP: Kind.STOP}
Entry = tuple[int, ...]


def live_entries(life: Life) -> list[Entry]:
    """Return every entry: decided at, side, kind, price, contracts, stop, target, trail, filled, price of the fill."""
    ticks = life.contract.spec.ticks
    return sorted(
        (
            epoch(order.decision.bar_closed_at),
            order.side,
            int(_KINDS[OrderType(order.type)]),
            ticks(order.price) if order.price is not None else 0,
            order.quantity,
            order.stop_ticks or 0,
            order.target_ticks or 0,
            order.trail_ticks or 0,
            int(order.filled > 0),
            ticks(order.average_price) if order.average_price is not None else 0,
        )
        for order in Order.objects.filter(role="entry").select_related("decision")
    )


def simulated_entries(result: Result) -> list[Entry]:
    found = []
    for prepared, orders in zip(result.prepared, result.simulated.orders, strict=True):
        opened_at, signals = prepared.frames.base.opened_at, prepared.signals
        for row in orders.tolist():
            signal = signals[row[O_SIGNAL]]
            found.append(
                (
                    int(opened_at[signal[ROW]]) + 60,
                    row[O_SIDE],
                    row[O_KIND],
                    row[O_PRICE],
                    int(signal[QUANTITY]),
                    row[O_STOP],
                    row[O_TARGET],
                    int(signal[TRAIL_TICKS]),
                    int(row[O_ENDING] == Ending.FILLED),
                    row[O_FILL],
                )
            )
    return sorted(found)


def live_fills(life: Life) -> dict[tuple[int, int, int], int]:
    """Return the contracts that filled by minute, side and price."""
    filled: Counter[tuple[int, int, int]] = Counter()
    for fill in Fill.objects.all():
        filled[epoch(fill.at) // 60 * 60, fill.side, life.contract.spec.ticks(fill.price)] += fill.quantity
    return dict(filled)


def simulated_fills(result: Result) -> dict[tuple[int, int, int], int]:
    trades, filled = result.simulated.trades, Counter[tuple[int, int, int]]()
    columns = (trades.entered_at, trades.entry, trades.exited_at, trades.exit, trades.side, trades.quantity)
    for entered_at, entry, exited_at, exit_, side, quantity in zip(*(c.tolist() for c in columns), strict=True):
        filled[entered_at, side, entry] += quantity
        filled[exited_at, -side, exit_] += quantity
    return dict(filled)


def live_net(life: Life) -> dict[date, Decimal]:
    """Return the net result of each day that had a trade."""
    net: Counter[date] = Counter()
    for trade in Trade.objects.all():
        net[trade.session_date] += trade.net
    return dict(net)


def simulated_net(result: Result) -> dict[date, Decimal]:
    trades, net = result.simulated.trades, Counter[date]()
    for day, units in zip(trades.trade_date.tolist(), trades.net.tolist(), strict=True):
        net[date.fromordinal(date(1970, 1, 1).toordinal() + day)] += dollars(units)
    return dict(net)
