"""What real sockets do: cuts, resets, silence, dripping, stale connections. Nothing is ever sent twice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from brokers.base import BrokerError, NotSent, OutcomeUnknown, PlaceOrder, ReadFailed
from brokers.projectx import Gateway, Outcome, ProjectX, Timeouts, deadlines
from market.orders import OrderType, Side
from tests.brokers.projectx import loopback
from tests.brokers.projectx.conftest import TOKEN, Desk
from tests.brokers.projectx.loopback import Answer, serving

ORDER = PlaceOrder(1001, "CON.F.US.MNQ.Z26", "a1", Side.BUY, OrderType.MARKET, 1)
LOGIN = loopback.json(b'{"token":"%s","success":true,"errorCode":0}' % TOKEN.encode())
ACCEPTED = b'{"orderId":3400000001,"success":true,"errorCode":0,"errorMessage":null}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n"
QUICK = Timeouts(connect=0.5, read=0.3, pool=0.2, total=0.6, login=0.5)


def place(broker: ProjectX) -> object:
    return broker.place(ORDER)


def positions(broker: ProjectX) -> object:
    return broker.positions(1001)


def ask(url: str, call: Callable[[ProjectX], object]) -> tuple[BrokerError, Desk]:
    desk = Desk(url, QUICK)
    with pytest.raises(BrokerError) as caught:
        call(desk.broker)
    desk.broker.disconnect()
    return caught.value, desk


BROKEN = {
    "closed without an answer": loopback.cut(),
    "reset without an answer": loopback.reset(),
    "reset in the headers": loopback.reset(HEAD[:20]),
    "reset in the body": loopback.reset(HEAD + ACCEPTED),
    "closed in the headers": loopback.cut(HEAD[:20]),
    "closed in the body": loopback.cut(HEAD + ACCEPTED),
    "silent": loopback.silence(),
    "silent in the headers": loopback.silence(HEAD[:20]),
    "silent in the body": loopback.silence(HEAD + ACCEPTED),
    "dripping headers": loopback.drip(b"HTTP/1.1 200 OK\r\nx-slow: ", 0.1),
    "dripping body": loopback.drip(HEAD + ACCEPTED, 0.1),
    "not HTTP": loopback.cut(b"SSH-2.0-OpenSSH_9\r\n\r\n"),
    "endless headers": loopback.cut(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000),
    "bad chunks": loopback.cut(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    "bad gzip": loopback.json(b"not gzip", headers=b"content-encoding: gzip\r\n"),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(("call", "expected"), [(place, OutcomeUnknown), (positions, ReadFailed)])
def test_after_the_request_was_sent_everything_broken_proves_nothing(
    answer: Answer, call: Callable[[ProjectX], object], expected: type[BrokerError]
):
    with serving(LOGIN, answer, loopback.json(ACCEPTED), loopback.json(ACCEPTED)) as server:
        started = time.monotonic()
        error, desk = ask(server.url, call)
        assert time.monotonic() - started < 2 * QUICK.total + 0.5
        assert type(error) is expected
        assert len(server.requests) == 2  # the login and the call, once
        assert desk.calls[-1].outcome in (Outcome.UNKNOWN, Outcome.READ_FAILED)


def test_an_answer_longer_than_it_can_be_proves_nothing():
    huge = ACCEPTED[:-1] + b" " * 70_000 + b"}"
    with serving(LOGIN, loopback.json(huge)) as server:
        error, _ = ask(server.url, place)
    assert (type(error), "longer than 64000 bytes" in str(error)) == (OutcomeUnknown, True)


def test_a_refusal_whose_body_breaks_is_still_a_refusal():
    with serving(LOGIN, loopback.cut(b"HTTP/1.1 503 Busy\r\ncontent-length: 9\r\n\r\nx")) as server:
        error, desk = ask(server.url, place)
    assert (type(error), desk.calls[-1].status) == (OutcomeUnknown, 503)
    with serving(LOGIN, loopback.cut(b"HTTP/1.1 422 No\r\ncontent-length: 9\r\n\r\nx")) as server:
        error, desk = ask(server.url, place)
    assert (desk.calls[-1].outcome, desk.calls[-1].status) == (Outcome.REFUSED, 422)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for call in (place, positions):
        error, desk = ask(url, call)
        assert (type(error), desk.calls[-1].outcome) == (NotSent, Outcome.NOT_SENT)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_without_address(monkeypatch, error: Exception):
    def fail(*_: object, **__: object) -> list[object]:
        raise error

    monkeypatch.setattr(deadlines.socket, "getaddrinfo", fail)
    failure, desk = ask("https://venue.test", place)
    assert (type(failure), str(error.args[-1]) in str(failure)) == (NotSent, True)
    assert desk.calls[-1].outcome is Outcome.NOT_SENT


def test_a_resolver_that_hangs_is_left_alone(monkeypatch):
    answered = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        answered.wait(10)
        return []

    monkeypatch.setattr(deadlines.socket, "getaddrinfo", hang)
    started = time.monotonic()
    error, _ = ask("https://venue.test", place)
    answered.set()
    assert (type(error), "not resolved" in str(error)) == (NotSent, True)
    assert time.monotonic() - started < 1.5


def test_a_server_that_does_not_speak_tls():
    with serving(loopback.cut(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        error, _ = ask(server.url.replace("http:", "https:"), place)
    assert type(error) is NotSent


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again():
    login_then_close = [LOGIN, loopback.json(ACCEPTED, headers=b"connection: close\r\n")]
    with serving(*login_then_close, loopback.json(ACCEPTED)) as server:
        desk = Desk(server.url, QUICK)
        assert [desk.broker.place(ORDER), desk.broker.place(ORDER)] == [3400000001] * 2
        desk.broker.disconnect()
        assert (len(server.requests), server.connections) == (3, 2)


def test_connections_are_kept_between_calls():
    with serving(LOGIN, *[loopback.json(ACCEPTED)] * 5) as server:
        desk = Desk(server.url, QUICK)
        for _ in range(5):
            desk.broker.place(ORDER)
        desk.broker.disconnect()
        assert (len(server.requests), server.connections) == (6, 1)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_redirects_are_not_followed(status: bytes):
    with serving(loopback.json(ACCEPTED)) as other:
        moved = loopback.json(b"", status, b"location: %s/api/Order/place\r\n" % other.url.encode())
        with serving(LOGIN, moved) as server:
            error, _ = ask(server.url, place)
        assert (type(error), other.requests) == (OutcomeUnknown, [])


def test_after_the_deadline_no_request_begins():
    """The connection is there, the deadline is not: nothing is sent, so it may be repeated."""
    with serving(LOGIN, loopback.json(ACCEPTED)) as server:
        desk = Desk(server.url, QUICK)
        desk.login.login()
        with deadlines.until(time.monotonic() - 1), pytest.raises(httpx.ConnectTimeout, match="deadline"):
            desk.gateway._http.post("/api/Order/place", content=b"{}")
        desk.broker.disconnect()
        assert len(server.requests) == 1


def test_a_login_that_takes_too_long_leaves_the_order_unsent():
    with serving(loopback.silence()) as server:
        error, desk = ask(server.url, place)
        assert (type(error), len(server.requests)) == (NotSent, 1)
        assert [call.endpoint for call in desk.calls] == ["/api/Auth/loginKey"]


def test_proxies_and_logins_of_the_environment_are_ignored(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving(LOGIN, loopback.json(ACCEPTED)) as server:
        desk = Desk(server.url, QUICK)
        desk.broker.place(ORDER)
        desk.broker.disconnect()
        assert b"Basic" not in b"".join(server.requests)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.topstepx.com", True),
        ("http://127.0.0.1:8010", True),
        ("http://localhost:8010", True),
        ("http://[::1]:8010", True),
        ("http://api.topstepx.com", False),
        ("http://10.0.0.7:8010", False),
        ("http://localhost.example.com", False),
        ("https://user:secret@api.topstepx.com", False),
        ("https://api.topstepx.com?token=secret", False),
        ("ftp://api.topstepx.com", False),
        ("api.topstepx.com", False),
        ("", False),
    ],
)
def test_tokens_travel_encrypted_or_not_at_all(url: str, allowed: bool):
    def gateway() -> Gateway:
        return Gateway(url, Desk("https://venue.test").budget, observe=lambda call: None, wall=lambda: 0.0)

    if allowed:
        gateway().disconnect()
        return
    with pytest.raises(ValueError, match=r"must|only") as caught:
        gateway()
    assert "secret" not in str(caught.value)
