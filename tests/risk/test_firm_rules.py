"""Rules of the rulebook at the gate: `None` never means unlimited, and wrong data denies before anything else."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from market.orders import OrderType, Side
from risk.gate import Code, decide
from risk.news import Window
from risk.personal import Personal
from risk.rule_states import Elsewhere
from tests.risk.states import MARKET, MNQ, NOW, RULES, pair, position, single, state


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"problems": ("topstep combine 50K: maximum_loss is -1",)}, Code.RULEBOOK_INVALID),
        ({"parameters": None}, Code.NO_RULES),
        ({"permitted": None}, Code.PRODUCT_REFUSED),
        ({"permitted": frozenset()}, Code.PRODUCT_REFUSED),
        ({"personal": Personal(daily_loss=D(10))}, Code.PERSONAL_LOSS),
        ({"personal": Personal(daily_profit=D(0))}, Code.PERSONAL_PROFIT),
        ({"elsewhere": (Elsewhere("50KTC-2", "MES", Side.SELL, is_position=False),)}, Code.HEDGING),
        ({"windows": (Window("FOMC", NOW, NOW, None, "your own rule"),)}, Code.NEWS_WINDOW),
    ],
)
def test_each_rule_denies_with_its_code(changes, code):
    verdict = decide(single(), state(rules=replace(RULES, **changes)))
    assert (verdict.allowed, verdict.code, verdict.quantity) == (False, code, 0)


def test_rules_that_were_not_read_deny():
    verdict = decide(single(), state(rules=None))
    assert verdict.code is Code.RULEBOOK_INVALID
    assert "were not read" in verdict.sentence


@pytest.mark.parametrize("name", [field.name for field in fields(RULES) if field.name in ("parameters", "permitted")])
def test_none_never_means_unlimited(name):
    assert not decide(single(), state(rules=replace(RULES, **{name: None}))).allowed


def test_both_sides_of_a_pair_are_held_against_other_accounts():
    for side in Side:
        elsewhere = (Elsewhere("50KTC-2", "MNQ", side, is_position=True),)
        assert decide(pair(), state(rules=replace(RULES, elsewhere=elsewhere))).code is Code.HEDGING


def twin(side, **changes):
    """What another account works when it has the pair that `pair()` asks for."""
    return replace(Elsewhere("50KTC-2", "MNQ", side, False, MNQ.price(MARKET + 200 * side)), **changes)


def test_a_pair_may_repeat_a_pair_of_another_account():
    """What fills the buy here fills the buy there: they never stand against each other."""
    both = tuple(map(twin, Side))
    assert decide(pair(), state(rules=replace(RULES, elsewhere=both))).allowed
    for one in (
        {"pair_price": None},  # filled in part, without its sibling, or no stop
        {"pair_price": MNQ.price(MARKET + 201)},
        {"symbol": "MES"},
        {"is_position": True, "pair_price": None},
    ):
        elsewhere = (twin(Side.BUY, **one), twin(Side.SELL))
        assert decide(pair(), state(rules=replace(RULES, elsewhere=elsewhere))).code is Code.HEDGING
    limits = tuple(replace(side, type=OrderType.LIMIT) for side in pair().sides)  # a limit may fill on one account only
    assert decide(pair(sides=limits), state(rules=replace(RULES, elsewhere=both))).code is Code.HEDGING
    assert decide(single(), state(rules=replace(RULES, elsewhere=both))).code is Code.HEDGING


def test_a_window_of_ones_own_is_for_its_products_and_its_time():
    window = Window("EIA", NOW, NOW + timedelta(minutes=5), frozenset({"CL"}), "your own rule")
    assert decide(single(), state(rules=replace(RULES, windows=(window,)))).allowed
    window = replace(window, symbols=frozenset({"MNQ"}), starts_at=NOW + timedelta(seconds=1))
    assert decide(single(), state(rules=replace(RULES, windows=(window,)))).allowed


def test_an_open_position_is_no_entry_and_the_personal_limit_counts_it():
    rules = replace(RULES, personal=Personal(daily_loss=D(300)))
    # a contract loses 88 ticks x $0.50 and $1.22 at its stop, $45.22: six fit under $300, three beside three others
    held = (position(3),)
    assert decide(single(3), state(rules=rules)).quantity == 3
    assert decide(single(6), state(rules=rules, exposures=held)).quantity == 3


def test_many_trades_a_day_are_told_and_deny_nothing():
    verdict = decide(single(), state(rules=replace(RULES, trades=100)))
    assert verdict.allowed
    assert next(rule for rule in verdict.rules if rule.name == "trades today").ok is None
