"""The table of margins: dated, in order, and silent where nothing that holds was found."""

from datetime import date, timedelta

import pytest

from market.products import PRODUCTS
from risk.groups import GROUPS
from risk.margins import MARGINS, margin_of, used
from risk.rulebook import shipped

TODAY = date(2026, 11, 18)


def test_every_line_is_of_a_product_positive_and_in_the_order_of_its_dates():
    assert set(MARGINS) <= set(PRODUCTS)
    for lines in MARGINS.values():
        dates = [line.valid_from for line in lines]
        assert dates == sorted(set(dates))
        assert all(line.dollars > 0 and line.source for line in lines)


def test_of_what_the_firm_permits_only_metals_and_meat_have_no_line():
    without = {symbol for symbol in shipped().permitted(TODAY) if margin_of(symbol, TODAY) is None}
    assert {GROUPS[symbol] for symbol in without} == {"metals", "meat"}
    assert without == {symbol for symbol in shipped().permitted(TODAY) if GROUPS[symbol] in ("metals", "meat")}


@pytest.mark.parametrize(
    ("on", "dollars"),
    [
        (date(2020, 12, 11), 12_100),
        (date(2021, 8, 17), 12_100),
        (date(2021, 8, 18), 12_650),
        (date(2025, 3, 31), 11_880),
        (date(2025, 4, 1), 12_650),
        (TODAY, 12_650),
    ],
)
def test_a_line_holds_until_the_next(on, dollars):
    assert margin_of("ES", on).dollars == dollars
    assert margin_of("MES", on).dollars * 10 == dollars


def test_before_its_first_line_and_for_a_metal_nothing_is_known():
    first = MARGINS["ES"][0].valid_from
    assert margin_of("ES", first - timedelta(days=1)) is None
    assert used({"ES": 1, "GC": 1}, TODAY) is None
    assert used({"ES": 2, "MYM": 3}, TODAY) == 2 * 12_650 + 3 * 880
