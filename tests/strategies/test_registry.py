import re
from pathlib import Path

import pytest

from strategies import ENABLED, ENVIRONMENT, STRATEGIES
from strategies.parameters import ParameterSpec, dump, fields_of, parse

PAGES = Path(__file__).parents[2] / "docs" / "strategies"
SOURCES = Path(__file__).parents[2] / "strategies"


def test_the_overnight_range_is_on_by_default():
    assert [name for name, strategy in STRATEGIES.items() if strategy.enabled_by_default] == ["overnight_range"]


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_every_variable_sets_something_that_is_there(variable):
    name, parameter = ENVIRONMENT[variable]
    assert parameter in {ENABLED, *(spec.name for spec in fields_of(STRATEGIES[name].parameters))}


def test_the_known_variables_are_read_as_they_are_written():
    written = {
        "OVERNIGHT_SYMBOL": "MNQ",
        "OVERNIGHT_POSITION_SIZE": "3",
        "OVERNIGHT_ATR_PERIOD": "14",
        "OVERNIGHT_ATR_MULTIPLIER_SL": "2.0",
        "OVERNIGHT_ATR_MULTIPLIER_TP": "2.5",
        "OVERNIGHT_USE_BREAKEVEN": "true",
        "OVERNIGHT_BREAKEVEN_PROFIT_PTS": "15",
        "OVERNIGHT_EOD_FLATTEN": "true",
        "OVERNIGHT_EOD_FLATTEN_TIME": "16:00",
        "OVERNIGHT_FILTER_RANGE_SIZE": "false",
        "OVERNIGHT_FILTER_GAP": "false",
        "OVERNIGHT_FILTER_VOLATILITY": "false",
        "OVERNIGHT_FILTER_DLL_PROXIMITY": "false",
    }
    assert {*written, "OVERNIGHT_ENABLED"} == {
        name for name, (kind, _) in ENVIRONMENT.items() if kind == "overnight_range"
    }
    strategy = STRATEGIES["overnight_range"]
    values = {ENVIRONMENT[variable][1]: value for variable, value in written.items()}
    assert parse(strategy.parameters, values) == strategy.parameters()  # they are the defaults


def test_only_the_overnight_range_shows_a_range_that_is_verified_when_it_is_acted_on():
    """An operation compares `range_high` and `range_low` of a signal with the captured overnight range."""
    words = {name: (SOURCES / f"{name}.py").read_text() for name in STRATEGIES}
    assert [name for name, text in words.items() if '"range_high"' in text] == ["overnight_range"]


def cells(spec: ParameterSpec, default: object) -> list[str]:
    """Return a parameter's row in its strategy's page."""
    allowed = f"{spec.ge} to {spec.le}" if spec.ge is not None else ", ".join(str(choice) for choice in spec.choices)
    shown = str(default).lower() if spec.type is bool else str(default)
    return [
        f"`{spec.name}`",
        f"`{shown}`",
        "the firm's products" if spec.name == "symbol" else allowed,
        spec.unit,
        spec.help,
    ]


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_the_page_of_a_strategy_lists_every_parameter(strategy):
    page = (PAGES / f"{strategy.name}.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    listed = {row[0]: row for row in rows if len(row) == 5}
    defaults = dump(strategy.parameters())
    expected = {f"`{spec.name}`": cells(spec, defaults[spec.name]) for spec in fields_of(strategy.parameters)}
    assert listed == expected


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_the_page_of_a_strategy_names_its_variables(strategy):
    page = (PAGES / f"{strategy.name}.md").read_text()
    assert set(re.findall(r"`([A-Z_]+_[A-Z_]+)`", page)) == {
        variable for variable, (name, _) in ENVIRONMENT.items() if name == strategy.name
    }


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda strategy: strategy.name)
def test_every_strategy_has_a_switch_in_the_environment(strategy):
    switches = [name for name, (kind, field) in ENVIRONMENT.items() if (kind, field) == (strategy.name, ENABLED)]
    assert switches == [f"{strategy.name.upper()}_ENABLED".replace("OVERNIGHT_RANGE", "OVERNIGHT")]
