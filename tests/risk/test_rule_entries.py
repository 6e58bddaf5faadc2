"""The rulebook's file is read strictly: each mistake is one sentence with entry and field, and none is used."""

from __future__ import annotations

import copy
from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import rulebook
from risk.rule_entries import SPECS, RulebookInvalid, Stage, Topic, read

GOOD = rulebook.document(rulebook.FILE.read_text())
COMBINE_50 = "topstep combine 50K from 2024-08-25"
FIRST = next(i for i, raw in enumerate(GOOD["account"]) if (raw["stage"], raw["size"]) == ("combine", 50))


def broken(change):
    """Return the problems of the shipped file after `change` to its tables."""
    topics = copy.deepcopy(GOOD)
    change(topics)
    with pytest.raises(RulebookInvalid) as caught:
        read(topics)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return list(caught.value.problems)


def field(name, value):
    return broken(lambda topics: topics["account"][FIRST].update({name: value}))


def test_the_shipped_file_is_right():
    assert {entry.topic for entry in read(GOOD)} == set(Topic)


@pytest.mark.parametrize("name", ["firm", "source", "checked_on", "maximum_loss", "consistency_ratio", "last_open"])
def test_a_missing_parameter_is_named(name):
    assert broken(lambda topics: topics["account"][FIRST].pop(name))[0].endswith(f": {name} is missing")


def test_a_parameter_of_another_stage_is_no_field():
    assert field("payout_cap", 2000) == [f"{COMBINE_50}: payout_cap is not a field of account entries"]
    assert field("maximum_los", 2000) == [f"{COMBINE_50}: maximum_los is not a field of account entries"]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("maximum_loss", -2000, "is -2000: it must be above 0"),
        ("maximum_loss", 0, "is 0: it must be above 0"),
        ("start", -1, "is -1: it must not be negative"),
        ("maximum_loss", "2000", "is '2000': a number is needed"),
        ("maximum_loss", True, "is True: a number is needed"),
        ("maximum_loss", None, "is None: a number is needed"),
        ("maximum_loss", D("NaN"), "is Decimal('NaN'): a finite number is needed"),
        ("daily_loss", float("inf"), "is inf: a finite number is needed"),
        ("consistency_ratio", D("1.01"), "is 1.01: it must be above 0 and at most 1"),
        ("min_trading_days", D("1.5"), "is 1.5: it must be a whole number, 0 or more"),
        ("last_open", "15:8", "is '15:8': write a time like 15:08"),
        ("flat_by", "14:50", "14:50 is before 15:10, by which this version closes"),
        ("checked_on", "10.10.2026", "is '10.10.2026': write a date like 2026-10-10"),
        ("source", " ", "is ' ': a text is needed"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_it_must_be(name, value, problem):
    assert field(name, value) == [f"{COMBINE_50}: {name} {problem}"]


def test_an_unknown_stage_and_size_are_named():
    assert "known are practice, combine, express, live" in field("stage", "combin")[0]
    assert field("size", 75)[0].endswith("size is 75: known are 50, 100, 150, in thousands")


def test_two_entries_of_one_day_and_an_entry_that_begins_inside_another_overlap():
    def twice(topics):
        topics["account"].append(topics["account"][FIRST])

    assert broken(twice) == ["topstep combine 50K: two entries are effective_from 2024-08-25"]
    (overlap,) = field("effective_until", date(2026, 9, 17))
    assert overlap == (
        "topstep combine 50K: the entry from 2024-08-25 holds until 2026-09-17, the next is effective_from 2026-09-17: "
        "they overlap"
    )
    assert field("effective_until", date(2020, 1, 1))[0].endswith("effective_until 2020-01-01 is before effective_from")


def test_an_empty_file_lacks_every_topic_that_entries_need():
    assert broken(lambda topics: topics.clear()) == [
        f"there is no {topic} entry" for topic in ("account", "products", "caps", "conduct")
    ]


def test_wrong_products_caps_and_groups_are_named():
    assert broken(lambda t: t["products"][0]["symbols"].append("XYZ"))[0].endswith("names XYZ: no such product")
    assert broken(lambda t: t["caps"][0]["caps"][0].pop("contracts"))[0].endswith("rows with symbols and contracts")
    assert broken(lambda t: t["caps"][0]["caps"][1]["symbols"].append("CL"))[0].endswith("names CL twice")
    assert broken(lambda t: t["news"][0]["contracts"].pop("50"))[0].endswith("contracts for each of 50, 100, 150")
    assert broken(lambda t: t["conduct"][0]["groups"][1].append("ES"))[0].endswith("has a product in two groups")
    assert broken(lambda t: t.update({"payouts": []})) == [
        "payouts: unknown kind of entry; known are account, products, caps, news, conduct"
    ]


def test_levels_of_the_scaling_plan_rise_and_end_open():
    express = next(i for i, raw in enumerate(GOOD["account"]) if raw["stage"] == "express")
    for wrong in ([], [{"up_to": 1500, "lots": 2}], [{"lots": 0}], "2"):
        assert "scaling" in broken(lambda t, wrong=wrong: t["account"][express].update(scaling=wrong))[0]
    falling = [{"up_to": 2000, "lots": 2}, {"up_to": 1500, "lots": 3}, {"lots": 5}]
    assert "do not rise" in broken(lambda t: t["account"][express].update(scaling=falling))[0]


def test_every_mistake_is_told_at_once():
    def two(topics):
        topics["account"][FIRST].pop("maximum_loss")
        topics["account"][FIRST + 1]["daily_loss"] = -1

    assert len(broken(two)) == 2


def test_a_file_that_is_no_toml_is_one_problem():
    with pytest.raises(RulebookInvalid, match=r"rulebook\.toml is not TOML"):
        rulebook.parse("[[account")


junk = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.integers(), max_size=2))


@settings(deadline=None)
@given(st.integers(0, len(GOOD["account"]) - 1), st.data())
def test_whatever_stands_in_a_field_it_is_used_as_it_must_be_or_refused(place, data):
    """`None` never means unlimited: no junk gives an account of a traded stage without a limit."""
    raw = dict(GOOD["account"][place])
    topics = GOOD | {"account": [raw]}
    raw[data.draw(st.sampled_from(sorted(SPECS.keys() | raw.keys())))] = data.draw(junk)
    try:
        book = rulebook.Rulebook(read(topics))
    except RulebookInvalid:
        return
    for stage, size in book.accounts():
        found = book.parameters(stage, size, date(2026, 11, 18))
        if stage is Stage.LIVE or found is None:
            continue
        assert found.maximum_loss > 0
        assert found.max_lots > 0
        assert found.daily_loss > 0
