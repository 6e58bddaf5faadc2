"""Fills by hand: MNQ costs 0.36 fees and 0.25 commission a side, a point is $2."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import pytest

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.records import Status
from tests.brokers.simulated.stage import BUY, LIMIT, MARKET, SELL, START, STOP, TRAILING, Stage


def test_a_market_order_fills_at_once_with_slippage_and_pays_its_costs():
    stage = Stage(Behaviour(slippage=2))
    order = stage.place(MARKET, BUY, 2)
    (fill,) = stage.fills
    assert (fill.price / 4, fill.quantity, fill.at, fill.profit) == (20000.5, 2, START, None)
    assert (fill.fees, fill.commissions) == (D("0.72"), D("0.50"))
    assert stage.balance == D("49998.78")
    assert stage.order(order).status is Status.FILLED


def test_a_market_order_within_a_minute_fills_where_the_path_has_come_to():
    stage = Stage()
    stage.market.add(stage.at, 20000, 20010, 20000, 20010)
    stage.wait(30)  # half way of ten points
    stage.place(MARKET, SELL)
    assert stage.prices == [20005]


def test_a_limit_fills_only_when_the_price_trades_through_it():
    stage = Stage()
    order = stage.place(LIMIT, BUY, limit_price=19990)
    stage.bar(20000, 20000, 19990, 19995)
    assert stage.order(order).status is Status.OPEN
    stage.bar(19995, 19995, 19989.75, 19992)
    assert stage.prices == [19990]


def test_a_stop_fills_at_its_price_plus_slippage_in_the_piece_that_reaches_it():
    stage = Stage(Behaviour(slippage=1))
    stage.place(STOP, BUY, stop_price=20010)
    stage.move(20000, 20012)  # one point every 5 seconds: 20010 is reached as the tenth piece ends
    assert stage.prices == [20010.25]
    assert stage.fills[0].at == START + timedelta(seconds=50) - timedelta(microseconds=1)  # still in that piece


def test_an_order_meets_nothing_that_was_before_it():
    stage = Stage()
    stage.market.add(stage.at, 20000, 20010, 19950, 19950)  # up 10, then down 60: at 20 s it is back at about 19997
    stage.wait(20)
    order = stage.place(STOP, BUY, stop_price=20005)
    stage.wait(40)
    assert stage.order(order).status is Status.OPEN


def test_an_order_placed_inside_a_piece_works_from_that_moment():
    stage = Stage(Behaviour(segments=1))
    stage.market.add(stage.at, 20000, 20010, 20000, 20010)
    stage.wait(7)
    stage.place(STOP, BUY, stop_price=20003)
    stage.wait(53)
    assert stage.prices == [20003]


def test_a_gap_fills_a_stop_at_the_open():
    stage = Stage()
    stage.place(STOP, SELL, stop_price=19995)
    stage.move(19980, 19985)
    assert stage.prices == [19980]


def test_legs_hang_on_the_fill_and_the_target_cancels_the_stop():
    stage = Stage(Behaviour(slippage=1))
    entry = stage.place(STOP, BUY, 3, stop_price=20010, custom_tag="a", sl=-40, tp=60)
    stop, target = stage.legs(entry)
    assert [(leg.status, leg.tag, leg.offset, leg.stop, leg.limit) for leg in (stop, target)] == [
        (Status.SUSPENDED, "a-SL", -40, None, None),
        (Status.SUSPENDED, "a-TP", 60, None, None),
    ]
    assert (target.linked_id, stop.linked_id, stop.parent_id) == (stop.id, None, entry)
    stage.move(20000, 20012)
    stop, target = stage.legs(entry)  # filled at 20010.25
    assert (stop.status, stop.stop, target.status, target.limit) == (Status.OPEN, 80001, Status.OPEN, 80101)
    stage.move(20012, 20026)  # through 20025.25
    assert stage.prices == [20010.25, 20025.25]
    assert [leg.status for leg in stage.legs(entry)] == [Status.CANCELLED, Status.FILLED]
    # 15 points x 3 x $2 = $90, costs 6 x 0.61
    assert (stage.fills[-1].profit, stage.balance, stage.position) == (D(90), D("50086.34"), None)


def test_the_stop_cancels_the_target():
    stage = Stage()
    entry = stage.place(MARKET, SELL, sl=40, tp=-60)
    stage.move(20000, 20011)
    assert stage.prices == [20000, 20010]
    assert [leg.status for leg in stage.legs(entry)] == [Status.FILLED, Status.CANCELLED]
    assert stage.fills[-1].profit == D(-20)


def test_a_whole_bar_that_reaches_both_legs_fills_the_stop():
    stage = Stage(Behaviour(segments=1))
    stage.place(MARKET, BUY, sl=-40, tp=40)
    stage.bar(20000, 20011, 19989, 20000)
    assert stage.prices == [20000, 19990]


def test_cancelling_an_entry_takes_its_suspended_legs_along():
    stage = Stage()
    entry = stage.place(LIMIT, BUY, limit_price=19990, sl=-40, tp=40)
    stage.cancel(entry)
    assert [order.status for order in (stage.order(entry), *stage.legs(entry))] == [Status.CANCELLED] * 3


def test_cancelling_the_stop_by_hand_leaves_the_target():
    stage = Stage()
    stop, target = stage.legs(stage.place(MARKET, BUY, sl=-40, tp=40))
    stage.cancel(stop.id)
    assert (stage.order(stop.id).status, stage.order(target.id).status) == (Status.CANCELLED, Status.OPEN)


def test_a_partly_filled_entry_is_protected_for_what_it_has():
    stage = Stage(Behaviour(partial=2))
    entry = stage.place(MARKET, BUY, 5, sl=-40, tp=40)
    order, (stop, target) = stage.order(entry), stage.legs(entry)
    assert (order.status, order.filled, stop.size, target.size) == (Status.OPEN, 2, 2, 2)
    stage.bar(20000, 20001, 20000, 20001)  # two more in the first piece, one in the second
    order, (stop, target) = stage.order(entry), stage.legs(entry)
    assert (order.status, order.filled, stop.size, target.size) == (Status.FILLED, 5, 5, 5)
    assert [fill.quantity for fill in stage.fills] == [2, 2, 1]


def test_a_partly_filled_leg_shrinks_its_sibling():
    stage = Stage(Behaviour(partial=2))
    entry = stage.place(MARKET, BUY, 3, sl=-40, tp=40)
    stage.move(20000, 20000)
    stage.market.add(stage.at, 20000, 20012, 20000, 20012)
    stage.wait(55)  # through 20010 in the piece that ends here
    stop, target = stage.legs(entry)
    assert (target.filled, target.status, stop.size, stop.status) == (2, Status.OPEN, 1, Status.OPEN)
    stage.wait(5)
    assert [leg.status for leg in stage.legs(entry)] == [Status.CANCELLED, Status.FILLED]
    assert stage.position is None


def test_a_leg_that_ends_early_cancels_what_its_entry_lacks():
    stage = Stage(Behaviour(partial=1, segments=1))
    entry = stage.place(LIMIT, BUY, 5, limit_price=19990, sl=-4, tp=40)
    stage.bar(20000, 20000, 19980, 19980)
    assert stage.prices == [19990, 19989]
    assert (stage.order(entry).filled, stage.order(entry).status) == (1, Status.CANCELLED)


def test_legs_cover_what_is_open_while_the_entry_still_fills():
    stage = Stage(Behaviour(partial=1, segments=1))
    entry = stage.place(MARKET, BUY, 5, sl=-4, tp=40)
    stage.bar(20000, 20000, 19990, 19990)  # one more at the open, then the stop of both gets its first
    stop, target = stage.legs(entry)
    assert (stage.order(entry).filled, stop.filled, stop.remaining, target.remaining) == (2, 1, 1, 1)
    stage.bar(20000, 20000, 20000, 20000)
    stop, target = stage.legs(entry)
    assert (stage.order(entry).filled, stop.remaining, target.remaining) == (3, 2, 2)
    assert stage.position is not None
    assert stage.position.quantity == 2


def test_a_trailing_stop_follows_and_fires():
    stage = Stage()
    stage.place(MARKET, BUY)
    order = stage.place(TRAILING, SELL, trail_price=19990)
    assert (stage.order(order).trail, stage.order(order).stop) == (40, 79960)
    stage.move(20000, 20020)
    assert stage.order(order).stop == 80040
    stage.move(20020, 20005)
    assert stage.prices == [20000, 20010]


def test_join_bid_rests_at_the_last_price_and_join_ask_one_tick_above():
    stage = Stage()
    bid, ask = stage.place(6, BUY), stage.place(7, SELL)
    assert (stage.order(bid).limit, stage.order(ask).limit) == (80000, 80001)
    stage.bar(20000, 20001, 19999, 20000)
    assert sorted(stage.prices) == [20000, 20000.25]


def test_positions_net_and_average_by_size():
    stage = Stage()
    stage.place(MARKET, BUY, 1)
    stage.move(20000, 20003)
    stage.place(MARKET, BUY, 2)  # (20000 + 2 x 20003) / 3 = 20002
    assert stage.position is not None
    assert (stage.position.quantity, stage.position.average) == (3, 80008)
    stage.place(MARKET, SELL, 5)  # closes 3 with a profit of 3 points, opens a short of 2
    assert (stage.position.quantity, stage.position.average) == (-2, 80012)
    assert [fill.profit for fill in stage.fills] == [None, None, D(6)]


def test_working_orders_expire_at_the_close():
    stage = Stage(start=START + timedelta(hours=7, minutes=25))  # 16:55 New York
    stage.place(MARKET, BUY)
    entry = stage.place(LIMIT, BUY, limit_price=19000, sl=-40)
    stage.wait(3600)
    assert [order.status for order in (stage.order(entry), *stage.legs(entry))] == [Status.EXPIRED] * 2
    assert stage.position is not None


def test_working_orders_may_survive_the_close():
    stage = Stage(Behaviour(expire=False), start=START + timedelta(hours=7, minutes=25))
    order = stage.place(LIMIT, BUY, limit_price=19000)
    stage.wait(3600)
    assert stage.order(order).status is Status.OPEN


def test_closing_leaves_the_legs_working_unless_the_venue_is_told_otherwise():
    for behaviour, expected in ((Behaviour(), Status.OPEN), (Behaviour(legs_after_close=0), Status.CANCELLED)):
        stage = Stage(behaviour)
        entry = stage.place(MARKET, BUY, 2, sl=-40, tp=40)
        stage.close()
        assert stage.position is None
        assert [leg.status for leg in stage.legs(entry)] == [expected] * 2


def test_a_close_may_take_the_legs_along_some_seconds_later():
    stage = Stage(Behaviour(legs_after_close=2.5))
    entry = stage.place(MARKET, BUY, 2, sl=-40, tp=40)
    stage.close()
    stage.wait(2.4)
    assert [leg.status for leg in stage.legs(entry)] == [Status.OPEN] * 2
    stage.wait(0.1)
    assert [leg.status for leg in stage.legs(entry)] == [Status.CANCELLED] * 2


def test_an_order_that_is_pending_works_after_its_seconds_and_not_before():
    stage = Stage(Behaviour(pending=2))
    entry = stage.place(MARKET, BUY, sl=-40, tp=40)
    cancelled = stage.place(LIMIT, BUY, limit_price=20005)
    stage.market.add(stage.at, 20000, 20030, 20000, 20030)  # half a point a second
    stage.wait(1.5)
    assert (stage.order(entry).status, stage.fills) == (Status.PENDING, [])
    stage.cancel(cancelled)
    stage.wait(0.5)
    assert (stage.order(entry).status, stage.prices) == (Status.FILLED, [20001])
    assert [leg.status for leg in stage.legs(entry)] == [Status.OPEN] * 2
    assert stage.order(cancelled).status is Status.CANCELLED


def test_a_pending_order_of_a_venue_that_was_restarted_works(tmp_path):
    stage = Stage(Behaviour(pending=2), ledger=tmp_path / "ledger.sqlite3")
    order = stage.place(LIMIT, BUY, limit_price=19990)
    stage.venue.shut()
    stage.venue = Venue(Ledger(tmp_path / "ledger.sqlite3"), stage.market, Behaviour(pending=2))
    stage.wait(2)
    assert stage.order(order).status is Status.OPEN


def test_a_close_is_an_untagged_market_order_of_the_other_side():
    stage = Stage()
    stage.place(MARKET, SELL, 3, custom_tag="a")
    stage.close(2)
    order = stage.order(stage.fills[-1].order_id)
    assert (order.tag, order.size, order.side, order.type) == (None, 2, 1, MARKET)
    assert stage.position is not None
    assert stage.position.quantity == -1


def test_a_stop_behind_the_market_fills_at_once_where_it_is_accepted():
    stage = Stage(Behaviour(wrong_side_stops="accepted"))
    stage.place(STOP, BUY, stop_price=19990)
    stage.move(20001, 20001)
    assert stage.prices == [20001]


@pytest.mark.parametrize("segments", [1, 2, 12, 60])
def test_the_day_ends_the_same_however_often_the_venue_is_asked(segments):
    rough, fine = Stage(Behaviour(segments=segments)), Stage(Behaviour(segments=segments))
    for stage in (rough, fine):
        stage.place(STOP, BUY, 2, stop_price=20004, sl=-12, tp=16)
        for step in range(10):
            stage.market.add(START + timedelta(minutes=step), 20000, 20003 + step, 19997 - step, 20001)
    for _ in range(6000):
        fine.wait(0.1)
    rough.wait(600)
    assert rough.fills
    assert [(f.at, f.price, f.quantity) for f in rough.fills] == [(f.at, f.price, f.quantity) for f in fine.fills]
