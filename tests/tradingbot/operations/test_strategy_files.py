"""Strategies as a file: what is written is read back, what is wrong is said at once, and nothing is half done."""

from __future__ import annotations

import pytest

from tests.factories import NOW, ContractFactory
from tradingbot.models import Strategy
from tradingbot.operations import strategies, strategy_files
from tradingbot.operations.differences import Difference
from tradingbot.operations.strategy_files import BadFile, compare, put_in_force


@pytest.fixture
def rows(account) -> list[Strategy]:
    ContractFactory()
    return strategies.sync(now=NOW)


def told(text: str) -> list[str]:
    with pytest.raises(BadFile) as wrong:
        compare(text)
    return wrong.value.problems


def test_what_is_written_reads_back_without_a_difference(rows):
    assert compare(strategy_files.write(Strategy.objects.all())) == []


def test_a_file_changes_what_it_names_and_nothing_else(rows):
    text = "strategies: {ema_cross: {enabled: yes, parameters: {entry_until: 14:30, size: 2}}}"
    (change,) = compare(text)
    assert change.differences == (
        Difference("enabled", False, True),
        Difference("size", 1, 2),
        Difference("entry_until", "15:00", "14:30"),  # YAML alone would read 870
    )
    assert not Strategy.objects.get(name="ema_cross").enabled  # looked at, not written
    put_in_force([change], by="ada", now=NOW)
    row = Strategy.objects.get(name="ema_cross")
    assert (row.enabled, row.typed_parameters().size, f"{row.typed_parameters().entry_until:%H:%M}") == (
        True,
        2,
        "14:30",
    )
    assert row.history.filter(history_change_reason="imported by ada").exists()
    assert compare(text) == []


def test_what_was_written_while_the_question_stood_stays(rows):
    (change,) = compare("strategies: {overnight_range: {parameters: {size: 2}}}")
    workers = {"halted_on": NOW.date(), "halt_reason": "both sides filled", "stopped_reason": "3 losses",
               "stopped_at": NOW, "results_since": NOW, "last_evaluated_at": NOW, "evaluations": 7}  # fmt: skip
    row = Strategy.objects.get(name="overnight_range")
    Strategy.objects.update(**workers, enabled=False, parameters=row.parameters | {"atr_period": 20})
    put_in_force([change], by="ada", now=NOW)
    row.refresh_from_db()
    assert {name: getattr(row, name) for name in workers} == workers
    assert (row.enabled, row.typed_parameters().atr_period, row.typed_parameters().size) == (False, 20, 2)
    assert row.history.latest().halted_on == NOW.date()


def test_values_that_no_longer_go_together_change_nothing(rows):
    (change,) = compare("strategies: {ema_cross: {parameters: {fast_period: 15}}}")
    row = Strategy.objects.get(name="ema_cross")
    Strategy.objects.filter(pk=row.pk).update(parameters=row.parameters | {"slow_period": 12})
    with pytest.raises(ValueError, match="slow_period"):
        put_in_force([change], by="ada", now=NOW)
    row.refresh_from_db()
    assert row.typed_parameters().fast_period == 9


def test_a_second_strategy_of_a_kind_is_made_with_the_defaults_it_does_not_name(rows, account):
    text = f"strategies: {{quick: {{kind: ema_cross, account: {account.name}, symbol: MNQ, parameters: {{size: 4}}}}}}"
    (change,) = compare(text)
    put_in_force([change], by="ada", now=NOW)
    row = Strategy.objects.get(name="quick")
    assert (row.kind, row.account, row.enabled, row.typed_parameters().size) == ("ema_cross", account, False, 4)
    assert row.typed_parameters().fast_period == 9


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "it is no YAML"),
        ("strategies: []", "it has no `strategies:`"),
        ("strategies: {ema_cross: {parameters: {siez: 2}}}", "ema_cross: siez: is no parameter; did you mean size?"),
        ("strategies: {ema_cross: {parameters: {size: 0}}}", "ema_cross: size: 0 is below the least allowed"),
        ("strategies: {ema_cross: {parameter: {size: 2}}}", "parameter: is no field; did you mean parameters?"),
        ("strategies: {ema_cross: {enabled: perhaps}}", "ema_cross: enabled: 'perhaps' is not yes or no"),
        ("strategies: {ema_cross: {symbol: ES}}", "lists no contract ES"),
        ("strategies: {ema_cross: {kind: pdh_pdl}}", "ema_cross: kind: stays ema_cross"),
        ("strategies: {ema_cross: {size: 1, size: 2}}", "line 1: size is there twice"),
        ("strategies: {new: {kind: ema_crss, account: A}}", "there is no strategy ema_crss; did you mean ema_cross?"),
        ("strategies: {new: {symbol: MNQ}}", "new: kind: is missing"),
        ("strategies: {new: {kind: ema_cross, account: A}}", "new: account: no account is named A; there is PRAC-V2-"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(rows, text, problem):
    assert any(problem in line for line in told(text)), told(text)


def test_a_file_that_is_wrong_anywhere_changes_nothing(rows):
    text = "strategies: {ema_cross: {parameters: {size: 2}}, pdh_pdl: {parameters: {size: 0}}}"
    assert len(told(text)) == 1


def test_what_the_environment_sets_stays_there(rows, monkeypatch):
    monkeypatch.setenv("OVERNIGHT_POSITION_SIZE", "3")
    (problem,) = told("strategies: {overnight_range: {parameters: {size: 5}}}")
    assert problem == "overnight_range: size: is set by OVERNIGHT_POSITION_SIZE=3; change it there"
