"""The floor: the rules' own examples, and that it never falls nor passes the lock."""

from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk import drawdown

money = st.integers(-5000, 60000).map(D)


@pytest.mark.parametrize(
    ("start", "maximum_loss", "eods", "expected"),
    [
        (50000, 2000, [], 48000),
        (50000, 2000, [50600], 48600),
        (50000, 2000, [50600, 50200], 48600),  # day 2 peaked at 51,500 intraday: that does not count
        (50000, 2000, [50600, 50200, 52300], 50000),  # locked for the rest of the account's life
        (50000, 2000, [53000, 49000], 50000),
        (0, 2000, [], -2000),
        (0, 2000, [900], -1100),
        (0, 2000, [900, 2150], 0),
        (100000, 3000, [103000], 100000),
        (150000, 4500, [154499], 149999),
    ],
)
def test_floor_of_the_rules_examples(start, maximum_loss, eods, expected):
    highest = max([start, *eods])
    assert drawdown.floor(start=D(start), maximum_loss=D(maximum_loss), highest_eod=D(highest)) == expected


def test_touching_the_floor_is_a_breach():
    # 50K Combine, floor 48,600: realised 50,200 and open -1,600.
    assert drawdown.is_breached(equity=D(50200) - 1600, floor=D(48600))
    assert not drawdown.is_breached(equity=D("48600.01"), floor=D(48600))


def test_the_daily_loss_limit_counts_realised_and_open():
    assert drawdown.is_day_lost(day_profit=D(-620) - 380, daily_loss_limit=D(1000))
    assert not drawdown.is_day_lost(day_profit=D("-999.99"), daily_loss_limit=D(1000))
    assert not drawdown.is_day_lost(day_profit=D(-100000), daily_loss_limit=None)


@pytest.mark.parametrize(
    ("quantity", "last", "bid", "ask", "expected"),
    [
        (2, 100, 99, 101, 99),
        (2, 98, 99, 101, 98),  # the last trade was worse than the bid is
        (-2, 100, 99, 101, 101),
        (-2, 102, 99, 101, 102),
        (2, 100, None, 101, 100),
        (2, 100, 0, 101, 100),  # no bid
        (2, None, 99, None, 99),
        (-2, None, 99, None, None),
    ],
)
def test_a_position_is_worth_the_worse_side(quantity, last, bid, ask, expected):
    prices = {name: None if at is None else D(at) for name, at in (("last", last), ("bid", bid), ("ask", ask))}
    assert drawdown.closing_price(quantity, **prices) == expected


@given(st.sampled_from([(0, 2000), (50000, 2000), (150000, 4500)]), st.lists(money, min_size=1))
def test_floor_never_falls_and_never_passes_the_start(account, eods):
    start, maximum_loss = D(account[0]), D(account[1])
    floors = []
    highest = start
    for balance in eods:
        highest = max(highest, balance)
        floors.append(drawdown.floor(start=start, maximum_loss=maximum_loss, highest_eod=highest))
    assert floors == sorted(floors)
    assert start - maximum_loss <= floors[0] <= floors[-1] <= start


def test_a_loss_that_is_not_positive_is_an_error():
    with pytest.raises(ValueError, match="must be positive"):
        drawdown.floor(start=D(50000), maximum_loss=D(0), highest_eod=D(50000))


@pytest.mark.parametrize(("room", "percent"), [(2000, 0), (1000, 50), (1, 99), (0, 100), (-500, 100), (3000, 0)])
def test_used_is_the_part_of_the_limit_that_is_gone(room, percent):
    assert drawdown.used(room=D(room), limit=D(2000)) == percent


def test_end_of_day_balances_count_back_from_the_balance():
    monday, tuesday, today = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
    results = [(tuesday, D(-100)), (monday, D(600)), (today, D(50)), (monday, D("-1.22"))]
    before, ended = drawdown.end_of_day_balances(D("50548.78"), results, today=today)
    assert (before, ended) == (D(50000), {monday: D("50598.78"), tuesday: D("50498.78")})


@given(st.lists(st.tuples(st.integers(1, 20), money), max_size=12), money)
def test_end_of_day_balances_undo_every_result(results, start):
    days = [(date(2026, 11, day), net) for day, net in results]
    balance = start + sum((net for _, net in days), D(0))
    before, ended = drawdown.end_of_day_balances(balance, days, today=date(2026, 11, 15))
    assert before == start
    assert all(day < date(2026, 11, 15) for day in ended)


@given(
    st.sampled_from([(50_000, 2000), (100_000, 3000), (150_000, 4500), (0, 2000), (0, 3000), (0, 4500)]),
    st.lists(st.lists(st.decimals(-3000, 3000, places=2), max_size=6), max_size=40),
)
def test_over_random_trades_the_floor_never_falls_and_never_exceeds_the_lock(account, days):
    """Whatever is traded, inside a day nothing moves, and the end of a day only raises it."""
    start, loss = D(account[0]), D(account[1])
    balance = highest = start
    floor = drawdown.floor(start=start, maximum_loss=loss, highest_eod=highest)
    assert floor == start - loss
    for trades in days:
        balance += sum(trades, D(0))
        highest = max(highest, balance)
        after = drawdown.floor(start=start, maximum_loss=loss, highest_eod=highest)
        assert floor <= after <= start
        assert after == start or after == highest - loss
        floor = after
