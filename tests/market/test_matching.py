from dataclasses import replace

import pytest

from market.bars import Bar
from market.matching import Fill, Outcome, Resting, step
from market.orders import OrderType, Side

BUY, SELL = Side.BUY, Side.SELL


def bar(opening: int, high: int, low: int, close: int) -> Bar:
    return Bar(0, opening, high, low, close)


def market(number: int, side: Side) -> Resting:
    return Resting(number, side, OrderType.MARKET, 3)


def stop(number: int, side: Side, price: int, sibling: int | None = None) -> Resting:
    return Resting(number, side, OrderType.STOP, 3, price, sibling=sibling)


def limit(number: int, side: Side, price: int, sibling: int | None = None) -> Resting:
    return Resting(number, side, OrderType.LIMIT, 3, price, sibling=sibling)


def bracket(entry: Resting, stop_ticks: int, target_ticks: int) -> list[Resting]:
    """Return `entry` with a stop leg (number 10 times as large) and a target leg (plus 1)."""
    side, stop_id = entry.side.opposite, 10 * entry.id
    leg = Resting(stop_id, side, OrderType.STOP, 3, None, entry.id, -entry.side * stop_ticks, stop_id + 1)
    target = Resting(stop_id + 1, side, OrderType.LIMIT, 3, None, entry.id, entry.side * target_ticks, stop_id)
    return [entry, leg, target]


def fills(outcome: Outcome) -> list[tuple[int, int]]:
    return [(fill.order_id, fill.price) for fill in outcome.fills]


def ids(orders: tuple[Resting, ...]) -> list[int]:
    return [order.id for order in orders]


@pytest.mark.parametrize(
    ("order", "expected"),  # on a bar 100, 110, 90, 105 with two ticks of slippage
    [
        (market(1, BUY), 102),
        (market(1, SELL), 98),
        (stop(1, BUY, 110), 112),  # a touch is enough for a stop
        (stop(1, BUY, 111), None),
        (stop(1, SELL, 90), 88),
        (stop(1, SELL, 89), None),
        (stop(1, BUY, 95), 102),  # the open is through it: the open, not its price
        (stop(1, BUY, 100), 102),
        (stop(1, SELL, 107), 98),
        (limit(1, BUY, 91), 91),  # traded through, no slippage
        (limit(1, BUY, 90), None),  # touched only
        (limit(1, SELL, 109), 109),
        (limit(1, SELL, 110), None),
        (limit(1, BUY, 103), 100),  # the open is better than the limit
        (limit(1, SELL, 97), 100),
        (limit(1, BUY, 100), 100),
    ],
)
def test_one_order_meets_one_bar(order, expected):
    outcome = step(bar(100, 110, 90, 105), [order], slippage=2)
    assert fills(outcome) == ([] if expected is None else [(1, expected)])
    assert outcome.working == ((order,) if expected is None else ())


def test_a_fill_is_of_the_whole_order_and_names_its_side():
    assert step(bar(100, 101, 99, 100), [market(1, SELL)]).fills == (Fill(1, SELL, 3, 100),)


def test_an_entry_pair_fills_the_side_nearer_to_the_open_first_and_both_if_both_are_reached():
    pair = [stop(1, BUY, 106), stop(2, SELL, 95)]
    assert fills(step(bar(100, 110, 90, 100), pair)) == [(2, 95), (1, 106)]
    assert fills(step(bar(101, 110, 90, 100), pair)) == [(1, 106), (2, 95)]


def test_of_two_entries_equally_near_the_long_one_goes_first():
    assert fills(step(bar(100, 110, 90, 100), [stop(1, SELL, 95), stop(2, BUY, 105)])) == [(2, 105), (1, 95)]


def test_legs_wait_for_their_entry():
    orders = bracket(stop(1, BUY, 120), 5, 20)
    outcome = step(bar(100, 110, 90, 105), orders)
    assert (outcome.fills, outcome.cancelled, list(outcome.working)) == ((), (), orders)


def test_legs_hang_on_the_price_of_the_fill_after_slippage():
    outcome = step(bar(100, 110, 99, 105), bracket(stop(1, BUY, 105), 10, 20), slippage=1)
    assert fills(outcome) == [(1, 106)]
    assert [(leg.id, leg.price, leg.parent, leg.offset) for leg in outcome.working] == [
        (10, 96, None, None),
        (11, 126, None, None),
    ]


def test_in_the_entrys_bar_the_stop_is_hit_even_by_a_low_that_may_lie_before_the_entry():
    outcome = step(bar(100, 110, 90, 108), bracket(stop(1, BUY, 105), 10, 20))
    assert fills(outcome) == [(1, 105), (10, 95)]
    assert (outcome.cancelled, outcome.working) == ((11,), ())


def test_in_the_entrys_bar_the_stop_goes_before_the_target():
    assert fills(step(bar(100, 130, 90, 108), bracket(stop(1, BUY, 105), 10, 20))) == [(1, 105), (10, 95)]


def test_a_stop_entrys_target_fills_in_its_bar_when_the_price_went_on_through_it():
    orders = bracket(stop(1, BUY, 105), 10, 20)
    assert fills(step(bar(100, 126, 99, 101), orders)) == [(1, 105), (11, 125)]
    assert fills(step(bar(100, 125, 99, 101), orders)) == [(1, 105)]  # touched only


def test_a_market_entrys_target_fills_in_its_bar():
    assert fills(step(bar(100, 121, 95, 101), bracket(market(1, BUY), 10, 20))) == [(1, 100), (11, 120)]


