"""Entries wait while the machine's clock and the venue's disagree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from brokers.simulated.broker import SimulatedBroker
from market.orders import Role
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Login, Notification
from tradingbot.operations import skew, venues


class Elsewhere(SimulatedBroker):
    """A venue whose answers carry another time."""

    ahead: float | None = None

    def clock_skew(self) -> float | None:
        return self.ahead


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    desk = Desk.open()
    desk.broker.__class__ = type("LateBroker", (Elsewhere, desk.broker.__class__), {})
    yield desk
    venues.forget()


def check(desk: Desk, ahead: float | None) -> str:
    desk.broker.ahead = ahead  # type: ignore[attr-defined]
    skew.check(desk.account.login, now=desk.now)
    desk.account.login.refresh_from_db()
    return str(Login.objects.get().entries_blocked)


def test_more_than_five_seconds_keep_entries_back_until_the_clocks_agree(desk: Desk) -> None:
    decision = desk.pair()
    assert check(desk, -7.2) == "the machine's clock differs from the venue's by -7.2 s"
    assert {order.status for order in desk.send(decision)} == {"new"}
    assert desk.pair().code == "clock_skew"
    assert check(desk, 0.0) == ""
    assert {order.status for order in desk.send(decision) if order.role == Role.ENTRY} == {"working"}


def test_more_than_two_seconds_are_told_once_an_hour(desk: Desk) -> None:
    assert [check(desk, 2.5), check(desk, 2.6)] == ["", ""]
    assert Notification.objects.filter(title__contains="clock differs").count() == 1


def test_what_is_not_known_changes_nothing(desk: Desk) -> None:
    Login.objects.update(entries_blocked="the key was withdrawn")
    assert check(desk, None) == "the key was withdrawn"
    assert check(desk, 0.3) == "the key was withdrawn"
