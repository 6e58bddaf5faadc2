"""The consistency governor: what is still useful today, and what it does to an entry near the day's cap."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk import consistency
from risk.consistency import Days
from risk.gate import Code, decide
from risk.personal import Personal
from tests.risk.states import RULES, single, state

COMBINE = RULES.parameters
cents = st.integers(-500_000, 500_000).map(lambda number: D(number) / 100)


def useful(made, *, total=0, best=0, safety=0):
    return consistency.useful_today(COMBINE, Days(D(total), D(best), 3), made=D(made), safety=D(safety))


@pytest.mark.parametrize(
    ("made", "facts", "expected"),
    [
        (0, {}, 1650),  # 0.55 x 3,000
        (0, {"safety": 50}, 1600),
        (1000, {}, 650),
        (1650, {}, 0),
        (2000, {}, 0),
        (-400, {}, 2050),  # a loss of the day is made up for first
        (0, {"total": 2400}, 600),  # more than what passes is of no use
        (0, {"total": 2000, "best": 1800}, D("1272.727272727272727272727273")),  # 1,800 / 0.55 are needed by now
        (0, {"best": 1800}, 1800),  # a day as large as the best one raises nothing
    ],
)
def test_dollars_that_are_still_useful_today(made, facts, expected):
    assert useful(made, **facts) == expected


@given(cents, cents, st.integers(0, 300_000).map(lambda number: D(number) / 100))
def test_what_is_useful_never_raises_what_is_needed(made, total, best):
    more = consistency.useful_today(COMBINE, Days(total, best, 3), made=made, safety=D(0))
    rules = {"target": COMBINE.profit_target, "ratio": COMBINE.consistency_ratio}
    before = consistency.needed_total(**rules, best_day=best)
    if more:
        after = consistency.needed_total(**rules, best_day=max(best, made + more))
        assert after <= before + D("1e-20")


def governed(governor, made, quantity=3, **changes):
    rules = replace(RULES, personal=Personal(governor=governor, governor_safety=D(50)))
    return decide(single(quantity, **changes), state(rules=rules, day_profit=D(made)))


def row(verdict):
    return next(rule for rule in verdict.rules if rule.name == "useful today")


def test_off_only_shows_what_is_useful():
    verdict = governed("off", 5000)
    assert (verdict.allowed, verdict.quantity) == (True, 3)
    assert (row(verdict).value, row(verdict).limit, row(verdict).ok) == ("$0.00 more", "day's cap $1,600.00", None)


def test_stop_takes_no_entry_once_the_day_has_made_its_cap():
    assert governed("stop", "1599.99").quantity == 3
    verdict = governed("stop", 1600)
    assert (verdict.allowed, verdict.code) == (False, Code.CONSISTENCY)
    assert "raises what is needed to pass" in verdict.sentence


def test_reduce_cuts_the_size_so_that_the_target_stays_under_the_cap():
    # a target of 100 ticks is $50 a contract: $120 are left, so two fit
    verdict = governed("reduce", 1480)
    assert verdict.quantity == 2
    assert row(verdict).note == "2 contracts stay under the cap at their target"
    assert governed("reduce", 1590).quantity == 1  # the smallest size while anything is useful
    assert governed("reduce", 1600).code is Code.CONSISTENCY
    assert governed("reduce", 1480, target_ticks=None).quantity == 3  # no target, nothing to count


def test_a_governor_without_a_known_result_of_the_day_denies():
    rules = replace(RULES, personal=Personal(governor="stop"))
    assert decide(single(), state(rules=rules, day_profit=None)).code is Code.DAY_UNKNOWN


def test_a_stage_without_a_target_is_not_governed():
    express = replace(RULES.parameters, profit_target=None)
    rules = replace(RULES, parameters=express, personal=Personal(governor="stop"))
    assert decide(single(), state(rules=rules, day_profit=D(9000))).allowed
