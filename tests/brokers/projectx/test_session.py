"""Tokens: one login at a time, refreshed before they expire, never hammering."""

from __future__ import annotations

import threading

import httpx
import pytest
import respx

from brokers.base import LoginFailed, NotSent
from brokers.projectx import Login, MemoryTokens, Outcome, session
from tests.brokers.projectx.conftest import Desk, logged_in

HOUR = 3600.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def fresh(token: str) -> httpx.Response:
    return httpx.Response(200, json={"newToken": token, "success": True, "errorCode": 0})


def test_a_token_is_used_for_twenty_hours_then_exchanged(venue: respx.MockRouter, desk: Desk):
    clock = Clock()
    login = venue.post("/api/Auth/loginKey").mock(side_effect=[logged_in("first")])
    validate = venue.post("/api/Auth/validate").mock(side_effect=[fresh("second"), fresh("third")])
    tokens = MemoryTokens(desk.login, clock=clock)
    assert tokens.get() is None
    assert tokens.renew(None) == "first"
    clock.now += 20 * HOUR - 1
    assert (tokens.get(), validate.called) == ("first", False)
    clock.now += 1
    assert tokens.get() == "second"
    assert validate.calls.last.request.headers["authorization"] == "Bearer first"
    assert validate.calls.last.request.content == b""
    clock.now += 20 * HOUR
    assert tokens.get() == "third"
    assert login.call_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadTimeout("slow"),
        httpx.Response(401),
        httpx.Response(200, json={"newToken": None, "success": False, "errorCode": 3}),
        httpx.Response(200, json={"newToken": None, "success": True, "errorCode": 0}),
    ],
)
def test_a_failed_exchange_is_followed_by_a_login(venue: respx.MockRouter, desk: Desk, answer: object):
    clock = Clock()
    venue.post("/api/Auth/loginKey").mock(side_effect=[logged_in("first"), logged_in("second")])
    venue.post("/api/Auth/validate").mock(side_effect=[answer])
    tokens = MemoryTokens(desk.login, clock=clock)
    tokens.renew(None)
    clock.now += 21 * HOUR
    assert tokens.get() == "second"


def test_when_neither_works_the_old_token_serves_until_it_expires(venue: respx.MockRouter, desk: Desk):
    clock = Clock()
    login = venue.post("/api/Auth/loginKey").mock(return_value=logged_in("first"))
    validate = venue.post("/api/Auth/validate").respond(503)
    tokens = MemoryTokens(desk.login, clock=clock)
    tokens.renew(None)
    login.mock(side_effect=httpx.ConnectError("refused"))
    clock.now += 21 * HOUR
    assert [tokens.get(), tokens.get()] == ["first", "first"]
    assert validate.call_count == 1  # the second caller waits for the pause
    clock.now += session.REFRESH_PAUSE
    assert tokens.get() == "first"
    assert validate.call_count == 2
    clock.now += 3 * HOUR
    assert tokens.get() is None
    with pytest.raises(NotSent):
        tokens.renew("first")


def test_twenty_threads_with_the_same_stale_token_log_in_once(venue: respx.MockRouter, desk: Desk):
    login = venue.post("/api/Auth/loginKey").mock(side_effect=[logged_in("first"), logged_in("second")])
    tokens = MemoryTokens(desk.login)
    stale = tokens.renew(None)
    ready, got = threading.Barrier(20), []

    def renew() -> None:
        ready.wait()
        got.append(tokens.renew(stale))

    threads = [threading.Thread(target=renew) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["second"] * 20
    assert login.call_count == 2


def test_a_refused_key_is_not_tried_again_at_once(venue: respx.MockRouter, desk: Desk, monkeypatch):
    refusal = httpx.Response(200, json={"token": None, "success": False, "errorCode": 3})
    login = venue.post("/api/Auth/loginKey").mock(side_effect=[refusal, logged_in("first")])
    for _ in range(3):
        with pytest.raises(LoginFailed) as caught:
            desk.broker.accounts()
        assert caught.value.code == 3
    assert login.call_count == 1
    monkeypatch.setattr(session, "REFUSAL_PAUSE", 0.0)
    again = Login(desk.gateway, "trader", "key")
    assert again.login() == "first"


def test_logins_are_counted_too(venue: respx.MockRouter, desk: Desk):
    desk.login.login()
    (call,) = desk.calls
    assert (call.endpoint, call.outcome, call.status, call.code) == ("/api/Auth/loginKey", Outcome.DONE, 200, None)
