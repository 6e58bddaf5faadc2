"""What booking an execution makes of position and trades."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.base import FillReport
from market.orders import Side
from tradingbot.models import Position, Trade
from tradingbot.operations import fills


def test_a_fill_ten_days_after_an_open_position_leaves_that_one_whole(account, contract):
    """Booked again are whole sessions: cut at 10:05 the first one began with an exit that seemed to open a short."""
    entered = datetime(2026, 11, 6, 15, 0, tzinfo=UTC)
    for number, (minutes, side) in enumerate([(0, Side.BUY), (10, Side.SELL), (10 * 1440 + 5, Side.BUY)]):
        report = FillReport(
            id=number,
            account_id=account.broker_account_id,
            contract_id=contract.broker_contract_id,
            order_id=number,
            at=entered + timedelta(minutes=minutes),
            side=side,
            quantity=1,
            price=Decimal(21_000 + number),
            fees=Decimal("0.36"),
            commissions=Decimal("0.25"),
            profit=None,
            voided=False,
        )
        assert fills.record(account, report, now=report.at)
    assert Position.objects.get().quantity == 1
    assert [(trade.direction, trade.gross) for trade in Trade.objects.all()] == [(1, Decimal(2))]
