"""What holds for every bar and every set of orders."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import Bar
from market.matching import Resting, step
from market.orders import OrderType, Side

PRICES = st.integers(900, 1100)
TICKS = st.integers(1, 80)


@st.composite
def bars(draw, opened_at=0):
    low, one, other, high = sorted(draw(PRICES) for _ in range(4))
    opening, close = draw(st.permutations((one, other)))
    return Bar(opened_at, opening, high, low, close)


@st.composite
def entries(draw, number, *, trailing=True):
    """An order of its own, often with a stop leg and a target leg."""
    kinds = [kind for kind in OrderType if trailing or kind is not OrderType.TRAILING_STOP]
    side, kind = draw(st.sampled_from(Side)), draw(st.sampled_from(kinds))
    trail = draw(TICKS) if kind is OrderType.TRAILING_STOP else None
    price = None if kind is OrderType.MARKET else draw(PRICES)
    orders = [Resting(number, side, kind, draw(st.integers(1, 5)), price, trail=trail)]
    if draw(st.booleans()):
        stop, target = number + 1, number + 2
        kind = draw(st.sampled_from((OrderType.STOP, OrderType.TRAILING_STOP))) if trailing else OrderType.STOP
        trail = draw(TICKS) if kind is OrderType.TRAILING_STOP else None
        distances = -side * draw(TICKS), side * draw(TICKS)
        orders.append(Resting(stop, side.opposite, kind, orders[0].quantity, None, number, distances[0], target, trail))
        orders.append(
            Resting(target, side.opposite, OrderType.LIMIT, orders[0].quantity, None, number, distances[1], stop)
        )
    return orders


@st.composite
def books(draw):
    groups = [draw(entries(10 * number)) for number in range(draw(st.integers(0, 3)))]
    return [order for group in groups for order in group]


@st.composite
def paths(draw):
    """A bar and one way the price may have gone: its monotone pieces, as bars."""
    bar = draw(bars())
    corners = (bar.low, bar.high) if draw(st.booleans()) else (bar.high, bar.low)
    turns = (bar.open, *corners, bar.close)
    return bar, [Bar(n, a, max(a, b), min(a, b), b) for n, (a, b) in enumerate(pairwise(turns))]


SLIPPAGE = st.integers(0, 5)


@given(bars(), books(), SLIPPAGE)
def test_every_order_is_filled_or_cancelled_or_works_on(bar, orders, slippage):
    outcome = step(bar, orders, slippage=slippage)
    ended = [fill.order_id for fill in outcome.fills] + list(outcome.cancelled)
    assert sorted(ended + [order.id for order in outcome.working]) == sorted(order.id for order in orders)


@given(bars(), books(), SLIPPAGE)
def test_no_fill_lies_outside_of_the_bar_by_more_than_slippage(bar, orders, slippage):
    for fill in step(bar, orders, slippage=slippage).fills:
        assert bar.low - slippage <= fill.price <= bar.high + slippage


@given(bars(), books(), SLIPPAGE)
def test_no_order_gets_a_better_price_than_it_may(bar, orders, slippage):
    known = {order.id: order for order in orders}
    for fill in step(bar, orders, slippage=slippage).fills:
        order = known[fill.order_id]
        assert (fill.side, fill.quantity) == (order.side, order.quantity)
        if order.parent is not None:
            continue
        if order.type is OrderType.LIMIT:
            assert (fill.price - order.price) * order.side <= 0  # never worse than its price
            assert fill.price in (order.price, bar.open)
        elif order.type is OrderType.STOP:
            assert (fill.price - order.price) * order.side >= slippage  # never better than its price
        elif order.type is OrderType.MARKET:
            assert fill.price == bar.open + order.side * slippage


@given(bars(), books(), SLIPPAGE)
def test_of_two_siblings_at_most_one_fills_and_the_other_is_cancelled(bar, orders, slippage):
    outcome = step(bar, orders, slippage=slippage)
    filled = {fill.order_id for fill in outcome.fills}
    for order in orders:
        if order.sibling is not None and order.id in filled:
            assert order.sibling in outcome.cancelled


@given(bars(), books(), SLIPPAGE)
def test_legs_work_only_after_their_entry_and_fill_after_it(bar, orders, slippage):
    outcome = step(bar, orders, slippage=slippage)
    filled = [fill.order_id for fill in outcome.fills]
    for order in orders:
        if order.parent is None:
            continue
        if order.id in filled:
            assert order.parent in filled[: filled.index(order.id)]
        for working in outcome.working:
            if working.id == order.id:
                assert (working.parent is None) == (order.parent in filled)


@given(bars(), books())
def test_what_works_on_was_not_reached_for_certain(bar, orders):
    """The close is a price that every order has met: nothing that it would fill is still there."""
    for order in step(bar, orders).working:
        if order.parent is None and order.price is not None:
            beyond = (bar.close - order.price) * order.side
            assert beyond >= 0 if order.type is OrderType.LIMIT else beyond < 0


@given(bars(), books(), SLIPPAGE)
def test_the_same_bar_gives_the_same_outcome_whatever_the_order_of_the_orders(bar, orders, slippage):
    one, other = step(bar, orders, slippage=slippage), step(bar, orders[::-1], slippage=slippage)
    assert one.fills == other.fills
    assert sorted(one.cancelled) == sorted(other.cancelled)
    assert one.working == other.working[::-1]


@given(paths(), st.sampled_from((OrderType.LIMIT, OrderType.STOP)), st.sampled_from(Side), PRICES, SLIPPAGE)
def test_a_single_order_fills_the_same_on_every_path_through_the_bar(path, kind, side, price, slippage):
    bar, pieces = path
    orders = (Resting(1, side, kind, 1, price),)
    whole = step(bar, orders, slippage=slippage)
    fills = []
    for piece in pieces:
        outcome = step(piece, orders, slippage=slippage)
        fills += outcome.fills
        orders = outcome.working
    assert tuple(fills) == whole.fills


@settings(max_examples=300)
@given(paths(), entries(0, trailing=False))
def test_the_whole_bar_never_does_better_than_a_path_through_it(path, orders):
    """Where the order of prices is not known the rule takes the worse case: profit on the bar is a lower bound.

    Not so for trailing stops: which path is the worse one depends on what they are for.
    """
    bar, pieces = path
    whole = step(bar, orders)
    profit = sum(-fill.side * fill.quantity * (fill.price - bar.close) for fill in whole.fills)
    along, working = 0, tuple(orders)
    for piece in pieces:
        outcome = step(piece, working)
        working = outcome.working
        along += sum(-fill.side * fill.quantity * (fill.price - bar.close) for fill in outcome.fills)
    assert profit <= along
