from __future__ import annotations

from datetime import time
from decimal import Decimal

import pytest
from django.http import HttpResponse

from strategies.overnight_range import Parameters
from strategies.parameters import fields_of
from tests.factories import ContractFactory
from tests.tradingbot.browsing import words
from tradingbot.admin.parameters import PREFIX
from tradingbot.models import Notification, Strategy
from tradingbot.operations.orders.opening import config_version


@pytest.fixture
def page(day) -> str:
    return f"/admin/tradingbot/strategy/{day.strategy.pk}/change/"


def filled(strategy: Strategy, **changes: str) -> dict[str, str]:
    """Return the form as a browser sends it, with `changes`; an empty change switches off."""
    typed = {
        PREFIX + name: ("on" if value else "") if isinstance(value, bool) else str(value)
        for name, value in strategy.parameters.items()
    }
    return {key: value for key, value in ({"enabled": "on"} | typed | changes).items() if value}


def test_every_parameter_is_a_field_with_its_meaning_bounds_and_unit(panel, page):
    response = panel.get(page)
    text = words(response)
    for spec in fields_of(Parameters):
        assert f'name="{PREFIX}{spec.name}"' in response.content.decode()
        assert spec.help in text
    assert "Contracts of each of the two entries, at most. Default 3, 1 to 150 contracts." in text
    assert "Move the stop to the entry once the trade is far enough in profit. Default on." in text
    assert '{"' not in text  # no JSON anywhere


def test_saved_parameters_are_typed(panel, page, day):
    form = filled(
        day.strategy,
        **{f"{PREFIX}size": "5", f"{PREFIX}stop_atr": "1.75", f"{PREFIX}flat_at": "15:45", f"{PREFIX}breakeven": ""},
    )
    response = panel.post(page, form)
    assert response.status_code == 302, words(response)
    day.strategy.refresh_from_db()
    params = day.strategy.typed_parameters()
    assert (params.size, params.stop_atr, params.flat_at, params.breakeven) == (5, Decimal("1.75"), time(15, 45), False)
    assert day.strategy.history.first().history_user.username == "ada"


def test_the_history_shows_each_parameter_that_changed(panel, page, day):
    panel.post(page, filled(day.strategy, **{f"{PREFIX}size": "5", f"{PREFIX}stop_atr": "1.75"}))
    text = words(panel.get(page.replace("change", "history")))
    assert "size: 3 arrow_right_alt 5 stop_atr: 2.0 arrow_right_alt 1.75" in text
    assert f"{config_version(Strategy.objects.get())} none yet" in text  # no decision names this version so far
    assert "parameters:" not in text


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("size", "0", "0 is below the least allowed, 1 contracts"),
        ("size", "three", "'three' is not a whole number; write for example 3"),
        ("stop_atr", "99", "99 is above the most allowed, 20 x ATR"),
        ("flat_at", "25:00", "is not a time of day; write HH:MM"),
        ("flat_at", "18:30", "is not between 09:30 and 17:00 New York"),
        ("zone_near", "0.9", "0.9 is above zone_far, 0.68"),
        ("symbol", "MES", "The venue lists no contract MES; it lists MNQ."),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_written(panel, page, day, field, value, error):
    before = Strategy.objects.values().get()
    response = panel.post(page, filled(day.strategy, **{PREFIX + field: value, f"{PREFIX}target_atr": "3"}))
    assert error in words(response)
    assert Strategy.objects.values().get() == before


def test_a_value_pinned_by_the_environment_is_locked(panel, page, day, monkeypatch):
    monkeypatch.setenv("OVERNIGHT_POSITION_SIZE", "3")
    text = words(panel.get(page))
    assert "Locked by OVERNIGHT_POSITION_SIZE in the environment." in text
    form = filled(day.strategy, **{f"{PREFIX}size": "9", f"{PREFIX}target_atr": "3"})
    assert panel.post(page, form).status_code == 302
    day.strategy.refresh_from_db()
    assert (day.strategy.parameters["size"], day.strategy.parameters["target_atr"]) == (3, "3")


def test_switching_in_the_form_goes_the_way_of_every_switch(panel, page, day):
    assert panel.post(page, filled(day.strategy, enabled="")).status_code == 302
    day.strategy.refresh_from_db()
    assert not day.strategy.enabled
    assert Notification.objects.filter(title="overnight_range stopped", body="by ada").exists()


def test_a_pinned_switch_says_why_it_does_not_move(panel, day, monkeypatch):
    monkeypatch.setenv("OVERNIGHT_ENABLED", "true")
    response = panel.post(f"/admin/tradingbot/strategy/{day.strategy.pk}/toggle/", follow=True)
    assert "is set by OVERNIGHT_ENABLED=true; change it there" in words(response)
    day.strategy.refresh_from_db()
    assert day.strategy.enabled


def test_the_switch_asks_first(panel, day):
    address = f"/admin/tradingbot/strategy/{day.strategy.pk}/toggle/"
    assert "Switch overnight_range off?" in words(panel.get(address))
    day.strategy.refresh_from_db()
    assert day.strategy.enabled
    assert "overnight_range is off." in words(panel.post(address, follow=True))
    day.strategy.refresh_from_db()
    assert not day.strategy.enabled


def test_evaluating_now_is_a_hint_to_a_worker(panel, day, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as hints:
        response = panel.post(f"/admin/tradingbot/strategy/{day.strategy.pk}/run_now/", follow=True)
    assert "A worker evaluates overnight_range" in words(response)
    assert len(hints) == 1


def test_a_strategy_is_added_by_name_kind_account_and_product(panel, day):
    form = {"name": "second", "kind": "overnight_range", "account": day.account.pk, "symbol": "MNQ"}
    assert panel.post("/admin/tradingbot/strategy/add/", form).status_code == 302
    assert not Strategy.objects.get(name="second").enabled
    response = panel.post("/admin/tradingbot/strategy/add/", form | {"name": "third", "symbol": "XYZ"})
    assert "The venue lists no contract XYZ" in words(response)


def as_rendered(response: HttpResponse) -> dict[str, str]:
    """Return what a browser sends of a form in which nobody typed."""
    values = {field.html_name: field.value() for field in response.context["adminform"].form}
    return {name: "on" if value is True else str(value) for name, value in values.items() if value not in (None, False)}


def test_a_strategy_added_for_another_product_keeps_it(panel, day):
    ContractFactory(symbol="MES", name="MESZ6")
    form = {"name": "second", "kind": "overnight_range", "account": day.account.pk, "symbol": "MES"}
    assert panel.post("/admin/tradingbot/strategy/add/", form).status_code == 302
    added = Strategy.objects.get(name="second")
    assert (added.symbol, added.typed_parameters().symbol) == ("MES", "MES")
    page = f"/admin/tradingbot/strategy/{added.pk}/change/"
    assert panel.post(page, as_rendered(panel.get(page)) | {f"{PREFIX}size": "1"}).status_code == 302
    added.refresh_from_db()
    assert (added.symbol, added.parameters["symbol"], added.parameters["size"]) == ("MES", "MES", 1)


def test_the_form_shows_the_product_that_is_traded_where_no_parameter_names_it(panel, page, day):
    ContractFactory(symbol="MES", name="MESZ6")
    Strategy.objects.update(symbol="MES", parameters={})
    assert panel.post(page, as_rendered(panel.get(page))).status_code == 302
    day.strategy.refresh_from_db()
    assert (day.strategy.symbol, day.strategy.parameters["symbol"]) == ("MES", "MES")
