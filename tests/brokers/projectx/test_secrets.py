"""I14: no secret in errors, logs or what the observer is told."""

from __future__ import annotations

import logging
import traceback

import httpx
import pytest
import respx

from brokers.base import BrokerError, PlaceOrder
from brokers.projectx import requests, wire
from market.orders import OrderType, Side
from tests.brokers.projectx import loopback
from tests.brokers.projectx.conftest import KEY, TOKEN, USER, Desk
from tests.brokers.projectx.test_sockets import ACCEPTED, BROKEN, LOGIN, QUICK

ORDER = PlaceOrder(1001, "CON.F.US.MNQ.Z26", "a1", Side.BUY, OrderType.MARKET, 1)
TALKATIVE = [
    httpx.Response(200, json={"success": False, "errorCode": 2, "errorMessage": f"bad token {TOKEN} \x1b[31m\r\nroot"}),
    httpx.Response(400, json={"title": f"Authorization: Bearer {TOKEN}"}),
    httpx.Response(500, json={"detail": TOKEN}),
    httpx.Response(401, text=TOKEN),
    httpx.ReadTimeout("slow"),
    httpx.ConnectError("refused"),
]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anybody logs, whatever the settings say."""
    for name in (None, "httpx", "httpcore", "brokers"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def assert_silent(desk: Desk, error: BaseException, logged: str) -> None:
    told = getattr(error, "raw", "") + "".join(
        [*traceback.format_exception(error), repr(error), logged, repr(desk.calls), repr(desk.__dict__)]
    )
    assert KEY not in told
    assert TOKEN not in told
    assert TOKEN.split(".")[1] not in told
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("answer", TALKATIVE, ids=str)
def test_of_orders(venue: respx.MockRouter, desk: Desk, log, answer: object):
    venue.post("/api/Order/place").mock(side_effect=answer if isinstance(answer, Exception) else lambda _: answer)
    with pytest.raises(BrokerError) as caught:
        desk.broker.place(ORDER)
    assert_silent(desk, caught.value, log.text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("answer", TALKATIVE, ids=str)
def test_of_logins(venue: respx.MockRouter, desk: Desk, log, answer: object):
    if isinstance(answer, httpx.Response):
        answer = httpx.Response(answer.status_code, text=answer.text.replace(TOKEN, KEY))
    venue.post("/api/Auth/loginKey").mock(side_effect=answer if isinstance(answer, Exception) else lambda _: answer)
    with pytest.raises(BrokerError) as caught:
        desk.broker.place(ORDER)
    assert_silent(desk, caught.value, log.text)
    assert USER not in str(caught.value)


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_of_broken_connections(log, answer: loopback.Answer):
    with loopback.serving(LOGIN, answer) as server:
        desk = Desk(server.url, QUICK)
        with pytest.raises(BrokerError) as caught:
            desk.broker.place(ORDER)
        desk.broker.disconnect()
        assert all(TOKEN.encode() not in request.split(b"\r\n")[0] for request in server.requests)
    assert_silent(desk, caught.value, log.text)


def test_of_calls_that_succeed(log):
    with loopback.serving(LOGIN, loopback.json(ACCEPTED)) as server:
        desk = Desk(server.url, QUICK)
        desk.broker.place(ORDER)
        desk.broker.disconnect()
    assert "/api/Order/place" in log.text
    assert_silent(desk, ValueError(), log.text)


def test_of_what_is_printed_in_a_debugger():
    shown = repr(
        [
            requests.LoginRequest(USER, KEY),
            wire.LoginAnswer(True, 0, None, TOKEN),
            wire.ValidateAnswer(True, 0, None, TOKEN),
        ]
    )
    assert KEY not in shown
    assert TOKEN not in shown
