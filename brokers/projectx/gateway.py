"""One HTTP request at a time: budget, deadline, POST, what the answer proves, and a note of it all for the observer."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Protocol, TypeVar

import httpx

from brokers.base import (
    BrokerError,
    CircuitOpen,
    Lane,
    LoginFailed,
    NotSent,
    OutcomeUnknown,
    OverBudget,
    ReadFailed,
    Refused,
)
from brokers.budget import Budget
from brokers.projectx import answers, deadlines
from brokers.projectx.codes import Endpoint
from brokers.projectx.requests import Request, encode

T = TypeVar("T")

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 4.0
"""Idle connections older than this are not used again; servers close theirs after 5 s (uvicorn) to 130 s (Kestrel)."""

PING = "/api/Status/ping"
CONNECTIONS = 20
_HEADER_AGE = 2.0  # seconds: the Date header drops the fraction, and servers keep it for a second


class Outcome(StrEnum):
    """How a call ended, in the port's classes."""

    DONE = "done"
    NOT_SENT = "not_sent"
    OVER_BUDGET = "over_budget"
    CIRCUIT_OPEN = "circuit_open"
    REFUSED = "refused"
    LOGIN_FAILED = "login_failed"
    UNKNOWN = "unknown"
    READ_FAILED = "read_failed"
    INTERRUPTED = "interrupted"  # by a signal, a time limit or a bug


_OUTCOMES: list[tuple[type[BrokerError], Outcome]] = [
    (OverBudget, Outcome.OVER_BUDGET),
    (CircuitOpen, Outcome.CIRCUIT_OPEN),
    (NotSent, Outcome.NOT_SENT),
    (LoginFailed, Outcome.LOGIN_FAILED),
    (Refused, Outcome.REFUSED),
    (OutcomeUnknown, Outcome.UNKNOWN),
    (ReadFailed, Outcome.READ_FAILED),
]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it is counted: `seconds` without the wait for budget, HTTP `status` and the venue's `code`."""

    endpoint: str
    lane: Lane
    seconds: float
    outcome: Outcome
    status: int | None
    code: int | None

    @property
    def left(self) -> bool:
        """Return whether a request was made of it: neither our budget nor our circuit breaker kept it back."""
        return self.outcome not in (Outcome.OVER_BUDGET, Outcome.CIRCUIT_OPEN)

    @property
    def failed(self) -> bool:
        """Return whether the venue, or the way to it, was at fault: no answer, or none that can be read."""
        at_fault = (Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.READ_FAILED)
        return self.outcome in at_fault and self.code is None


class Breaker(Protocol):
    """What leaves a failing venue alone for a moment."""

    def check(self, lane: Lane) -> None:
        """Raise CircuitOpen when a request of `lane` is to wait; cancels, closes and stops never do."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect to an address, for one read or write, for a free connection, for a whole call, for a login."""

    connect: float = 3.0
    read: float = 10.0
    pool: float = 1.0
    total: float = 12.0
    login: float = 5.0


