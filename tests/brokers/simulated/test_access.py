from __future__ import annotations

from datetime import timedelta

import pytest

from brokers.simulated.ledger import Ledger
from brokers.simulated.throttle import Throttle
from brokers.simulated.tokens import BadToken, Credentials, ExpiredToken, Tokens
from tests.brokers.simulated.stage import START


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self):
        return self.at


def test_a_token_lives_24_hours_of_the_machine_and_survives_a_restart(tmp_path):
    clock, ledger = Clock(), Ledger(tmp_path / "ledger.sqlite3")
    token = Tokens(ledger, clock.now, speed=30).give("demo")
    again = Tokens(Ledger(tmp_path / "ledger.sqlite3"), clock.now, speed=30)
    clock.at += timedelta(hours=24 * 30 - 1)
    assert again.check(token)["sub"] == "demo"
    clock.at += timedelta(hours=1)
    with pytest.raises(ExpiredToken):
        again.check(token)


def test_logging_in_again_keeps_the_earlier_token_and_ending_one_keeps_the_other():
    tokens = Tokens(Ledger(":memory:"), Clock().now)
    first, second = tokens.give("demo"), tokens.give("demo")
    tokens.end(tokens.check(first)["jti"])
    assert tokens.check(second)["sub"] == "demo"
    with pytest.raises(BadToken):
        tokens.check(first)


@pytest.mark.parametrize("token", [None, "", "a.b.c", "é.é.é"])
def test_what_this_venue_did_not_give_is_no_token(token):
    with pytest.raises(BadToken):
        Tokens(Ledger(":memory:"), Clock().now).check(token)


def test_a_token_of_another_venue_is_none_here():
    token = Tokens(Ledger(":memory:"), Clock().now).give("demo")
    with pytest.raises(BadToken):
        Tokens(Ledger(":memory:"), Clock().now).check(token)


def test_credentials_are_any_unless_told():
    assert Credentials().accept("anyone", "anything")
    wanted = Credentials("Demo", "key")
    assert wanted.accept("dEMO", "key")
    assert not wanted.accept("demo", "Key")
    assert not wanted.accept("other", "key")


def test_the_window_slides_and_each_key_has_its_own():
    seconds = [0.0]
    throttle = Throttle(3, 60, lambda: seconds[0])
    assert [throttle.take("a") for _ in range(4)] == [0, 0, 0, 60]
    assert throttle.take("b") == 0
    seconds[0] = 59.5
    assert throttle.take("a") == 0.5
    seconds[0] = 60
    assert [throttle.take("a") for _ in range(4)] == [0, 0, 0, 60]


def test_a_fixed_window_begins_with_its_first_request():
    seconds = [0.0]
    throttle = Throttle(3, 60, lambda: seconds[0])
    for at, waits in ((0, 0), (50, 0), (55, 0), (59, 1), (60, 0), (61, 0), (62, 0), (63, 57)):
        seconds[0] = at
        assert throttle.take("a", fixed=True) == waits
