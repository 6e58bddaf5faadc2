"""Trades from fills: partials, flips, voids, days; whose they are; what they cost until the venue says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from random import Random

import pytest

from market.orders import OrderType, Role, Side
from tests.factories import StrategyFactory
from tests.tradingbot.operations.fillings import COMMISSION, Filling
from tradingbot.models import DayResult, Fill, Notification, Order, Position, Trade
from tradingbot.operations import trades

BUY, SELL = Side.BUY, Side.SELL
TURN = D("1.22")  # MNQ, entry and exit


@pytest.fixture
def filling(account, contract) -> Filling:
    return Filling(account, contract)


@pytest.fixture
def anna(account):
    return StrategyFactory(account=account, name="anna")


@pytest.fixture
def bert(account):
    return StrategyFactory(account=account, name="bert")


def position(filling: Filling) -> Position:
    return Position.objects.get(account=filling.account)


def rows() -> list[dict]:
    """Everything that is computed from fills, without the keys of the rows."""
    trades_ = Trade.objects.order_by("entry_fill", "exit_fill").values()
    days = DayResult.objects.order_by("session_date", "strategy").values()
    return [{k: v for k, v in row.items() if k != "id"} for row in (*trades_, *days)]


def test_the_tenth_round_turn_of_a_day_takes_as_many_queries_as_the_second(
    filling, anna, django_assert_max_num_queries
):
    filling.turn(anna, "100", "101")
    with django_assert_max_num_queries(60) as few:
        filling.turn(anna, "100", "102")
    for _ in range(7):
        filling.turn(anna, "100", "101")
    with django_assert_max_num_queries(len(few)):
        filling.turn(anna, "100", "102")
    assert len(filling.nets(anna)) == 10


def test_an_entry_in_parts_that_leaves_in_parts_is_one_trade_of_the_day(filling, anna):
    entry = filling.order(Role.ENTRY, BUY, 3, strategy=anna)
    filling.fill(BUY, 1, "100", order=entry)
    filling.fill(BUY, 2, "101", order=entry)
    filling.leg(entry, "110", 2, Role.TARGET)
    assert (position(filling).quantity, filling.days()) == (1, [("anna", 1, D("38.00") - 2 * TURN)])  # 20 + 18
    filling.leg(entry, "95", 1)
    assert filling.nets(anna) == [20 - TURN, 18 - TURN, -12 - TURN]
    assert filling.days() == [("anna", 1, D("26.00") - 3 * TURN)]
    row = DayResult.objects.get()
    assert (row.won, row.lost, row.risk, row.risked, row.held) == (1, 0, 60, 1, 3 * 60)


def test_a_flip_closes_one_trade_and_opens_another(filling, anna):
    entry = filling.entry(BUY, 1, "100", anna)
    filling.leg(entry, "104", 3)
    assert (position(filling).quantity, position(filling).average_price) == (-2, 104)
    filling.fill(BUY, 2, "103")
    assert filling.nets(anna) == [8 - TURN, 4 - 2 * TURN]


def test_a_fill_voided_after_its_trade_takes_the_trade_and_the_result_with_it(filling, anna):
    filling.turn(anna, "100", "110")
    before = rows()
    gone = filling.fill(BUY, 1, "100")
    filling.fill(SELL, 1, "90")
    assert filling.days() == [("anna", 1, 20 - TURN), ("by hand", 1, -20 - TURN)]
    for report in (gone, filling.reports[-1]):
        assert filling.book(replace(report, voided=True))
        assert not filling.book(replace(report, voided=True))
    assert (rows(), position(filling).quantity) == (before, 0)
    assert Notification.objects.filter(title__startswith="Fill voided").count() == 2


def test_a_void_of_yesterday_opens_again_what_was_settled(filling, anna):
    filling.turn(anna, "100", "110")
    filling.at += timedelta(days=1)
    filling.turn(anna, "100", "105")
    assert position(filling).booked_from == filling.reports[2].at
    assert filling.book(replace(filling.reports[1], voided=True))  # yesterday's exit never was
    assert (position(filling).quantity, filling.nets(anna)) == (1, [10 - TURN])
    assert Trade.objects.get().entered_at == filling.reports[0].at


def test_a_position_is_held_over_many_days(filling, anna):
    entry = filling.entry(BUY, 1, "100", anna)
    for _ in range(3):
        filling.at += timedelta(days=7)
        filling.turn(None, "100", "101")
    assert position(filling).booked_from is None
    filling.leg(entry, "120")
    assert filling.nets(anna) == [40 - TURN]
    filling.at += timedelta(days=1)
    filling.turn(anna, "100", "101")
    assert position(filling).booked_from == filling.reports[-2].at


def test_two_strategies_a_person_and_a_foreign_order_on_one_contract(filling, anna, bert):
    long = filling.entry(BUY, 2, "100", anna)
    short = filling.entry(SELL, 1, "110", bert)
    filling.entry(BUY, 1, "104")  # typed by a person
    filling.fill(BUY, 1, "105")  # at the platform
    assert (position(filling).quantity, filling.nets()) == (3, [])
    filling.leg(long, "103")
    filling.leg(short, "108")
    assert (filling.nets(anna), filling.nets(bert)) == ([12 - 2 * TURN], [4 - TURN])
    filling.fill(SELL, 2, "106")  # a flatten: by hand is what is left
    assert filling.days() == [("anna", 1, 12 - 2 * TURN), ("bert", 1, 4 - TURN), ("by hand", 2, 6 - 2 * TURN)]
    assert (position(filling).quantity, Trade.objects.filter(strategy=None).count()) == (0, 2)


def test_any_order_of_arrival_gives_the_same_rows(filling, anna, bert):
    orders = [filling.order(Role.ENTRY, side, 9, strategy=s) for side, s in ((BUY, anna), (SELL, bert))]
    reports = []
    for number in range(8):
        order = (*orders, None)[number % 3]
        reports.append(
            filling.report(Side(order.side) if order else BUY, 1 + number % 2, f"{100 + number}", order=order)
        )
    reports[3] = replace(reports[3], at=reports[2].at)  # of one instant
    found = []
    for seed in range(3):
        Trade.objects.all().delete()
        DayResult.objects.all().delete()
        Fill.objects.all().delete()
        Position.objects.all().delete()
        Order.objects.filter(role=Role.ENTRY).update(filled=0, status="working")
        Random(seed).shuffle(reports)
        for report in reports:
            filling.book(report)
        booked = Trade.objects.values_list("entry_fill__broker_trade_id", "exit_fill__broker_trade_id", "net")
        found.append((sorted(booked), filling.days(), position(filling).quantity))
    assert found[0] == found[1] == found[2]
    assert found[0][0]


def test_a_commission_that_the_venue_leaves_out_is_estimated_and_corrected_when_it_comes(filling, anna):
    entry = filling.order(Role.ENTRY, BUY, 2, strategy=anna)
    told = filling.report(BUY, 2, "100", order=entry)
    silent = replace(told, commissions=None)
    assert filling.book(silent)
    assert not filling.book(silent)
    assert Fill.objects.values_list("commissions", "estimated").get() == (2 * COMMISSION, True)
    filling.leg(entry, "110")
    assert filling.nets() == [40 - 2 * TURN]
    assert filling.book(replace(told, commissions=D("0.90")))
    assert filling.nets() == [D("40.00") - 2 * TURN - D("0.40")]
    assert filling.days() == [("anna", 1, filling.nets()[0])]
    assert not filling.book(silent)
    assert Fill.objects.filter(estimated=True).count() == 0


def test_a_fee_that_the_venue_changes_is_taken_over(filling, anna):
    filling.turn(anna, "100", "110")
    assert filling.book(replace(filling.reports[0], fees=D("0.40")))
    assert filling.nets() == [20 - TURN - D("0.04")]


def test_only_the_fills_that_may_still_matter_are_read(filling, anna, django_assert_max_num_queries):
    for _ in range(4):
        filling.turn(anna, "100", "110")
        filling.at += timedelta(days=1)
    row = position(filling)
    with django_assert_max_num_queries(5):  # contract, fills, position, exposure, trades
        trades.rebuild(row)
    assert row.booked_from == filling.reports[-2].at


def test_slippage_is_told_in_ticks_and_dollars_against_what_was_intended(filling, anna):
    entry = filling.order(Role.ENTRY, BUY, 2, strategy=anna, type=OrderType.STOP, stop_price=D(100))
    filling.fill(BUY, 2, "100.50", order=entry)
    entry.refresh_from_db()
    assert (entry.slippage_ticks, entry.slippage) == (2, 2)  # 2 ticks x $0.50 x 2
    target = filling.order(Role.TARGET, SELL, 2, parent=entry, type=OrderType.LIMIT, limit_price=D(110))
    filling.fill(SELL, 2, "110.25", order=target)
    target.refresh_from_db()
    assert (target.slippage_ticks, target.slippage) == (-1, -1)
    market = filling.order(Role.ENTRY, SELL, 1, reference_price=D(110))
    assert (market.slippage_ticks, market.slippage) == (None, None)
    filling.fill(SELL, 1, "109", order=market)
    market.refresh_from_db()
    assert (market.slippage_ticks, market.slippage) == (4, 2)
