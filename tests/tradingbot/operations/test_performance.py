"""Statistics of accounts and strategies: kept with each trade, the same when everything is computed again."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D

import pytest

from market.orders import OrderType, Role, Side
from tests.factories import NOW, StrategyFactory, calendar_days
from tests.tradingbot.operations.fillings import Filling
from tradingbot.models import DayResult, Fill, Position, Trade
from tradingbot.operations import performance, rebuilding

BUY, SELL = Side.BUY, Side.SELL
TURN = D("1.22")
WEDNESDAY = date(2026, 11, 18)
LATER = NOW + timedelta(days=10)


@pytest.fixture
def filling(account, contract) -> Filling:
    return Filling(account, contract)


@pytest.fixture
def traded(filling, account) -> Filling:
    """Anna wins on Wednesday and loses on Friday, Bert loses on Thursday and Friday, a person once."""
    calendar_days()
    anna, bert = (StrategyFactory(account=account, name=name) for name in ("anna", "bert"))
    filling.turn(anna, "100", "150")
    filling.at += timedelta(days=1)
    filling.turn(bert, "100", "90")
    filling.at += timedelta(days=1)
    filling.turn(anna, "100", "80")
    filling.turn(bert, "100", "95")
    filling.fill(BUY, 1, "100")
    filling.fill(SELL, 1, "101")
    return filling


def test_an_account_is_the_sum_of_its_strategies_with_the_days_between(traded):
    found = performance.of_account(traded.account)
    assert [(day.session_date.day, day.net) for day in found.days] == [
        (18, 100 - TURN),
        (19, -20 - TURN),
        (20, -48 - 3 * TURN),
    ]
    assert {name: sum(day.net for day in days) for name, days in found.parts.items()} == {
        "anna": 60 - 2 * TURN,
        "bert": -30 - 2 * TURN,
        "by hand": 2 - TURN,
    }
    assert (found.figures.trades, found.figures.won, found.figures.net) == (5, 2, 32 - 5 * TURN)
    assert found.figures.fall.peak == WEDNESDAY
    assert found.causes[0] == ("anna", date(2026, 11, 20), -40 - TURN)
    assert [(hour.hour, hour.trades, hour.costs) for hour in found.hours] == [(9, 5, 5 * TURN)]
    assert 0 < found.figures.exposure < 0.01


def test_a_strategy_counts_the_sessions_between_its_trades(traded):
    anna = Trade.objects.filter(strategy__name="anna").first().strategy
    found = performance.of_strategy(anna)
    assert [(day.session_date.day, day.trades) for day in found.days] == [(18, 1), (19, 0), (20, 1)]
    assert (found.figures.sessions, found.figures.sessions_traded, found.figures.average_risk) == (3, 2, 20)


def test_an_account_without_a_trade_is_empty(filling):
    found = performance.of_account(filling.account)
    assert (found.days, found.causes, found.hours, found.figures.trades) == ([], [], [], 0)


def test_a_rebuild_gives_the_same_numbers(traded):
    found = rebuilding.compare(traded.account, now=LATER)
    assert (found.fills, found.trades, found.days, found.net, found.changes) == (10, 5, 5, 32 - 5 * TURN, [])
    rebuilding.write(traded.account, now=LATER)
    assert rebuilding.compare(traded.account, now=LATER).changes == []


def test_a_rebuild_finds_what_was_tampered_with_and_repairs_it(traded):
    before = [list(model.objects.order_by("pk").values()) for model in (Trade, DayResult)]
    Trade.objects.filter(net=100 - TURN).update(net=1_000)
    gone = DayResult.objects.get(session_date=date(2026, 11, 19))
    gone.delete()
    Position.objects.update(quantity=7)
    changes = rebuilding.compare(traded.account, now=LATER).changes
    assert [(change.figure, change.stored, change.computed) for change in changes] == [
        ("quantity", 7, 0),
        ("net", 1_000, 100 - TURN),
        ("net", None, -20 - TURN),
    ]
    rebuilding.write(traded.account, now=LATER)
    assert rebuilding.compare(traded.account, now=LATER).changes == []
    after = [list(model.objects.order_by("pk").values()) for model in (Trade, DayResult)]
    assert after[0] == before[0]
    assert sorted(row["net"] for row in after[1]) == sorted(row["net"] for row in before[1])


def test_booking_a_fill_sums_no_other_day_anew(traded, django_assert_max_num_queries):
    filling = traded
    anna = Trade.objects.filter(strategy__name="anna").first().strategy
    filling.at += timedelta(days=3)
    entry = filling.entry(BUY, 1, "100", anna)
    leg = filling.order(Role.STOP, SELL, 1, strategy=anna, parent=entry, type=OrderType.STOP, stop_price=D(90))
    report = filling.report(SELL, 1, "90", order=leg)
    DayResult.objects.update(net=0)  # would be repaired by a full sum
    with django_assert_max_num_queries(26):
        filling.book(report)
    assert DayResult.objects.exclude(net=0).values_list("session_date", "net").get() == (
        filling.at.date(),
        -20 - TURN,
    )


def test_measured_costs_are_those_of_real_fills_and_orders(traded):
    order = traded.order(Role.ENTRY, BUY, 2, type=OrderType.STOP, stop_price=D(100))
    traded.fill(BUY, 2, "100.50", order=order)
    found = performance.measured("MNQ")
    assert (found.costs, found.slippage, found.fills, found.orders) == (D("0.61"), 2, 11, 1)
    Fill.objects.update(estimated=True)
    assert performance.measured("MNQ") is None


def test_the_slippage_of_a_strategy_is_its_own_once_it_has_enough_orders(traded):
    anna = Trade.objects.filter(strategy__name="anna").first().strategy
    late = {"type": OrderType.STOP, "stop_price": D(100)}
    for _ in range(performance.LEAST_ORDERS):
        by_hand, own = (traded.order(Role.ENTRY, BUY, 1, strategy=strategy, **late) for strategy in (None, anna))
        traded.fill(BUY, 1, "101.00", order=by_hand)
        traded.fill(BUY, 1, "100.00", order=own)
    told = performance.measured("MNQ", kind=anna.kind)
    assert (told.slippage, told.orders) == (0, performance.LEAST_ORDERS)
    everything = performance.measured("MNQ", kind="ema_cross")
    assert (everything.slippage, everything.orders) == (2, 2 * performance.LEAST_ORDERS)


def test_an_hour_with_enough_own_orders_has_its_own_slippage_and_the_others_the_strategys(traded):
    anna = Trade.objects.filter(strategy__name="anna").first().strategy
    late = {"type": OrderType.STOP, "stop_price": D(100), "strategy": anna}
    for hour, price, orders in ((0, "100.50", 20), (2, "101.00", 19), (3, "101.50", 1)):  # 2, 4 and 6 ticks late
        traded.at = NOW + timedelta(days=1, hours=hour)
        for _ in range(orders):
            traded.fill(BUY, 1, price, order=traded.order(Role.ENTRY, BUY, 1, **late))
    told = performance.measured("MNQ", kind=anna.kind)
    assert (told.slippage, told.orders, told.own, told.hours) == (3, 40, True, {9: (2, 20)})
    assert told.hourly == tuple(2 if hour == 9 else 3 for hour in range(24))
    assert told.source == "measured by hour of New York: 09:00 2 ticks of 20 own orders; else 3 ticks of 40 own orders"
    other = performance.measured("MNQ", kind="ema_cross")
    assert (other.slippage, other.own, other.hourly) == (3, False, ())
    assert other.source == "measured: 3 ticks of 40 orders of every strategy"


def test_while_no_order_has_told_its_slippage_it_is_the_tables_tick(traded):
    told = performance.measured("MNQ")
    assert (told.slippage, told.orders, told.hourly) == (1, 0, ())
    assert told.source.endswith("from the table, no order has told any")
