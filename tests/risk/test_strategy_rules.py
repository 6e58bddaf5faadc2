"""What a person allows one strategy: each rule alone, its code, its sentence, and what it does to the size."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk import windows
from risk.gate import Code, decide
from risk.strategies import StrategyLimits, StrategyState
from tests.risk.states import BUY, NOW, order, pair, position, single, state


def ask(request=None, *, limits, account=None, **done):
    strategy = StrategyState(StrategyLimits(**limits), **done)
    return decide(request or pair(3), state(strategy=strategy, **(account or {})))


# A pair of MNQ with stops of 80 ticks: a side risks (80 + 8) x $0.50 + $1.22 = $45.22 a contract, both $90.44.
@pytest.mark.parametrize(
    ("limits", "done", "code", "words"),
    [
        ({"max_positions": 1}, {"positions": 1}, Code.STRATEGY_POSITIONS, "2 positions or working entries at once"),
        ({"max_entries": 2}, {"entries": 2}, Code.STRATEGY_ENTRIES, "entry 3 of the session"),
        ({"max_signals": 5}, {"signals": 5}, Code.STRATEGY_SIGNALS, "signal 6 of the session"),
        ({"min_reward_risk": D("1.26")}, {}, Code.REWARD_RISK, "may win 1.25 times what it risks"),
        ({"max_stop_points": D("19.75")}, {}, Code.STOP_DISTANCE, "20 points away"),
        ({"max_risk": D("45.21")}, {}, Code.TRADE_RISK, "One contract risks $45.22"),
        ({"daily_loss": D("90.44")}, {}, Code.STRATEGY_DAILY_LOSS, "it may lose $90.44"),
        ({"daily_loss": D(500)}, {"realised": D(-410)}, Code.STRATEGY_DAILY_LOSS, "end the day at -$681.32"),
        ({"drawdown": D(800)}, {"drawdown": D(800)}, Code.STRATEGY_DRAWDOWN, "$800.00 below its best total"),
        ({"loss_streak": 2}, {"losses": 2, "lost_at": NOW}, Code.LOSS_STREAK, "lost 2 times in a row"),
        ({"daily_loss_share": 50}, {}, Code.STRATEGY_SHARE, "the account has none"),
    ],
)
def test_each_rule_denies_with_its_code_and_a_sentence(limits, done, code, words):
    verdict = ask(limits=limits, **done)
    assert (verdict.allowed, verdict.code) == (False, code)
    assert words in verdict.sentence
    failed = [rule for rule in verdict.rules if rule.ok is False]
    assert failed
    assert all(rule.value and rule.limit and rule.note.endswith(".") for rule in failed)


@pytest.mark.parametrize(
    ("limits", "done"),
    [
        ({"max_positions": 2}, {"positions": 1}),
        ({"max_entries": 3}, {"entries": 2}),
        ({"max_signals": 6}, {"signals": 5}),
        ({"min_reward_risk": D("1.25")}, {}),
        ({"max_stop_points": D(20)}, {}),
        ({"drawdown": D(800)}, {"drawdown": D("799.99")}),
        ({"loss_streak": 2}, {"losses": 1, "lost_at": NOW}),
        ({"loss_streak": 2, "cooldown": timedelta(minutes=5)}, {"losses": 3, "lost_at": NOW - timedelta(minutes=5)}),
        ({}, {"positions": 99, "entries": 99, "drawdown": D(99_999), "losses": 99, "lost_at": NOW}),
    ],
)
def test_what_keeps_the_limit_is_allowed_in_full(limits, done):
    verdict = ask(limits=limits, **done)
    assert (verdict.allowed, verdict.quantity) == (True, 3), verdict.sentence


@pytest.mark.parametrize(
    ("limits", "account", "done", "granted"),
    [
        ({"max_risk": D("90.44")}, {}, {}, 2),  # a side: $45.22 each
        ({"daily_loss": D(200)}, {}, {}, 2),
        ({"daily_loss": D(200)}, {}, {"realised": D(-20)}, 1),
        ({"daily_loss": D(300)}, {}, {"exposures": (position(2),)}, 2),  # 2 x (88 x $0.50 + $0.61) at their stops
        ({"daily_loss": D(300)}, {}, {"exposures": (order(3),)}, 1),  # $135.66
        ({"daily_loss_share": 20}, {"daily_loss_limit": D(1000)}, {}, 2),
        ({"buffer": D(2001)}, {}, {}, 1),
        ({"buffer": D(2000)}, {}, {}, 3),
    ],
)
def test_dollars_reduce_the_size(limits, account, done, granted):
    verdict = ask(limits=limits, account=account, **done)
    assert (verdict.allowed, verdict.quantity) == (True, granted), verdict.sentence


def test_without_a_target_the_reward_is_not_known_and_never_enough():
    verdict = ask(single(target_ticks=None), limits={"min_reward_risk": D(0)})
    assert (verdict.code, verdict.quantity) == (Code.REWARD_RISK, 0)


def test_a_position_of_its_own_without_a_stop_leaves_no_room_under_its_daily_loss():
    bare = replace(position(1), stop_ticks=None)
    assert not ask(limits={"daily_loss": D(5000)}, exposures=(bare,)).allowed


def test_the_strategys_rules_come_before_the_accounts():
    verdict = ask(limits={"max_risk": D(1)}, account={"max_lots": D("0.1")})
    assert verdict.code is Code.TRADE_RISK
    assert [rule.name for rule in verdict.rules if rule.ok is False] == ["risk of the trade", "lots"]


@pytest.mark.parametrize(
    ("text", "zone", "inside"),
    [
        ("09:30-11:00", "America/New_York", True),  # NOW is 09:30:04 New York
        ("8:30-8:31", "America/Chicago", True),
        ("09:31-11:00, 14:00-15:00", "America/New_York", False),
        ("18:00-09:30", "America/New_York", False),
        ("18:00-09:31", "America/New_York", True),  # over midnight
    ],
)
def test_windows_are_times_of_their_zone(text, zone, inside):
    verdict = ask(limits={"windows": windows.parse(text, zone)})
    assert verdict.allowed == inside
    assert (verdict.code is Code.STRATEGY_WINDOW) != inside


@pytest.mark.parametrize("text", ["9", "09:30", "09:30-25:00", "11:00-11:00", "09:30-11:00; 12:00-13:00"])
def test_a_window_that_cannot_be_read_says_how_one_is_written(text):
    with pytest.raises(ValueError, match="09:30-11:00"):
        windows.parse(text, "America/New_York")
    with pytest.raises(ValueError, match="is not a time zone"):
        windows.parse("09:30-11:00", "New York")


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_and_the_rest_of_the_day_cover_every_minute_once(first, last, minute):
    if first == last:
        return
    one, other = (f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in ((first, last), (last, first)))
    at = datetime(2026, 11, 18, tzinfo=UTC) + timedelta(minutes=minute)
    assert windows.parse(one, "UTC").contains(at) != windows.parse(other, "UTC").contains(at)


@given(st.decimals(1, 5000, places=2), st.decimals(-3000, 0, places=2), st.integers(4, 400), st.integers(1, 30))
def test_whatever_is_admitted_keeps_the_strategys_daily_loss(limit, realised, stop, size):
    request = single(size, replace(BUY, stop_ticks=stop))
    verdict = ask(request, limits={"daily_loss": limit}, account={"floor": D(-100_000)}, realised=realised)
    worst = realised - verdict.quantity * ((stop + 8) * D("0.5") + D("1.22"))
    assert not verdict.allowed or worst > -limit