def test_a_limit_entrys_target_needs_the_close_beyond_it():
    orders = bracket(limit(1, BUY, 95), 10, 20)  # stop 85, target 115
    assert fills(step(bar(100, 130, 90, 110), orders)) == [(1, 95)]  # 130 may have come before 95
    assert fills(step(bar(100, 130, 90, 115), orders)) == [(1, 95)]
    assert fills(step(bar(100, 130, 90, 116), orders)) == [(1, 95), (11, 115)]


def test_a_target_left_in_doubt_fills_in_the_next_bar():
    first = step(bar(100, 130, 90, 110), bracket(limit(1, BUY, 95), 10, 20))
    assert fills(step(bar(110, 116, 108, 109), first.working)) == [(11, 115)]


def test_a_limit_entry_filled_at_the_open_has_the_whole_bar_before_it():
    assert fills(step(bar(94, 120, 90, 100), bracket(limit(1, BUY, 95), 10, 20))) == [(1, 94), (11, 114)]


def test_of_a_working_stop_and_its_target_both_in_range_the_stop_fills():
    legs = [stop(10, SELL, 91, sibling=11), limit(11, SELL, 101, sibling=10)]  # the target is nearer to the open
    outcome = step(bar(100, 110, 90, 100), legs)
    assert (fills(outcome), outcome.cancelled, outcome.working) == ([(10, 91)], (11,), ())


def test_a_target_that_the_open_has_passed_fills_before_the_stop():
    legs = [stop(10, SELL, 91, sibling=11), limit(11, SELL, 99, sibling=10)]
    assert fills(step(bar(100, 110, 90, 100), legs)) == [(11, 100)]


def test_a_stop_leg_that_starts_beyond_its_entry_fills_at_once():
    orders = bracket(market(1, BUY), 1, 20)  # filled at 105 with slippage, so its stop stands at 104, above the market
    assert fills(step(bar(100, 101, 100, 101), orders, slippage=5)) == [(1, 105), (10, 95)]


def test_a_cancelled_entry_takes_its_legs_along():
    orders = [stop(1, BUY, 105, sibling=2), *bracket(stop(2, SELL, 80, sibling=1), 5, 10)]
    outcome = step(bar(100, 106, 99, 100), orders)
    assert (fills(outcome), outcome.cancelled, outcome.working) == ([(1, 105)], (2, 20, 21), ())


def trailing(side: Side, trail: int, price: int | None = None) -> Resting:
    return Resting(1, side, OrderType.TRAILING_STOP, 3, price, trail=trail)


def test_a_trailing_stop_is_met_before_it_moves():
    outcome = step(bar(100, 120, 95, 118), [trailing(SELL, 10, 96)])
    assert fills(outcome) == [(1, 96)]  # not moved to 110 by a high that may have come first


def test_a_trailing_stop_follows_the_best_price_and_never_goes_back():
    first = step(bar(100, 120, 97, 118), [trailing(SELL, 10, 96)])
    assert [order.price for order in first.working] == [110]
    second = step(bar(118, 119, 111, 112), first.working)
    assert [order.price for order in second.working] == [110]


def test_a_trailing_stop_without_a_price_starts_at_the_open():
    assert [order.price for order in step(bar(100, 100, 98, 99), [trailing(SELL, 10)]).working] == [90]
    assert [order.price for order in step(bar(100, 101, 98, 99), [trailing(BUY, 10)]).working] == [108]


def test_a_close_beyond_the_moved_trailing_stop_fills_it_there():
    outcome = step(bar(100, 120, 97, 105), [trailing(SELL, 10, 96)], slippage=1)
    assert (fills(outcome), outcome.working) == ([(1, 109)], ())


def test_a_trailing_stop_that_fills_cancels_its_sibling_before_that_one_moves():
    first, second = trailing(SELL, 10, 96), trailing(SELL, 12, 96)
    orders = [replace(first, sibling=2), replace(second, id=2, sibling=1)]
    outcome = step(bar(100, 120, 97, 105), orders)
    assert (fills(outcome), outcome.cancelled, outcome.working) == ([(1, 110)], (2,), ())


def test_a_trailing_leg_of_a_limit_entry_ignores_a_high_that_may_lie_before_it():
    leg = Resting(2, SELL, OrderType.TRAILING_STOP, 3, None, 1, -10, None, 10)
    orders = [limit(1, BUY, 95), leg]
    assert [order.price for order in step(bar(100, 130, 90, 99), orders).working] == [89]  # from the close, not 130


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([market(1, BUY), market(1, SELL)], "two orders with one id"),
        (bracket(market(1, BUY), 5, 5)[1:], "no entry 1"),
        ([market(1, BUY), replace(bracket(market(1, BUY), 5, 5)[1], side=BUY)], "of the other direction"),
    ],
)
def test_orders_that_make_no_sense_together_are_refused(orders, message):
    with pytest.raises(ValueError, match=message):
        step(bar(100, 101, 99, 100), orders)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": 0}, "quantity 0"),
        ({"price": None}, "needs a price"),
        ({"parent": 5}, "belong together"),
        ({"type": OrderType.TRAILING_STOP}, "positive trail"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(stop(1, BUY, 100), **changes)


def test_slippage_is_never_in_our_favour():
    with pytest.raises(ValueError, match="slippage -1"):
        step(bar(100, 101, 99, 100), [], slippage=-1)
