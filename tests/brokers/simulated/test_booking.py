from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.simulated.booking import add
from brokers.simulated.records import Position
from market.orders import Side

FLAT = Position(
    id=1, account_id=1, contract_id="C", opened_at=datetime(2026, 1, 1, tzinfo=UTC), quantity=0, cost=Decimal(0)
)
FILLS = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 7), st.integers(1, 10**6)), max_size=30)


@settings(max_examples=60)
@given(FILLS)
def test_what_was_realised_and_what_is_open_add_up_to_the_cash_that_moved(fills):
    """Cash is -price x quantity x side; profit realised so far = cash + cost of what is held (signed)."""
    position, realised, cash = FLAT, Decimal(0), 0
    for side, quantity, price in fills:
        position, profit = add(position, side, quantity, price)
        realised += profit or 0
        cash -= side * quantity * price
        sign = (position.quantity > 0) - (position.quantity < 0)
        assert realised == cash + position.cost * sign


@settings(max_examples=60)
@given(FILLS)
def test_the_average_stays_within_the_prices_that_were_paid(fills):
    position = FLAT
    for side, quantity, price in fills:
        position, _ = add(position, side, quantity, price)
        assert min(f[2] for f in fills) <= position.average <= max(f[2] for f in fills)


def test_a_fill_that_only_adds_realises_nothing():
    assert add(FLAT, Side.SELL, 2, 100)[1] is None
