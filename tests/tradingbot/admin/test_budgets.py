"""The request budget of each login on a page: full, empty, and without Redis."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from brokers.base import Lane
from tests.factories import LoginFactory
from tests.tradingbot.browsing import words
from tradingbot.models import Heartbeat
from tradingbot.operations import budgets

PAGE = "/admin/budgets/"


@pytest.fixture(autouse=True)
def count_anew(broker_queues) -> Iterator[None]:
    """Logins of other tests have the same keys."""
    budgets.of.cache_clear()
    yield
    budgets.of.cache_clear()


def test_each_lane_shows_what_it_sent_and_what_it_may_still_send(panel):
    shared = budgets.of(LoginFactory().pk)
    for lane, number in ((Lane.RECONCILE, 30), (Lane.PLACE, 2), (Lane.BARS, 4)):
        for _ in range(number):
            shared.take(lane, wait=False)
            shared.note(lane)
    text = words(panel.get(PAGE))  # at 30x the venue counts 30 times as many
    assert "36 of 4800 requests in the last minute. 4 of 900 for bars in the last half minute." in text
    assert "Cancel, close, exit, login 0 4800 4764" in text
    assert "Entries 2 3840 3804" in text
    assert "Orders, fills, positions, balance 30 3600 3564" in text
    assert "Bars 4 2880 896" in text
    assert "guard has 1200 more a minute of its own" in text


def test_a_lane_that_is_spent_is_marked(panel, monkeypatch):
    monkeypatch.setattr("tradingbot.clock.clock.anchor", None)
    shared = budgets.of(LoginFactory().pk)
    for _ in range(120):
        shared.take(Lane.RECONCILE, wait=False)
        shared.note(Lane.RECONCILE)
    page = panel.get(PAGE)
    assert "Orders, fills, positions, balance 120 120 0" in words(page)
    assert page.content.count(b"tb-badge tb-bad") == 2  # reads and bars; entries have 8 left
    assert "Entries 0 128 8" in words(page)


def test_a_quiet_minute_and_a_system_without_a_login_say_so(panel):
    assert "No login is enabled yet" in words(panel.get(PAGE))
    LoginFactory()
    assert "Nothing was sent in the last minute." in words(panel.get(PAGE))
    LoginFactory(name="resting", enabled=False)
    assert "resting" not in words(panel.get(PAGE))


def test_without_redis_the_page_says_what_goes_on(panel, settings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.REDIS_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    LoginFactory()
    LoginFactory(name="second")
    text = words(panel.get(PAGE))
    assert text.count("Redis is away") == 2
    assert "nothing is entered or read until it is back" in text


def test_the_part_that_changes_comes_alone_and_repeats_what_guard_said(panel):
    LoginFactory()
    Heartbeat.objects.create(name="guard", note="2 accounts, 31 requests in the last minute")
    page = panel.get(PAGE, headers={"HX-Request": "true"})
    assert b"<html" not in page.content
    assert "which it counts itself: 2 accounts, 31 requests in the last minute." in words(page)


def test_only_staff_sees_it(client, db):
    assert client.get(PAGE).status_code == 302
