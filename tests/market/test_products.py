from decimal import Decimal

import pytest

from market.products import PRODUCTS, product


def test_every_permitted_product_is_there_once():
    permitted = (  # the firm's list of permitted products, checked 2026-10
        "ES MES NQ MNQ RTY M2K YM MYM NKD MBT MET 6A 6B 6C 6E 6J 6S 6M 6N E7 M6A M6B M6E CL QM MCL NG QG MNG RB HO "
        "GC MGC SI SIL HG MHG PL ZT ZF ZN TN ZB UB ZC ZW ZS ZM ZL HE LE"
    )
    assert sorted(PRODUCTS) == sorted(permitted.split())
    assert len({item.id for item in PRODUCTS.values()}) == len(PRODUCTS)


@pytest.mark.parametrize(
    ("symbol", "weight"),
    [("NQ", "1"), ("MNQ", "0.1"), ("SIL", "0.2"), ("MBT", "1"), ("MET", "1"), ("M6E", "0.1"), ("QM", "1")],
)
def test_size_is_counted_in_minis(symbol, weight):
    assert product(symbol).weight == Decimal(weight)


def test_the_firms_example_of_size_adds_up():
    # long 20 MNQ + short 1 ES + long 2 SIL = 3.4 lots
    lots = 20 * product("MNQ").weight + product("ES").weight + 2 * product("SIL").weight
    assert lots == Decimal("3.4")


def test_a_contract_has_the_venues_id_and_the_products_ticks():
    contract = product("NQ").contract(2026, 12)
    assert (contract.id, contract.symbol, contract.point_value) == ("CON.F.US.ENQ.Z26", "NQ", Decimal(20))
    assert product("MNQ").contract(2027, 3).id == "CON.F.US.MNQ.H27"
    assert product("MNQ").contract(2027, 3).point_value == Decimal(2)


def test_wrong_names_and_months_are_told():
    with pytest.raises(ValueError, match="unknown symbol 'XYZ'; known are 6A"):
        product("XYZ")
    with pytest.raises(ValueError, match="13 is not a month"):
        product("NQ").contract(2026, 13)
