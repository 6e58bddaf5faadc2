import json
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars import Timeframe
from strategies import STRATEGIES
from strategies.parameters import ParameterError, dump, fields_of, param, parse


class Mood(StrEnum):
    CALM = "calm"
    WILD = "wild"


@dataclass(frozen=True)
class Example:
    count: int = param(3, help="How many", unit="contracts", ge=1, le=10)
    ratio: Decimal = param(Decimal("2.0"), help="How far", unit="x ATR", ge=Decimal("0.1"), le=Decimal(20))
    on: bool = param(True, help="Whether")
    at: time = param(time(16, 0), help="When")
    mood: Mood = param(Mood.CALM, help="How")
    frame: Timeframe = param(Timeframe.M5, help="Bars", choices=(Timeframe.M1, Timeframe.M5))
    name: str = param("MNQ", help="What", choices=("MNQ", "MES"))

    def problems(self) -> dict[str, str]:
        return {"count": "must not be 7 when wild"} if (self.count, self.mood) == (7, Mood.WILD) else {}


def errors(values: dict[str, object]) -> dict[str, str]:
    with pytest.raises(ParameterError) as raised:
        parse(Example, values)
    return raised.value.errors


def test_the_fields_tell_what_a_form_needs():
    count, ratio, _, _, mood, _, name = fields_of(Example)
    assert (count.name, count.type, count.default, count.ge, count.le) == ("count", int, 3, 1, 10)
    assert (ratio.unit, ratio.help, name.choices) == ("x ATR", "How far", ("MNQ", "MES"))
    assert (mood.type, mood.choices) == (Mood, (Mood.CALM, Mood.WILD))


def test_nothing_given_means_the_defaults():
    assert parse(Example, {}) == Example()


@pytest.mark.parametrize("text", ["true", "True", "YES", "1", "on", " on "])
def test_words_for_yes(text):
    assert parse(Example, {"on": text}).on is True


@pytest.mark.parametrize("text", ["false", "False", "no", "0", "OFF"])
def test_words_for_no(text):
    assert parse(Example, {"on": text}).on is False


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", "5", 5),
        ("count", 5, 5),
        ("ratio", "2.5", Decimal("2.5")),
        ("ratio", 2.5, Decimal("2.5")),
        ("ratio", 3, Decimal(3)),
        ("ratio", Decimal("0.1"), Decimal("0.1")),
        ("at", "9:30", time(9, 30)),
        ("at", "15:59:30", time(15, 59, 30)),
        ("at", time(10), time(10)),
        ("mood", "wild", Mood.WILD),
        ("frame", "1m", Timeframe.M1),
        ("name", "MES", "MES"),
    ],
)
def test_values_are_read_as_their_type(name, value, expected):
    read = getattr(parse(Example, {name: value}), name)
    assert (read, type(read)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", "0", "0 is below the least allowed, 1 contracts"),
        ("count", 11, "11 is above the most allowed, 10 contracts"),
        ("count", "3.0", "'3.0' is not a whole number; write for example 3"),
        ("count", True, "True is not a whole number; write for example 3"),
        ("count", None, "None is not a whole number; write for example 3"),
        ("count", "٣", "'٣' is not a whole number; write for example 3"),
        ("ratio", "two", "'two' is not a number; write for example 2.0"),
        ("ratio", "nan", "'nan' is not a number; write for example 2.0"),
        ("ratio", Decimal("Infinity"), "Infinity is not a number; write for example 2.0"),
        ("ratio", "0.05", "0.05 is below the least allowed, 0.1 x ATR"),
        ("on", "maybe", "'maybe' is not yes or no; write true or false"),
        ("on", 1, "1 is not yes or no; write true or false"),
        ("on", "", "'' is not yes or no; write true or false"),
        ("at", "4pm", "'4pm' is not a time of day; write HH:MM, for example 16:00"),
        ("at", "24:61", "'24:61' is not a time of day; write HH:MM, for example 16:00"),
        ("mood", "angry", "'angry' is not one of calm, wild"),
        ("frame", "1M", "1M is not one of 1m, 5m"),  # a month is not a minute
        ("frame", "7m", "'7m' is not one of 1m, 5m"),
        ("name", "ES", "ES is not one of MNQ, MES"),
        ("name", 5, "5 is not text"),
        ("cuont", 5, "is no parameter; did you mean count?"),
    ],
)
def test_a_wrong_value_is_told_with_its_bound(name, value, message):
    assert errors({name: value}) == {name: message}


def test_all_that_is_wrong_is_told_at_once():
    assert list(errors({"count": 0, "on": "?", "nmae": 1, "ratio": "2"})) == ["count", "on", "nmae"]


def test_the_error_reads_as_one_line():
    with pytest.raises(ParameterError, match=r"^count: 0 is below .*; name: ES is not one of MNQ, MES$"):
        parse(Example, {"count": 0, "name": "ES"})


def test_values_that_do_not_go_together_are_told():
    assert errors({"count": 7, "mood": "wild"}) == {"count": "must not be 7 when wild"}


def test_a_number_without_bounds_is_a_mistake_of_the_strategy():
    @dataclass
    class Unbounded:
        size: int = param(1, help="How many")

    with pytest.raises(TypeError, match="size needs help, and bounds"):
        fields_of(Unbounded)


@given(
    st.builds(
        Example,
        count=st.integers(1, 10),
        ratio=st.decimals(Decimal("0.1"), Decimal(20), places=4),
        on=st.booleans(),
        at=st.times().map(lambda at: at.replace(microsecond=0)),
        mood=st.sampled_from(Mood),
        frame=st.sampled_from((Timeframe.M1, Timeframe.M5)),
        name=st.sampled_from(("MNQ", "MES")),
    ).filter(lambda params: not params.problems())
)
def test_what_is_written_as_json_is_read_back(params):
    assert parse(Example, json.loads(json.dumps(dump(params)))) == params


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_every_strategys_parameters_have_help_bounds_and_valid_defaults(strategy):
    specs = fields_of(strategy.parameters)
    assert {"symbol", "size"} <= {spec.name for spec in specs}
    defaults = dump(strategy.parameters())
    assert parse(strategy.parameters, defaults) == strategy.parameters()
    assert parse(strategy.parameters, {name: str(value) for name, value in defaults.items()}) == strategy.parameters()
