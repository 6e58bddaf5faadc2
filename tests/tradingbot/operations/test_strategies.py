from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from market.orders import OrderStatus
from strategies import ENVIRONMENT, STRATEGIES
from strategies.parameters import ParameterError
from tests.factories import NOW, AccountFactory
from tradingbot.models import Notification, Order, SessionStep, Strategy
from tradingbot.operations import sessions, strategies


def test_the_documented_variables_seed_the_strategy(account, monkeypatch):
    values = {
        "OVERNIGHT_ENABLED": "true",
        "OVERNIGHT_SYMBOL": "MES",
        "OVERNIGHT_POSITION_SIZE": "2",
        "OVERNIGHT_ATR_PERIOD": "20",
        "OVERNIGHT_ATR_MULTIPLIER_SL": "1.5",
        "OVERNIGHT_ATR_MULTIPLIER_TP": "3",
        "OVERNIGHT_USE_BREAKEVEN": "false",
        "OVERNIGHT_BREAKEVEN_PROFIT_PTS": "12.25",
        "OVERNIGHT_EOD_FLATTEN": "yes",
        "OVERNIGHT_EOD_FLATTEN_TIME": "15:30",
        "OVERNIGHT_FILTER_RANGE_SIZE": "true",
        "OVERNIGHT_FILTER_GAP": "1",
        "OVERNIGHT_FILTER_VOLATILITY": "on",
        "OVERNIGHT_FILTER_DLL_PROXIMITY": "True",
    }
    assert set(values) == {name for name, (kind, _) in ENVIRONMENT.items() if kind == "overnight_range"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    row, *others = strategies.sync(now=NOW)
    assert (row.name, row.enabled, row.symbol, row.account) == ("overnight_range", True, "MES", account)
    params = row.typed_parameters()
    assert (params.size, params.atr_period, params.stop_atr, params.target_atr) == (2, 20, Decimal("1.5"), 3)
    assert (params.breakeven, params.breakeven_points, params.flatten) == (False, Decimal("12.25"), True)
    assert f"{params.flat_at:%H:%M}" == "15:30"
    assert params.filter_range_size
    assert params.filter_gap
    assert params.filter_volatility
    assert params.filter_dll_proximity
    assert strategies.pinned(row) == {ENVIRONMENT[name][1]: name for name in values}
    assert not any(other.enabled or strategies.pinned(other) for other in others)


def test_without_variables_it_is_on_with_its_defaults(account):
    row, *others = strategies.sync(now=NOW)
    assert [other.enabled for other in others] == [False] * (len(STRATEGIES) - 1)
    assert (row.enabled, row.symbol, row.typed_parameters()) == (
        True,
        "MNQ",
        STRATEGIES["overnight_range"].parameters(),
    )
    assert strategies.pinned(row) == {}


def test_a_pinned_value_comes_back_and_what_a_person_set_stays(account, monkeypatch):
    monkeypatch.setenv("OVERNIGHT_POSITION_SIZE", "2")
    row, *_ = strategies.sync(now=NOW)
    row.parameters |= {"size": 9, "entry_offset_ticks": 5}
    row.enabled = False
    row.save()
    row, *_ = strategies.sync(now=NOW)
    assert (row.parameters["size"], row.parameters["entry_offset_ticks"], row.enabled) == (2, 5, False)


def test_again_changes_nothing_and_says_nothing(account):
    strategies.sync(now=NOW)
    said = Notification.objects.count()
    strategies.sync(now=NOW)
    assert (Strategy.objects.count(), Notification.objects.count()) == (len(STRATEGIES), said)


def test_an_empty_variable_sets_nothing(account, monkeypatch):
    monkeypatch.setenv("OVERNIGHT_POSITION_SIZE", " ")
    row, *_ = strategies.sync(now=NOW)
    assert row.parameters["size"] == 3
    assert strategies.pinned(row) == {}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OVERNIGHT_POSITON_SIZE", "2", "OVERNIGHT_POSITON_SIZE: there is no such variable; did you mean OVERNIGHT_PO"),
        ("OVERNIGHT_POSITION_SIZE", "0", "OVERNIGHT_POSITION_SIZE: 0 is below the least allowed, 1 contracts"),
        ("OVERNIGHT_POSITION_SIZE", "two", "OVERNIGHT_POSITION_SIZE: 'two' is not a whole number"),
        ("OVERNIGHT_SYMBOL", "MNX", "OVERNIGHT_SYMBOL: MNX is not one of"),
        ("OVERNIGHT_ENABLED", "maybe", "OVERNIGHT_ENABLED: 'maybe' is not yes or no"),
        ("OVERNIGHT_EOD_FLATTEN_TIME", "25:00", "OVERNIGHT_EOD_FLATTEN_TIME: '25:00' is not a time of day"),
        ("PDH_PDL_ENABLED", "perhaps", "PDH_PDL_ENABLED: 'perhaps' is not yes or no"),
        ("EMA_CROSS_ENABLE", "true", "EMA_CROSS_ENABLE: there is no such variable; did you mean EMA_CROSS_ENABLED?"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_one_clear_error_and_nothing_is_written(account, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        strategies.sync(now=NOW)
    assert said in str(refused.value)
    assert not Strategy.objects.exists()


def test_every_wrong_variable_is_named(monkeypatch):
    monkeypatch.setenv("OVERNIGHT_POSITION_SIZE", "0")
    monkeypatch.setenv("OVERNIGHT_ATR_PERIOD", "1")
    with pytest.raises(ImproperlyConfigured) as refused:
        strategies.read_environment()
    assert {line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]} == {
        "OVERNIGHT_POSITION_SIZE",
        "OVERNIGHT_ATR_PERIOD",
    }


@pytest.mark.parametrize("kind", [kind for kind in STRATEGIES if kind != "overnight_range"])
def test_every_strategy_has_a_switch(account, monkeypatch, kind):
    monkeypatch.setenv(f"{kind.upper()}_ENABLED", "true")
    assert {row.name for row in strategies.sync(now=NOW) if row.enabled} == {"overnight_range", kind}


def test_the_selected_account_is_traded_else_practice_first(db):
    AccountFactory(name="50KTC-V2-1", stage="combine")
    practice = AccountFactory(name="PRAC-V2-9", stage="practice")
    AccountFactory(name="LIVE", stage="live")
    assert strategies.sync(now=NOW)[0].account == practice
    Strategy.objects.all().delete()
    chosen = AccountFactory(name="EXPRESS-V2-1", stage="express", selected=True)
    assert strategies.sync(now=NOW)[0].account == chosen


def test_without_an_account_there_is_nothing_to_make(db):
    assert strategies.sync(now=NOW) == []


class TestSwitch:
    def test_start_plans_the_session(self, strategy, contract):
        sessions.ensure_calendar(now=NOW)
        Strategy.objects.update(enabled=False)
        assert strategies.start(strategy, by="a person", now=NOW)
        assert SessionStep.objects.filter(strategy=strategy).count() == 2
        assert not strategies.start(strategy, by="a person", now=NOW)
        assert Notification.objects.get().title == "overnight_range started"

    def test_start_refuses_parameters_that_cannot_be_used(self, strategy):
        Strategy.objects.update(enabled=False, parameters={"size": 0})
        with pytest.raises(ParameterError):
            strategies.start(Strategy.objects.get(), by="a person", now=NOW)
        assert not Strategy.objects.get().enabled

    def test_stop_cancels_the_entries_and_leaves_the_stop_of_a_position(self, strategy, contract):
        common = {
            "account": strategy.account, "strategy": strategy, "contract": contract, "session_date": NOW.date(),
            "quantity": 3, "type": "stop", "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        entry = Order.objects.create(
            **common, tag="e", role="entry", side=1, stop_price=21_000, stop_ticks=40, status="working"
        )
        stop = Order.objects.create(**common, tag="s", role="stop", side=-1, stop_price=20_900, status="working")
        strategies.stop(strategy, by="a person", now=NOW)
        entry.refresh_from_db()
        stop.refresh_from_db()
        assert (entry.status, stop.status) == (OrderStatus.CANCEL_PENDING, OrderStatus.WORKING)

    def test_what_the_environment_pins_is_changed_there(self, strategy, monkeypatch):
        monkeypatch.setenv("OVERNIGHT_ENABLED", "true")
        with pytest.raises(ValueError, match="is set by OVERNIGHT_ENABLED=true; change it there"):
            strategies.stop(strategy, by="a person", now=NOW)
