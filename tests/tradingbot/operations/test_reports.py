"""The day in figures: counted from trades, said once, honest about what is still open."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from market.orders import OrderType, Side
from market.plans import Management
from risk.gate import EntryRequest, EntrySide
from tests.tradingbot.operations.ledgers import go
from tests.tradingbot.operations.orders.desk import PRICE, Desk
from tradingbot.models import Account, Decision, Notification, Strategy
from tradingbot.operations import accounts, orders, reports

WEDNESDAY = date(2026, 11, 18)
AFTER_CLOSE = datetime(2026, 11, 18, 21, 15, tzinfo=UTC)


def round_turn(desk: Desk, end: int, *, quantity: int = 3) -> None:
    """Buy at PRICE + 20 ticks by a pair and leave at the stop (-20) or the target (+80) that `end` reaches."""
    desk.send(desk.pair(quantity=quantity))
    desk.minute(0, 25, 0, 22)
    desk.settle()
    desk.minute(22, max(22, end), min(22, end), end)
    desk.settle()
    desk.minute(0, 0, 0, 0)
    desk.look()


@pytest.fixture
def strategy(desk: Desk) -> Strategy:
    desk.strategy = Strategy.objects.create(
        name="overnight", kind="overnight_range", account=desk.account, symbol="MNQ", enabled=True
    )
    return desk.strategy


def test_a_day_with_a_win_and_a_loss_in_figures(desk, strategy):
    round_turn(desk, 85)  # target: +60 ticks x $0.50 x 3 = 90
    round_turn(desk, -25)  # stop: -40 ticks = -60
    day = reports.summary(desk.account, WEDNESDAY)
    assert (day.trades, day.won, day.gross, day.costs, day.net) == (2, 1, 30, D("7.32"), D("22.68"))
    assert (day.is_flat, day.denials, day.balance, day.floor) == (True, 0, D("50022.68"), 48_000)
    assert day.outcomes == (("overnight", "+$22.68, out by stop and target"),)
    assert day.facts["Trades"] == "2, 1 won (50 %)"
    assert day.facts["Fees"] == "-$7.32"
    assert day.facts["Room to the floor"] == "$2,022.68 (floor $48,000.00)"


def test_cancelled_and_unfilled_orders_are_no_trades(desk, strategy):
    for order in desk.send(desk.pair()):
        orders.request_cancel(order, by="test", now=desk.now)
        orders.cancel(order, now=desk.now)
    desk.settle()
    day = reports.summary(desk.account, WEDNESDAY)
    assert (day.trades, day.won, day.net, day.is_flat) == (0, 0, 0, True)
    assert day.outcomes == (("overnight", "its entries were not reached"),)


def test_one_entry_that_leaves_in_pieces_is_one_trade(desk):
    side = EntrySide(Side.BUY, OrderType.MARKET, None, 40)
    decision = desk.ask(EntryRequest(desk.spec, 3, (side,), reference=PRICE), Management())
    desk.send(decision)
    desk.settle()
    for quantity in (1, 2):
        orders.send(orders.exit(desk.account, desk.contract, quantity, now=desk.now, by="test"), now=desk.now)
        desk.settle()
    day = reports.summary(desk.account, WEDNESDAY)
    assert desk.account.trades.count() == 2
    assert (day.trades, day.net) == (1, D("-3.66"))


def test_an_open_position_is_said_loudly(desk, strategy):
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    desk.settle()
    go(desk, AFTER_CLOSE)
    row = reports.daily_report(desk.account, now=desk.now)
    assert (row.level, row.facts["Flat"]) == ("alert", "NO")
    assert "NOT flat" in row.body
    assert row.facts["overnight"] == "a position is still open"


def test_a_day_without_a_decision_says_so_and_one_with_a_denial_says_why(desk, strategy):
    assert reports.summary(desk.account, WEDNESDAY).outcomes == (
        ("overnight", "it did not decide anything: see `manage.py why`"),
    )
    Account.objects.update(max_lots=None)
    denial = desk.pair()
    day = reports.summary(desk.account, WEDNESDAY)
    assert (day.denials, day.outcomes) == (1, (("overnight", denial.sentence),))
    assert Decision.objects.count() == 1


def test_a_strategy_that_is_off_and_did_nothing_is_left_out(desk, strategy):
    Strategy.objects.update(enabled=False)
    assert reports.summary(desk.account, WEDNESDAY).outcomes == ()


def test_the_report_of_a_day_is_written_once_and_only_after_it(desk, strategy):
    assert reports.daily_report(desk.account, now=desk.now).title == "Tue 17 Nov 2026: no trade"
    round_turn(desk, 85)
    go(desk, AFTER_CLOSE)
    accounts.end_of_day(desk.account, now=desk.now)
    row = reports.daily_report(desk.account, now=desk.now)
    assert (row.kind, row.title, row.body) == ("summary", "Wed 18 Nov 2026: +$86.34 net", "")
    assert reports.daily_report(desk.account, now=desk.now) is None
    assert Notification.objects.filter(kind="summary").count() == 2
