"""Virtual positions: each strategy's part of one net position, exact to the cent against slips of paper."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.books import BY_HAND, Books, Owned, keep, owed_by_venue
from market.orders import Side
from market.positions import Execution, book
from tests.market.naive import close_by_hand

START = datetime(2026, 10, 5, 14, 30, tzinfo=UTC)
FIRST = date(2026, 10, 5)
POINT = D(2)
ANNA, BERT = 7, 8


def fill(
    number: int, owner: int | None, side: Side, quantity: int, price: int, *, day: int = 0, cost: str = "0"
) -> Owned:
    at = START + timedelta(days=day, minutes=number)
    return Owned(Execution(number, at, side, quantity, D(price), D(cost)), owner, FIRST + timedelta(days=day))


def results(books: Books) -> list[tuple[int, int, D]]:
    return [(one.owner, one.turn.quantity, one.turn.net(POINT)) for one in books.trades]


@st.composite
def random_fills(draw) -> list[Owned]:
    day, fills = 0, []
    for number in range(draw(st.integers(0, 25))):
        day += draw(st.sampled_from((0, 0, 0, 1)))
        at = START + timedelta(days=day, seconds=draw(st.integers(0, 3)))
        execution = Execution(
            number,
            at,
            draw(st.sampled_from(Side)),
            draw(st.integers(1, 6)),
            D(draw(st.integers(79_000, 81_000))) / 4,
            D(draw(st.integers(0, 500))) / 100,
            D(draw(st.integers(0, 5000))) / 1000,  # tenths of a cent too
        )
        fills.append(Owned(execution, draw(st.sampled_from((ANNA, BERT, BY_HAND, None))), FIRST + timedelta(days=day)))
    return fills


def uncrossed(fills: list[Owned]) -> list[Owned]:
    """The same fills in one session: nothing is crossed."""
    return [Owned(one.execution, one.owner, FIRST) for one in fills]


@settings(deadline=None)
@given(random_fills())
def test_books_equal_slips_of_paper_to_the_cent(fills):
    fills = uncrossed(fills)
    mine = keep(fills)
    closed, left = close_by_hand(fills)
    theirs: dict[tuple[int, int, int], list[D]] = defaultdict(lambda: [D(0), D(0), D(0)])
    for one in closed:
        sums = theirs[one.owner, one.entry, one.exit]
        sums[0], sums[1], sums[2] = sums[0] + 1, sums[1] + one.points * POINT, sums[2] + one.costs
    found = {
        (one.owner, one.turn.entry_id, one.turn.exit_id): [
            D(one.turn.quantity),
            one.turn.gross(POINT),
            one.turn.fees + one.turn.commissions,
        ]
        for one in mine.trades
    }
    assert found == dict(theirs)
    assert mine.quantities == {owner: sum(slip.fill.side for slip in slips) for owner, slips in left.items()}


@settings(deadline=None)
@given(random_fills())
def test_with_one_owner_the_books_are_the_accounts_own(fills):
    fills = [Owned(one.execution, ANNA, FIRST) for one in fills]
    whole = book(one.execution for one in fills)
    kept = keep(fills)
    assert tuple(one.turn for one in kept.trades) == whole.trades
    worth = sum((quantity * price for _, quantity, price in whole.open_lots), D(0))
    assert kept.averages == ({ANNA: worth / abs(whole.quantity)} if whole.quantity else {})


@settings(deadline=None)
@given(random_fills())
def test_whoever_is_given_what_the_sum_is_the_accounts(fills):
    """Close what is open, free of charge: all books together have earned the cash that flowed."""
    net = sum(one.execution.side * one.execution.quantity for one in fills)
    last = FIRST + timedelta(days=99)
    if net:
        side = Side.SELL if net > 0 else Side.BUY
        closing = Execution(99, START + timedelta(days=99), side, abs(net), D(20_000))
        fills = [*fills, Owned(closing, None, last)]
    books = keep(fills, ended=last)
    executions = [one.execution for one in fills]
    cash = sum((-e.side * e.quantity * e.price * POINT - e.fees - e.commissions for e in executions), D(0))
    assert sum((one.turn.net(POINT) for one in books.trades), D(0)) == cash
    assert books.quantities == {}
    assert abs(owed_by_venue(executions, POINT) - cash) < D("1e-15")


@settings(deadline=None)
@given(random_fills(), st.randoms(use_true_random=False))
def test_the_order_in_which_fills_arrive_does_not_matter(fills, random):
    shuffled = list(fills)
    random.shuffle(shuffled)
    assert keep(shuffled) == keep(fills)


@settings(deadline=None)
@given(random_fills())
def test_what_is_settled_is_never_needed_again(fills):
    books = keep(fills)
    later = in_time(fills)[books.settled :]
    assert keep(later).quantities == books.quantities
    rest = keep(later).trades
    assert books.trades[len(books.trades) - len(rest) :] == rest


def in_time(fills: list[Owned]) -> list[Owned]:
    return sorted(fills, key=lambda one: (one.execution.at, one.execution.id))


def test_two_strategies_share_a_net_position_and_keep_their_own_results():
    books = keep(
        [
            fill(1, ANNA, Side.BUY, 2, 100, cost="1.00"),
            fill(2, BERT, Side.SELL, 1, 110, cost="0.50"),  # the account is long 1 now
            fill(3, ANNA, Side.SELL, 2, 105, cost="1.00"),
            fill(4, BERT, Side.BUY, 1, 108, cost="0.50"),
        ]
    )
    assert results(books) == [(ANNA, 2, D("18.00")), (BERT, 1, D("3.00"))]


def test_a_flatten_closes_what_is_by_hand_first_then_the_oldest_of_anybody():
    books = keep(
        [
            fill(1, ANNA, Side.BUY, 1, 100),
            fill(2, BERT, Side.BUY, 2, 101),
            fill(3, BY_HAND, Side.BUY, 1, 102),
            fill(4, None, Side.SELL, 3, 110),
        ]
    )
    assert results(books) == [(BY_HAND, 1, D(16)), (ANNA, 1, D(20)), (BERT, 1, D(18))]
    assert books.quantities == {BERT: 1}


def test_what_a_foreign_order_opens_is_by_hand_and_no_strategy_closes_it():
    books = keep([fill(1, None, Side.SELL, 2, 100), fill(2, ANNA, Side.BUY, 1, 90)])
    assert (results(books), books.quantities) == ([], {BY_HAND: -2, ANNA: 1})


def test_a_foreign_order_that_makes_the_position_larger_closes_nothing_of_a_strategy():
    books = keep([fill(1, ANNA, Side.BUY, 2, 100), fill(2, BERT, Side.SELL, 1, 100), fill(3, None, Side.BUY, 1, 90)])
    assert (results(books), books.quantities) == ([], {ANNA: 2, BERT: -1, BY_HAND: 1})


def test_a_stop_that_came_too_late_flips_its_own_strategy_and_the_flatten_ends_it():
    books = keep(
        [
            fill(1, ANNA, Side.BUY, 2, 100),
            fill(2, None, Side.SELL, 2, 103),
            fill(3, ANNA, Side.SELL, 2, 99),
            fill(4, None, Side.BUY, 2, 101),
        ]
    )
    assert results(books) == [(ANNA, 2, D(12)), (ANNA, 2, D(-8))]


def test_contracts_that_offset_each_other_are_crossed_when_the_session_ends_at_the_price_of_the_last_fill():
    fills = [
        fill(1, ANNA, Side.BUY, 2, 100, cost="1.00"),
        fill(2, BERT, Side.SELL, 3, 110, cost="1.50"),
        fill(3, BERT, Side.BUY, 1, 104, cost="0.50"),
    ]
    assert (results(keep(fills)), keep(fills).quantities) == ([(BERT, 1, D("11.00"))], {ANNA: 2, BERT: -2})
    ended = keep(fills, ended=FIRST)
    assert [(one.owner, one.crossed, one.turn.exit_price, one.turn.net(POINT)) for one in ended.trades[1:]] == [
        (ANNA, True, 104, D("15.00")),
        (BERT, True, 104, D("23.00")),
    ]
    next_day = keep([*fills, fill(9, ANNA, Side.BUY, 1, 120, day=1)])
    assert (next_day.trades, next_day.settled, next_day.quantities) == (ended.trades, 3, {ANNA: 1})


def test_nothing_is_crossed_while_the_account_holds_a_position():
    fills = [fill(1, ANNA, Side.BUY, 2, 100), fill(2, BERT, Side.SELL, 1, 110)]
    assert (keep(fills, ended=FIRST).trades, keep(fills, ended=FIRST).quantities) == ((), {ANNA: 2, BERT: -1})


def test_a_position_over_days_is_not_settled_until_it_is_closed():
    opened = [fill(n, ANNA, Side.BUY, 1, 100 + n, day=n) for n in range(4)]
    assert keep(opened).settled == 0
    closed = [*opened, fill(4, ANNA, Side.SELL, 4, 110, day=20), fill(5, ANNA, Side.BUY, 1, 100, day=21)]
    assert (keep(closed).settled, len(keep(closed).trades)) == (5, 4)


@pytest.mark.parametrize(
    ("sold", "owed"),
    [(0, D("-2.00")), (1, D("7.50")), (2, D("17.00"))],  # average 105, sold at 110: 10 dollars a contract
)
def test_the_venue_realises_against_the_average_while_something_is_open(sold, owed):
    fills = [fill(1, None, Side.BUY, 1, 100, cost="1.00"), fill(2, None, Side.BUY, 1, 110, cost="1.00")]
    fills += [fill(3 + n, None, Side.SELL, 1, 110, cost="0.50") for n in range(sold)]
    assert owed_by_venue([one.execution for one in fills], POINT) == owed
