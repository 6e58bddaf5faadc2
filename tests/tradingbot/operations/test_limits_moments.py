"""Limits are held against a balance and positions of one moment: what was closed counts once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db.models.functions import Now

from brokers.base import PlaceOrder
from market.orders import OrderType, Side
from tests.tradingbot.operations.ledgers import BusyBroker, open_desk
from tests.tradingbot.operations.orders.desk import PRICE, Desk
from tradingbot.models import Account, PersonalRules, TradingState
from tradingbot.operations import accounts, bars, limits_watch, reconciliation, venues
from tradingbot.operations.streaming import watching

COSTS = 10 * D("0.61")  # five contracts in and out


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """Five contracts bought at PRICE on an account whose daily loss limit is 1,000 dollars: 10 dollars a point."""
    desk = open_desk("50KTC-V2-DLL-1")
    desk.minute(0, 0, 0, 0)
    order(desk, Side.BUY, 5)
    desk.minute(0, 0, 0, 0)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    desk.look()
    yield desk
    venues.forget()


def order(desk: Desk, side: Side, quantity: int, *, stop: int | None = None) -> None:
    """Place an order at the platform; `stop` in ticks from PRICE, without it at the market."""
    desk.broker.place(
        PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag=f"hand-{desk.now}",
            side=side,
            type=OrderType.MARKET if stop is None else OrderType.STOP,
            quantity=quantity,
            stop_price=None if stop is None else desk.spec.price(PRICE + stop),
        )
    )


def fall(desk: Desk, points: int) -> None:
    """Let the price fall until a stop so far below is filled, and the bars show it."""
    order(desk, Side.SELL, 5, stop=-4 * points)
    desk.minute(0, 0, -4 * points, -4 * points)
    bars.fetch(desk.contract, now=desk.now)


def rise(desk: Desk, points: int) -> None:
    desk.minute(4 * points, 4 * points, 4 * points, 4 * points)
    bars.fetch(desk.contract, now=desk.now)


def refresh(desk: Desk) -> Account:
    accounts.refresh(desk.account, now=desk.now)
    return desk.account


def check(desk: Desk) -> str:
    desk.account.refresh_from_db()
    return limits_watch.check(desk.account, now=desk.now)


def test_a_stop_that_filled_before_the_balance_was_read_counts_once(desk):
    fall(desk, 60)
    account = refresh(desk)
    assert (account.trading_state, account.day_profit) == (TradingState.ACTIVE, -600 - COSTS)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert check(desk) == ""


def test_a_loss_that_reaches_the_limit_is_found_by_the_same_read(desk):
    fall(desk, 100)
    assert refresh(desk).state_reason.startswith("Daily loss limit reached: -1,006.10 of -1,000.00")


def test_a_winner_that_closed_since_the_balance_was_read_is_no_loss_from_the_peak(desk):
    row = PersonalRules.objects.create(account=desk.account, daily_loss=300, trailing=True)
    rise(desk, 48)
    check(desk)
    rise(desk, 50)
    order(desk, Side.SELL, 5)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert check(desk) == ""
    row.refresh_from_db()
    assert (row.peak, refresh(desk).day_profit) == (500 - COSTS, 500 - COSTS)
    row.refresh_from_db()
    assert row.peak == 500 - COSTS


def test_a_loser_that_closed_since_the_balance_was_read_is_found_before_it_is_read_again(desk):
    fall(desk, 100)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert check(desk).startswith("Daily loss limit reached: -1,006.10")


def test_quotes_are_held_against_what_is_left_of_the_balance(desk):
    order(desk, Side.SELL, 3)
    rise(desk, 0)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    (watch,) = watching.watches(desk.account.login, now=desk.now)
    assert (watch.balance, watch.holdings[0].quantity) == (50_000 - 8 * D("0.61"), 2)


def test_a_balance_that_is_never_of_one_moment_is_taken_once_the_other_is_too_old(desk):
    """Ninety seconds are what the gate allows a balance: a loss that no execution tells is not unseen for longer."""
    before = desk.account.balance
    venues.use(desk.account.login, BusyBroker(desk.venue, lambda: desk.now))
    assert refresh(desk).balance == before
    Account.objects.update(balance_read_at=Now() - timedelta(seconds=91))
    desk.account.refresh_from_db()
    assert refresh(desk).balance < before
