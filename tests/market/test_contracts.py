from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.contracts import Contract, round_half_up
from market.products import PRODUCTS, product

MNQ = product("MNQ").contract(2026, 12)


@given(st.sampled_from(sorted(PRODUCTS)), st.integers(-100_000, 100_000))
def test_ticks_and_prices_are_each_others_inverse(symbol, ticks):
    contract = product(symbol).contract(2026, 12)
    assert contract.ticks(contract.price(ticks)) == ticks


def test_a_price_off_the_grid_is_refused():
    with pytest.raises(ValueError, match=r"MNQ: 20000\.10 is not on the tick grid of 0\.25"):
        MNQ.ticks(Decimal("20000.10"))


@pytest.mark.parametrize(("points", "ticks"), [("15", 60), ("0.125", 1), ("0.12", 0), ("-0.125", -1), (0.375, 2)])
def test_distances_are_rounded_half_up(points, ticks):
    assert MNQ.distance(Decimal(points) if isinstance(points, str) else points) == ticks


def test_money_of_a_move():
    assert MNQ.money(40, 3) == Decimal("60.0")  # 10 points x $2 x 3


def test_halves_go_away_from_zero():
    assert [round_half_up(Decimal(value)) for value in ("0.5", "1.5", "2.4999", "-0.5")] == [1, 2, 2, -1]


def test_a_contract_needs_positive_ticks():
    with pytest.raises(ValueError, match="must be positive"):
        Contract("X", "X", Decimal(0), Decimal(1))


def test_a_tick_is_worth_whole_millionths_of_a_dollar():
    assert Contract("ZT", "ZT", Decimal("0.00390625"), Decimal("7.8125")).tick_micros == 7_812_500
    with pytest.raises(ValueError, match="more than six decimals"):
        Contract("X", "X", Decimal(1), Decimal("0.0000001"))
