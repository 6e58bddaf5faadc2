"""What the rulebook knows: names, sizes, levels, caps."""

from datetime import date
from decimal import Decimal as D

import pytest

from market.products import PRODUCTS
from risk import limits, rulebook
from risk.costs import ROUND_TURN
from risk.rulebook import Stage

TODAY = date(2026, 11, 18)
BOOK = rulebook.shipped()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("50KTC-V2-123456-98765432", (Stage.COMBINE, 50, False)),
        ("50KTC-V2-DLL-123456-98765432", (Stage.COMBINE, 50, True)),
        ("100KTC-V2-1", (Stage.COMBINE, 100, False)),
        ("150ktc-v2-dll-1", (Stage.COMBINE, 150, True)),
        ("PRAC-V2-123456-98765432", (Stage.PRACTICE, 150, False)),
        ("EXPRESS-V2-123456", (Stage.EXPRESS, None, False)),
        ("EXPRESS-50K-V2-DLL-1", (Stage.EXPRESS, 50, True)),
        ("50KXFA-V2-1", (Stage.EXPRESS, 50, False)),
        ("LFA-V2-1", (Stage.LIVE, None, False)),
        ("S1OCT2150K-1", (Stage.UNKNOWN, None, False)),
        ("", (Stage.UNKNOWN, None, False)),
    ],
)
def test_infer_from_names(name, expected):
    assert rulebook.infer(name) == expected


@pytest.mark.parametrize(
    ("stage", "size", "expected"),
    [
        (Stage.COMBINE, 50, (50000, 2000, 1000, 5)),
        (Stage.COMBINE, 100, (100000, 3000, 2000, 10)),
        (Stage.COMBINE, 150, (150000, 4500, 3000, 15)),
        (Stage.EXPRESS, 100, (0, 3000, 2000, 10)),
        (Stage.PRACTICE, 150, (150000, 4500, 3000, 15)),
    ],
)
def test_parameters_are_those_of_the_firms_table(stage, size, expected):
    rules = BOOK.parameters(stage, size, TODAY)
    assert (rules.start, rules.maximum_loss, rules.daily_loss, rules.max_lots) == expected
    assert rules.checked_on <= TODAY
    assert rules.source


@pytest.mark.parametrize(("stage", "size"), [("unknown", 50), ("live", None), ("combine", None), ("combine", 75)])
def test_what_the_rulebook_does_not_know_has_no_parameters(stage, size):
    assert BOOK.parameters(stage, size, TODAY) is None


def test_a_day_before_the_oldest_entry_uses_the_oldest():
    assert BOOK.parameters("combine", 50, date(2020, 1, 2)) == BOOK.parameters("combine", 50, date(2025, 1, 2))


@pytest.mark.parametrize(
    ("size", "last_eod", "expected"),
    [
        (50, None, 2), (50, 0, 2), (50, 1500, 2), (50, 1650, 3), (50, 2000, 3), (50, 2001, 5),
        (100, 1499, 3), (100, 3000, 5), (100, 3001, 10), (150, 4500, 10), (150, 4501, 15),
    ],
)  # fmt: skip
def test_express_lots_follow_the_last_end_of_day_and_a_boundary_is_the_smaller_size(size, last_eod, expected):
    rules = BOOK.parameters(Stage.EXPRESS, size, TODAY)
    assert rulebook.lots(rules, last_eod=None if last_eod is None else D(last_eod)) == expected


def test_lots_of_a_combine_do_not_scale():
    assert rulebook.lots(BOOK.parameters(Stage.COMBINE, 50, TODAY), last_eod=None) == 5


@pytest.mark.parametrize(
    ("symbol", "size", "on", "expected"),
    [
        ("MNQ", 50, TODAY, None), ("CL", 50, TODAY, 3), ("MGC", 100, TODAY, 60), ("SIL", 150, TODAY, 6),
        ("SI", 50, TODAY, 0), ("CL", None, TODAY, 3), ("CL", 50, date(2026, 8, 31), None),
    ],
)  # fmt: skip
def test_product_caps_hold_from_their_date(symbol, size, on, expected):
    assert BOOK.caps(size, on).get(symbol) == expected


def test_lots_of_the_rules_example():
    held = [("MNQ", 20), ("ES", -1), ("SIL", 2)]
    assert limits.lots(held) == D("3.4")
    assert limits.lots([*held, ("M2K", 16)]) == 5
    assert limits.lots([*held, ("M2K", 17)]) == D("5.1")
    assert limits.lots([("XYZ", 1)]) is None


def test_every_product_of_the_market_has_its_costs():
    assert set(PRODUCTS) == set(ROUND_TURN)
    assert (ROUND_TURN["MNQ"], ROUND_TURN["ES"]) == (D("1.22"), D("3.78"))
