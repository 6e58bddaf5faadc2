"""Personal limits of the day: fixed, trailing and a profit target; halt or flatten until the next session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from risk.gate import Code
from tests.tradingbot.operations.ledgers import open_desk
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import PersonalRules, TradingState
from tradingbot.operations import limits_watch, risk_states, venues
from tradingbot.operations.streaming import watching

TODAY = date(2026, 11, 18)
NEXT_OPEN = datetime(2026, 11, 18, 23, 0, tzinfo=UTC)


@pytest.fixture
def desk(db) -> Iterator[Desk]:
    desk = open_desk()
    desk.minute(0, 0, 0, 0)
    desk.look()
    yield desk
    venues.forget()


def personal(desk: Desk, **limits) -> PersonalRules:
    return PersonalRules.objects.create(account=desk.account, **limits)


def result(desk: Desk, day: str) -> str:
    """Hold the account against its limits with a result of the day; return why it was stopped."""
    equity = 50_000 + D(day)
    worth = risk_states.Worth(D(50_000), D(day), equity, D(day))
    said = limits_watch.check(desk.account, now=desk.now, worth=worth)
    desk.account.refresh_from_db()
    return said


def test_a_fixed_loss_that_is_touched_flattens_and_locks_until_the_next_session(desk):
    personal(desk, daily_loss=500)
    assert result(desk, "-499.99") == ""
    assert result(desk, "-500").startswith("Personal loss limit reached: -500.00 of -500.00 dollars (fixed)")
    assert (desk.account.trading_state, desk.account.state_until) == (TradingState.HALTED, NEXT_OPEN)
    assert desk.account.flatten_requested_at == desk.now


def test_a_trailing_loss_counts_from_the_best_result_of_the_day_and_anew_on_the_next(desk):
    row = personal(desk, daily_loss=500, trailing=True, loss_action="halt")
    assert result(desk, "-300") == ""
    assert result(desk, "400") == ""
    assert result(desk, "-99.99") == ""
    assert limits_watch.typed(PersonalRules.objects.get(pk=row.pk), TODAY).peak == 400
    assert limits_watch.typed(PersonalRules.objects.get(pk=row.pk), date(2026, 11, 19)).peak == 0
    assert "of -100.00 dollars (trailing from +400.00)" in result(desk, "-100")
    assert desk.account.trading_state == TradingState.HALTED
    assert desk.account.flatten_requested_at is None  # only no new entries


def test_a_profit_target_ends_the_day_and_a_dollar_less_does_not(desk):
    personal(desk, daily_profit=600, profit_action="flatten")
    assert result(desk, "599.99") == ""
    assert result(desk, "600").startswith("Personal profit target reached")
    assert desk.account.flatten_requested_at is not None


def test_a_person_who_resumes_is_stopped_again_while_the_limit_is_reached(desk):
    from tradingbot.operations import trading

    personal(desk, daily_loss=500, loss_action="halt")
    result(desk, "-500")
    trading.resume(desk.account, by="ada", now=desk.now)
    assert result(desk, "-500")
    assert desk.account.trading_state == TradingState.HALTED


def test_the_gate_keeps_the_worst_case_of_the_day_above_the_personal_limit(desk):
    row = personal(desk, daily_loss=50)
    denied = desk.pair()  # a contract on each side loses 2 x (48 ticks x $0.50 + $1.22) = $50.44 at the stops
    assert denied.code == Code.PERSONAL_LOSS
    PersonalRules.objects.filter(pk=row.pk).update(daily_loss=None, daily_profit=1)
    assert desk.pair().outcome == "ordered"


def test_every_quote_is_held_against_limits_that_close_and_not_against_those_that_only_halt(desk):
    row = personal(desk, daily_loss=300, daily_profit=700, profit_action="flatten")
    assert limits_watch.least_result(desk.account, on=TODAY) == -300
    assert limits_watch.most_result(desk.account) == 700
    assert watching._least(desk.account, desk.now) == 49_700
    PersonalRules.objects.filter(pk=row.pk).update(loss_action="halt", profit_action="halt")
    assert limits_watch.least_result(desk.account, on=TODAY) is None
    assert limits_watch.most_result(desk.account) is None
    assert watching._least(desk.account, desk.now) == 48_000
