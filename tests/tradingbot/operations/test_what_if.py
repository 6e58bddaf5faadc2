"""What-if of an account: from its booked trades, its own rules and where it stands."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import pytest

from backtest.what_if import Settings
from market.orders import Side
from tests.factories import NOW, StrategyFactory, calendar_days
from tests.tradingbot.operations.fillings import Filling
from tradingbot.models import Account, Contract, Fill, Trade
from tradingbot.operations import backtests, what_if

TURN = D("1.22")


@pytest.fixture
def filling(account, contract) -> Filling:
    calendar_days()
    return Filling(account, contract)


def history(account: Account, contract: Contract, count: int) -> None:
    """Write `count` closed trades, two a session, which win and lose in turn."""
    for number in range(count):
        at = NOW - timedelta(days=count // 2 - number // 2, minutes=-number % 2 * 10)
        fills = [
            Fill.objects.create(
                account=account, contract=contract, broker_trade_id=2 * number + side, broker_order_id=1,
                session_date=at.date(), at=at, side=1 - 2 * side, quantity=1, price=100, fees=0, commissions=0,
            )
            for side in (0, 1)
        ]  # fmt: skip
        net = D(200 if number % 2 else -150)
        Trade.objects.create(
            account=account, contract=contract, entry_fill=fills[0], exit_fill=fills[1], session_date=at.date(),
            direction=1, quantity=1, entry_price=100, exit_price=101, entered_at=at, exited_at=at, gross=net + TURN,
            fees=TURN, commissions=0, net=net,
        )  # fmt: skip


def test_pieces_of_an_entry_are_one_trade(filling):
    anna = StrategyFactory(account=filling.account, name="anna")
    entry = filling.entry(Side.BUY, 2, "100", anna)
    filling.leg(entry, "110", 1)
    filling.leg(entry, "90", 1)
    (trade,) = what_if.traded(filling.account)
    assert (trade.quantity, trade.gross, trade.costs, trade.strategy) == (2, 0, 2 * TURN, "anna")


def test_the_account_as_it_was_and_as_it_would_have_been(filling):
    anna = StrategyFactory(account=filling.account, name="anna")
    for sold in ("90", "90", "200"):
        filling.turn(anna, "100", sold)
    found = what_if.compare(filling.account, Settings(stop_after_losses=2), rules=None, now=filling.at)
    assert (found.before.figures.net, found.after.figures.net) == (160 - 3 * TURN, -40 - 2 * TURN)
    assert (found.odds, found.why) == (None, "3 trades are too few to tell odds, 30 are needed")
    with pytest.raises(ValueError, match="has closed no trade"):
        what_if.compare(filling.account, Settings(), rules=None, first=filling.at.date() + timedelta(1), now=filling.at)


def test_odds_are_told_from_where_the_account_stands(filling):
    account = filling.account
    Account.objects.update(name="50KTC-1", stage="combine", start_balance=50_000, highest_eod_balance=50_000)
    Account.objects.update(maximum_loss=2_000, balance=50_000, session_start_balance=50_000)
    account.refresh_from_db()
    history(account, filling.contract, 400)
    found = what_if.compare(account, Settings(size=2), rules=None, now=filling.at)
    assert (found.odds[0].trades, found.odds[0].paths, found.why) == (400, 4_000, "")
    assert found.odds[0].breaches < found.odds[1].breaches
    Account.objects.update(balance=48_250)
    account.refresh_from_db()
    near = what_if.compare(account, Settings(size=2), rules=None, now=filling.at)
    assert near.odds[0].breaches_today < near.odds[1].breaches_today
    assert near.odds[0].breaches > found.odds[0].breaches
    assert what_if.odds(account, now=filling.at) == (near.odds[0], "")
    fresh = what_if.compare(account, Settings(), rules=backtests.rules_of("combine-150", NOW.date()), now=filling.at)
    assert fresh.odds[0].breaches < near.odds[0].breaches


def test_without_limits_there_are_no_odds_and_it_says_why(filling):
    history(filling.account, filling.contract, 40)
    Account.objects.update(maximum_loss=None)
    filling.account.refresh_from_db()
    found = what_if.compare(filling.account, Settings(), rules=None, now=filling.at)
    assert (found.odds, found.why) == (None, "start balance or maximum loss of the account are not set")
    assert what_if.odds(filling.account, now=filling.at)[1].endswith("are not known")


def test_odds_are_drawn_once_until_a_trade_or_the_standing_changes(filling):
    account = filling.account
    Account.objects.update(name="50KTC-1", stage="combine", start_balance=50_000, highest_eod_balance=50_000)
    Account.objects.update(maximum_loss=2_000, balance=50_000, session_start_balance=50_000)
    account.refresh_from_db()
    history(account, filling.contract, 40)
    told, why = what_if.odds(account, now=filling.at)
    assert (told.trades, why) == (40, "")
    assert what_if.odds(account, now=filling.at)[0] is told
    account.balance = D(49_000)
    lower, _ = what_if.odds(account, now=filling.at)
    assert lower.breaches > told.breaches
    account.balance = D(50_000)
    Trade.objects.order_by("-pk").first().delete()
    assert what_if.odds(account, now=filling.at)[0].trades == 39
