"""What is counted once for all rules equals what each of them would count on its own."""

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from market.orders import Side
from market.products import PRODUCTS
from risk import margins
from risk.costs import ROUND_TURN
from risk.exposures import Exposure, tally
from risk.limits import lots
from risk.worst_cases import WorstCase, worst_case
from tests.risk.states import MNQ

contracts = st.builds(
    lambda product, month: product.contract(2026, month),
    st.sampled_from(sorted(PRODUCTS.values(), key=str)),
    st.sampled_from([3, 12]),
)
exposures = st.builds(
    Exposure,
    contracts,
    st.sampled_from(Side),
    st.integers(1, 50),
    st.one_of(st.integers(-400, 400), st.integers(-400, 400), st.none()),
    is_position=st.booleans(),
)


def naive_worst_case(book, slippage):
    """Add the loss of each exposure in dollars, one after the other."""
    positions = exits = orders = D(0)
    for item in book:
        if item.stop_ticks is None or item.contract.symbol not in ROUND_TURN:
            return None
        lost = max(0, item.stop_ticks + slippage) * item.quantity * item.contract.tick_value
        turn = ROUND_TURN[item.contract.symbol] * item.quantity
        if item.is_position:
            positions += lost + turn / 2
            exits += turn / 2
        else:
            orders += lost + turn
    return WorstCase(positions, exits, orders)


@settings(max_examples=150, deadline=None)
@given(st.lists(exposures, max_size=20), st.integers(0, 12))
def test_one_tally_gives_what_every_rule_would_count_itself(book, slippage):
    counted = tally(book, slippage=slippage)
    symbols = {item.contract.symbol for item in book}
    assert counted.symbols == {s: sum(i.quantity for i in book if i.contract.symbol == s) for s in symbols}
    assert counted.unstopped == next((item for item in book if item.stop_ticks is None), None)
    assert worst_case(counted) == naive_worst_case(book, slippage)
    weights = [PRODUCTS[item.contract.symbol].weight * item.quantity for item in book]
    held = lots(counted.symbols.items())
    assert held == sum(weights, D(0))
    assert f"{held}" == f"{held:f}".removesuffix(".0")  # as it is reported, too


def test_costs_are_whole_cents_and_weights_whole_tenths():
    assert all(dollars * 100 % 1 == 0 for dollars in ROUND_TURN.values())
    assert all(product.weight * 10 % 1 == 0 for product in PRODUCTS.values())


def test_margin_counts_the_contracts_of_a_product_whatever_their_month():
    march = tally(
        [Exposure(MNQ, Side.BUY, 2, 40), Exposure(PRODUCTS["MNQ"].contract(2027, 3), Side.SELL, 1, 40)], slippage=8
    )
    on = margins.MARGINS["MNQ"][-1].valid_from
    assert margins.used(march.symbols, on) == 3 * margins.MARGINS["MNQ"][-1].dollars