class Gateway:
    """The way to one venue; safe for threads, made anew after a fork.

    url      https, or http on loopback (`plain_http`: anywhere, for a simulated venue in a private network)
    budget   asked before every request
    breaker  asked before the budget; None: every request is made
    observe  told of every request, also of those over budget
    wall     the machine's clock in seconds since the epoch, for the skew only
    """

    def __init__(
        self,
        url: str,
        budget: Budget,
        *,
        observe: Callable[[Call], None],
        wall: Callable[[], float],
        timeouts: Timeouts = Timeouts(),
        plain_http: bool = False,
        breaker: Breaker | None = None,
    ) -> None:
        self._budget = budget
        self._breaker = breaker
        self._observe = observe
        self._wall = wall
        self.timeouts = timeouts
        self.skew: float | None = None
        base = _base(url, plain_http=plain_http)
        self._http = httpx.Client(
            base_url=base,
            transport=deadlines.Transport(
                tls=base.scheme == "https", keepalive_expiry=KEEPALIVE_SECONDS, max_connections=CONNECTIONS
            ),
            timeout=httpx.Timeout(
                connect=timeouts.connect, read=timeouts.read, write=timeouts.read, pool=timeouts.pool
            ),
            headers={"content-type": "application/json", "accept": "application/json"},
            follow_redirects=False,
            trust_env=False,
        )

    def call(
        self,
        endpoint: Endpoint[T],
        request: Request,
        *,
        lane: Lane,
        token: str | None = None,
        deadline: float | None = None,
    ) -> T:
        """Return what the venue answered to one request, sent at most once.

        `deadline` is a time.monotonic(), `timeouts.total` from now without one. Mutations never wait for budget.
        """
        outcome, status, code = Outcome.INTERRUPTED, None, None
        started = time.monotonic()
        try:
            if self._breaker is not None:
                self._breaker.check(lane)
            self._budget.take(lane, wait=not endpoint.mutates)
            started = time.monotonic()
            status, body = self._post(endpoint, request, token, deadline or started + self.timeouts.total)
            answer = answers.judge(endpoint, status, body)
            outcome = Outcome.DONE
            return answer
        except BrokerError as error:
            outcome, code = next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), error.code
            raise
        finally:
            self._tell(Call(endpoint.path, lane, time.monotonic() - started, outcome, status, code))

    def ping(self) -> float:
        """Return the seconds in which the venue said that it answers; it needs no token and counts as no request.

        Raises NotSent or ReadFailed.
        """
        started = time.monotonic()
        try:
            with deadlines.until(started + self.timeouts.login):
                response = self._http.get(PING)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            failure: BrokerError = NotSent(f"{PING}: {_words(error)}")
        except (httpx.HTTPError, httpx.StreamError) as error:
            failure = ReadFailed(f"{PING}: {_words(error)}")
        else:
            if response.status_code == 200 and response.text.strip().strip('"') == "pong":
                return time.monotonic() - started
            failure = ReadFailed(f"{PING}: HTTP {response.status_code} and no pong")
        raise failure  # outside the handler: httpx's errors hold the request with its headers

    def disconnect(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, endpoint: Endpoint[T], request: Request, token: str | None, deadline: float) -> tuple[int, bytes]:
        headers = {"accept-encoding": "identity" if endpoint.mutates else "gzip"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        sent = self._wall()
        try:
            with (
                deadlines.until(deadline),
                self._http.stream("POST", endpoint.path, content=encode(request), headers=headers) as response,
            ):
                self._note_skew(response, sent)
                return response.status_code, _body(response, endpoint.max_bytes)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            failure: BrokerError = NotSent(f"{endpoint.path}: {_words(error)}")
        except (httpx.HTTPError, httpx.StreamError) as error:
            failure = endpoint.lost(f"{endpoint.path}: {_words(error)}")
        except _TooLong as error:
            words = f"{endpoint.path}: the answer is longer than {endpoint.max_bytes} bytes"
            failure = endpoint.lost(words, raw=answers.excerpt(endpoint, error.beginning))
        raise failure  # outside the handler: httpx's errors hold the request with its headers

    def _note_skew(self, response: httpx.Response, sent: float) -> None:
        """Keep by how much the venue's clock is surely off: its header is a whole second made while the call lasted."""
        try:
            at = parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError):
            return
        if at.tzinfo is not None:
            early, late = at.timestamp() - self._wall(), at.timestamp() + _HEADER_AGE - sent
            self.skew = early if early > 0 else min(late, 0.0)

    def _tell(self, call: Call) -> None:
        try:
            self._observe(call)
        except Exception:  # the observer must not hide what became of an order
            log.exception("the observer of %s failed", call.endpoint)


class _TooLong(Exception):
    """The body is longer than we are willing to read."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__()
        self.beginning = beginning


def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the body; for a status that is not 200 as much as came, the status alone decides."""
    parts = bytearray()
    try:
        for part in response.iter_bytes():
            parts += part
            if len(parts) > max_bytes:
                raise _TooLong(bytes(parts[: answers.KEPT]))
    except (httpx.HTTPError, _TooLong):
        if response.status_code == 200:
            raise
    return bytes(parts)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _base(url: str, *, plain_http: bool) -> httpx.URL:
    """Return `url` checked. Raises ValueError when a token would travel in the clear."""
    base = httpx.URL(url)
    if base.scheme not in ("http", "https") or not base.host:
        raise ValueError(f"{base.host or 'the venue'}: the address must be an https:// URL")
    if base.userinfo or base.query or base.fragment:
        raise ValueError(f"{base.host}: the address must not carry a user, a query or a fragment")
    if base.scheme == "http" and not plain_http and not _is_loopback(base.host):
        raise ValueError(f"{base.host}: http:// is for this machine only, use https://")
    return base


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
