from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.books import owed_by_venue
from market.orders import Side
from market.positions import Book, Execution, book

START = datetime(2026, 10, 5, 14, 30, tzinfo=UTC)
POINT = Decimal(2)


def fill(number: int, side: Side, quantity: int, price: str, fees: str = "0", commissions: str = "0") -> Execution:
    at = START + timedelta(hours=9 * number)
    return Execution(number, at, side, quantity, Decimal(price), Decimal(fees), Decimal(commissions))


@st.composite
def executions(draw):
    count = draw(st.integers(0, 12))
    return [
        Execution(
            number,
            START + timedelta(seconds=draw(st.integers(0, 5)) + 10 * number),
            draw(st.sampled_from(Side)),
            draw(st.integers(1, 7)),
            Decimal(draw(st.integers(79_000, 81_000))) / 4,
            Decimal(draw(st.integers(0, 500))) / 100,
            Decimal(draw(st.integers(0, 5000))) / 1000,  # tenths of a cent too
        )
        for number in range(count)
    ]


def test_no_fills_make_a_flat_book():
    assert book([]) == Book(0, Decimal(0), (), ())


def test_a_round_turn_carries_the_costs_of_both_fills():
    (trade,) = book(
        [fill(1, Side.BUY, 2, "20000", "0.72", "0.50"), fill(2, Side.SELL, 2, "20010", "0.72", "0.50")]
    ).trades
    assert (trade.entry_id, trade.exit_id, trade.direction, trade.quantity) == (1, 2, Side.BUY, 2)
    assert (trade.gross(POINT), trade.fees, trade.commissions) == (Decimal(40), Decimal("1.44"), Decimal("1.00"))
    assert trade.net(POINT) == Decimal("37.56")


def test_the_oldest_contracts_are_closed_first():
    result = book([fill(1, Side.SELL, 1, "100"), fill(2, Side.SELL, 2, "110"), fill(3, Side.BUY, 2, "90")])
    assert [(t.entry_id, t.quantity, t.gross(POINT)) for t in result.trades] == [(1, 1, 20), (2, 1, 40)]
    assert (result.quantity, result.open_lots) == (-1, ((2, 1, Decimal(110)),))


def test_a_larger_fill_flips_the_position():
    result = book([fill(1, Side.BUY, 3, "100"), fill(2, Side.SELL, 5, "104"), fill(3, Side.BUY, 2, "101")])
    assert [(t.direction, t.quantity, t.gross(POINT)) for t in result.trades] == [(Side.BUY, 3, 24), (Side.SELL, 2, 12)]
    assert (result.quantity, result.open_lots) == (0, ())


def test_costs_are_split_by_contracts_and_the_last_piece_takes_the_rest():
    result = book([fill(1, Side.BUY, 3, "100", "1.00"), *(fill(n, Side.SELL, 1, "101") for n in (2, 3, 4))])
    assert [trade.fees for trade in result.trades] == [Decimal("0.33"), Decimal("0.34"), Decimal("0.33")]


def test_the_average_is_weighted_by_size():
    assert book([fill(1, Side.BUY, 3, "100"), fill(2, Side.BUY, 1, "104")]).average_price == Decimal(101)


def test_what_is_closed_does_not_move_the_average():
    opened = [fill(1, Side.BUY, 10, "21100"), fill(2, Side.BUY, 10, "21000")]
    assert book([*opened, fill(3, Side.SELL, 10, "21000")]).average_price == Decimal(21_050)
    flipped = [*opened, fill(3, Side.SELL, 25, "21000"), fill(4, Side.SELL, 5, "20900")]
    assert book(flipped).average_price == Decimal(20_950)


def test_a_fill_given_twice_is_refused():
    with pytest.raises(ValueError, match="given twice"):
        book([fill(1, Side.BUY, 1, "100"), fill(1, Side.BUY, 1, "100")])


def test_a_fill_without_contracts_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        fill(1, Side.BUY, 0, "100")


@given(executions())
def test_the_signed_sum_of_the_fills_is_the_position(fills):
    result = book(fills)
    assert result.quantity == sum(one.side * one.quantity for one in fills)
    assert abs(result.quantity) == sum(quantity for _, quantity, _ in result.open_lots)


@given(executions())
def test_every_contract_is_in_one_trade_at_each_end_or_open(fills):
    result = book(fills)
    for one in fills:
        closed = sum(trade.quantity for trade in result.trades if one.id in (trade.entry_id, trade.exit_id))
        left = sum(quantity for number, quantity, _ in result.open_lots if number == one.id)
        assert closed + left == one.quantity
    for trade in result.trades:
        assert trade.entered_at < trade.exited_at


@given(executions())
def test_profit_is_the_cash_that_flowed(fills):
    net = book(fills)
    if net.quantity:  # close what is open, free of charge
        side = Side.SELL if net.quantity > 0 else Side.BUY
        fills = [*fills, Execution(99, START + timedelta(days=1), side, abs(net.quantity), Decimal(20_000))]
    cash = sum((-one.side * one.quantity * one.price * POINT - one.fees - one.commissions for one in fills), Decimal(0))
    result = book(fills)
    assert sum((trade.net(POINT) for trade in result.trades), Decimal(0)) == cash
    assert sum((trade.fees for trade in result.trades), Decimal(0)) == sum((one.fees for one in fills), Decimal(0))


@given(executions(), st.integers(79_000, 81_000))
def test_the_cash_of_the_venue_and_the_open_profit_are_what_the_account_is_worth(fills, ticks):
    """Dollars at any price: what flowed for the contracts, and what those that are held would bring now."""
    price, held = Decimal(ticks) / 4, book(fills)
    free = [replace(one, fees=Decimal(0), commissions=Decimal(0)) for one in fills]
    open_profit = (price - held.average_price) * held.quantity * POINT
    worth = sum(((price - one.price) * one.side * one.quantity * POINT for one in fills), Decimal(0))
    assert abs(owed_by_venue(free, POINT) + open_profit - worth) < Decimal("1e-15")


@given(executions(), st.integers(0, 12))
def test_later_fills_never_change_earlier_trades(fills, count):
    before, after = book(fills[:count]), book(fills)
    assert after.trades[: len(before.trades)] == before.trades


@given(executions(), st.randoms(use_true_random=False))
def test_the_order_in_which_fills_are_given_does_not_matter(fills, random):
    shuffled = list(fills)
    random.shuffle(shuffled)
    assert book(shuffled) == book(fills)
