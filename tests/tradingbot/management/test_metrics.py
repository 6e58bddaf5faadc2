"""`manage.py metrics`: what was counted, to a person and to a script."""

from __future__ import annotations

from brokers.base import Lane
from brokers.projectx import Call, Outcome
from tests.factories import LoginFactory
from tradingbot.operations import metrics

PLACE = "/api/Order/place"


def test_it_shows_calls_of_a_moment_ago(db, broker_queues, run):
    login = LoginFactory()
    observe = metrics.observer(login.pk)
    for seconds, outcome in ((0.031, Outcome.DONE), (0.2, Outcome.UNKNOWN)):
        observe(Call(PLACE, Lane.PLACE, seconds, outcome, 200, None))
    assert metrics.settle()
    document = run("metrics", "--json").document
    (call,) = document["calls"]
    assert (call["endpoint"], call["calls"], call["error_rate"]) == (PLACE, 2, "50.00%")
    assert (call["p50_ms"], call["p99_ms"], call["slowest_ms"], call["outcomes"]) == (50, 200, 200, "done 1, unknown 1")
    assert document["streams"][0]["state"] == "polling"
    shown = run("metrics", "--hours", "1").out
    assert "Calls to the venue" in shown
    assert "cache of bars" in shown


def test_an_empty_installation_says_so(db, broker_queues, run):
    shown = run("metrics").out
    assert "no call to the venue in the last 24 h" in shown
    assert "no login is enabled" in shown
    assert run("metrics", "--hours", "0").code == 2
