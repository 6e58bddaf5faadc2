"""The same month through the live operations at the venue and through the kernel: order for order, fill for fill."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from backtest.codes import O_ENDING, O_FILL, O_PRICE, O_SIDE, O_STOP, O_TARGET, Ending, Reason
from backtest.results import Result
from backtest.trades import dollars
from market.bars import epoch, moment
from tests.backtest.live import LiveMonth
from tradingbot.models import Fill, Order, Trade
from tradingbot.operations import backtests, venues

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 30)
VALUES = {"size": 2, "breakeven_points": "8", "target_atr": "3"}

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600), pytest.mark.xdist_group("parity")]


@pytest.fixture(scope="module")
def month(django_db_setup: None, django_db_blocker) -> Iterator[LiveMonth]:
    """Lived through once, rolled back at the end."""
    from django.db import connection, transaction

    with django_db_blocker.unblock(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # the machine may be busy
        month = LiveMonth("overnight_range", VALUES, first=FIRST, last=LAST, seed=11)
        opens = {session.trade_date.day: session.rth_opens_at for session in month.traded}
        for day in (7, 20):  # both sides of the pair in one minute
            month.market.spread(date(2026, 10, day), opens[day], 900)
        month.market.calm(date(2026, 10, 1), opens[1] + timedelta(hours=2))  # held until the flat time
        month.market.calm(date(2026, 10, 12), opens[12])  # neither side is reached
        month.run()
        yield month
        transaction.set_rollback(True)
    venues.forget()


@pytest.fixture(scope="module")
def result(month: LiveMonth) -> Result:
    wish = backtests.Wish("overnight_range", "MNQ", VALUES, FIRST, LAST, slippage=1)
    found, _ = backtests.simulate(wish, month.contract, now=month.now)
    return found


def test_the_same_entries_are_placed_and_end_in_the_same_way(month: LiveMonth, result: Result):
    ticks = month.contract.spec.ticks
    live = [
        (o.session_date, o.side, ticks(o.stop_price), o.stop_ticks, o.target_ticks, o.filled > 0, _ticks(month, o))
        for o in Order.objects.filter(role="entry").order_by("pk")
    ]
    (prepared,), (orders,) = result.prepared, result.simulated.orders
    dates = [moment(prepared.frames.base.opened_at[row]).date() for row in prepared.signals[orders[:, 0], 0].tolist()]
    simulated = [
        (day, row[O_SIDE], row[O_PRICE], row[O_STOP], row[O_TARGET], row[O_ENDING] == Ending.FILLED, row[O_FILL])
        for day, row in zip(dates, orders.tolist(), strict=True)
    ]
    assert len(live) > 30
    assert sorted(live) == sorted(simulated)


def test_the_same_fills_happen_in_the_same_minutes(month: LiveMonth, result: Result):
    live = sorted(
        (epoch(fill.at) // 60 * 60, fill.side, fill.quantity, month.contract.spec.ticks(fill.price))
        for fill in Fill.objects.all()
    )
    trades = result.simulated.trades
    fills = []
    for at, left, side, size, entry, leave in zip(
        *(
            column.tolist()
            for column in (
                trades.entered_at,
                trades.exited_at,
                trades.side,
                trades.quantity,
                trades.entry,
                trades.exit,
            )
        ),
        strict=True,
    ):
        fills += [(at, side, size, entry), (left, -side, size, leave)]
    assert len(live) > 30
    assert live == sorted(fills)


def test_net_results_agree_to_the_cent_trade_by_trade(month: LiveMonth, result: Result):
    live = sorted((trade.session_date, trade.net) for trade in Trade.objects.all())
    days = [date.fromordinal(date(1970, 1, 1).toordinal() + day) for day in result.simulated.trades.trade_date.tolist()]
    simulated = sorted(zip(days, map(dollars, result.simulated.trades.net.tolist()), strict=True))
    assert live == simulated
    balance = month.venue.ledger.accounts()[0].balance
    assert Decimal(150_000) + dollars(result.simulated.trades.net.sum()) == balance


def test_the_month_shows_every_way_to_leave(result: Result):
    reasons = set(result.simulated.trades.reason.tolist())
    assert {Reason.STOP, Reason.TARGET, Reason.BREAKEVEN, Reason.FLAT} <= reasons
    endings = set(result.simulated.orders[0][:, O_ENDING].tolist())
    assert {Ending.FILLED, Ending.CANCELLED, Ending.EXPIRED} <= endings


def _ticks(month: LiveMonth, order: Order) -> int:
    return month.contract.spec.ticks(order.average_price) if order.average_price else 0
