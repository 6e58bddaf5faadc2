"""The venue over HTTP: the ProjectX REST API, and `GET /_ledger` for checkers on this machine."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from brokers.simulated import hours, wire
from brokers.simulated.codes import Refusal
from brokers.simulated.endpoints import ENDPOINTS, Endpoint
from brokers.simulated.engine import Venue
from brokers.simulated.faults_http import Counter, Dated, is_local, play
from brokers.simulated.hubs import Hubs
from brokers.simulated.market import LiveMarket, NotTold
from brokers.simulated.report import dump
from brokers.simulated.throttle import Throttle
from brokers.simulated.tickets import Login
from brokers.simulated.tokens import BadToken, Credentials, ExpiredToken, Tokens

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
PERIOD = 0.05
"""Machine seconds between two looks at the market."""
LONGEST_BODY = 65_536
INVALID_CREDENTIALS, EXPIRED, UNAUTHORISED = 3, 3, 1


def create_app(
    venue: Venue,
    now: Callable[[], datetime],
    *,
    speed: float = 1.0,
    credentials: Credentials = Credentials(),  # noqa: B008
    fault_token: str | None = None,
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> Starlette:
    """Return the ASGI application of one venue. It closes the venue's ledger when it shuts down.

    now, speed    market time and its seconds a machine second; rate limits are multiplied by the speed
    fault_token   who has it may ask for faults at `/_faults`; None: nobody may
    beside        what runs in its loop as long as it is served
    The application writes the Date header itself: serve it with `date_header=False`.
    """
    front_desk = _FrontDesk(venue, now, speed, credentials)
    routes: list[BaseRoute] = [
        *(Route(endpoint.path, front_desk.handler(endpoint), methods=["POST"]) for endpoint in ENDPOINTS),
        Route("/api/Auth/loginKey", front_desk.login, methods=["POST"]),
        Route("/api/Auth/validate", front_desk.validate, methods=["POST"]),
        Route("/api/Auth/logout", front_desk.logout, methods=["POST"]),
        Route("/api/Status/ping", _ping, methods=["GET"]),
        Route("/_ledger", front_desk.ledger, methods=["GET"]),
    ]
    if fault_token is not None:
        routes += Counter(venue, now, front_desk.tokens, fault_token).routes()

    hubs = Hubs(venue, front_desk.tokens, now)
    routes += hubs.routes()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hours.session_at(now())  # loads the calendar before the first request waits for it
        walking = asyncio.gather(_walk(venue, now), hubs.run(), *(run() for run in beside))
        yield
        walking.cancel()
        with suppress(asyncio.CancelledError):
            await walking
        venue.shut()

    dated = Middleware(Dated, faults=venue.faults)
    return Starlette(routes=routes, lifespan=lifespan, middleware=[dated])


class _FrontDesk:
    """Everything between a request and the venue: token, rate limit, body, envelope."""

    def __init__(self, venue: Venue, now: Callable[[], datetime], speed: float, credentials: Credentials) -> None:
        self._venue = venue
        self._now = now
        self._credentials = credentials
        self.tokens = Tokens(venue.ledger, now, speed=speed)
        self._requests = Throttle(int(200 * speed), 60, time.monotonic)
        self._bars = Throttle(int(50 * speed), 30, time.monotonic)

    def handler(self, endpoint: Endpoint[Any]) -> Handler:
        decode = msgspec.json.Decoder(endpoint.body).decode
        throttle = self._bars if endpoint.bars else self._requests

        async def handle(request: Request) -> Response:
            body = await request.body()
            strike = self._venue.faults.strike(endpoint.path, body)
            if strike is None and endpoint.bars and isinstance(self._venue.market, LiveMarket):
                return await asyncio.to_thread(answer, request, body)  # another venue is asked, nobody else waits
            return answer(request, body) if strike is None else await play(strike, lambda: answer(request, body))

        def answer(request: Request, body: bytes) -> Response:
            try:
                claims = self.tokens.check(_token(request))
            except BadToken:
                return self._unauthorised(request)
            if wait := throttle.take(claims["sub"].casefold(), fixed=self._venue.behaviour.window == "fixed"):
                return self._busy(request, wait)
            try:
                ask = decode(body if len(body) <= LONGEST_BODY else b"")
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                return self._answered(request, _problem(request, error))
            at = self._now()
            try:
                if endpoint.mutates:
                    return _envelope(endpoint.answer(self._venue, ask, at))
                if endpoint.bars:
                    return self._answered(request, _envelope(endpoint.answer(self._venue, ask, at)))
                with self._venue.looking(at) as at:
                    payload = endpoint.answer(self._venue, ask, at)
            except NotTold as reason:
                log.warning("%s", reason)
                return self._answered(request, Response(status_code=503))
            except Refusal as refusal:
                payload = {"orderId": refusal.order_id} if endpoint.path.endswith("/place") else {}
                refused = _envelope(payload, refusal.code, refusal.message)
                return refused if endpoint.mutates else self._answered(request, refused)
            return self._answered(request, _envelope(payload))

        return handle

    async def login(self, request: Request) -> Response:
        body = await request.body()
        strike = self._venue.faults.strike(request.url.path, body)
        return self._login(request, body) if strike is None else await play(strike, lambda: self._login(request, body))

    def _login(self, request: Request, body: bytes) -> Response:
        try:
            ask = msgspec.json.decode(body, type=Login)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return self._answered(request, _problem(request, error))
        if not self._credentials.accept(ask.user_name, ask.api_key):
            return self._answered(request, _envelope({"token": None}, INVALID_CREDENTIALS))
        return self._answered(request, _envelope({"token": self.tokens.give(ask.user_name)}))

    async def validate(self, request: Request) -> Response:
        strike = self._venue.faults.strike(request.url.path, b"")
        return self._validate(request) if strike is None else await play(strike, lambda: self._validate(request))

    def _validate(self, request: Request) -> Response:
        try:
            claims = self.tokens.check(_token(request))
        except ExpiredToken:
            if self._venue.behaviour.after_expiry == "code_3":
                return self._answered(request, _envelope({"newToken": None}, EXPIRED))
            return self._unauthorised(request)
        except BadToken:
            return self._unauthorised(request)
        return self._answered(request, _envelope({"newToken": self.tokens.give(claims["sub"])}))

    async def logout(self, request: Request) -> Response:
        try:
            claims = self.tokens.check(_token(request))
        except BadToken:
            return self._unauthorised(request)
        self.tokens.end(claims["jti"])
        return self._answered(request, _envelope({}))

    async def ledger(self, request: Request) -> Response:
        """The whole ledger as JSON, `?after=<id>` of its journal only what came later. 404 for other machines."""
        after = request.query_params.get("after", "0")
        if not is_local(request) or not after.isdecimal():
            return Response(status_code=404)
        with self._venue.looking(self._now()) as at:
            return _json(dump(self._venue.ledger, at, after=int(after)))

    def _unauthorised(self, request: Request) -> Response:
        response = Response(status_code=401)
        if self._venue.behaviour.unauthorised == "envelope":
            response = _envelope({}, UNAUTHORISED, "Unauthorized")
            response.status_code = 401
        return self._answered(request, response)

    def _busy(self, request: Request, wait: float) -> Response:
        told = self._venue.behaviour.busy == "retry_after"
        headers = {"retry-after": str(math.ceil(wait))} if told else None
        return self._answered(request, Response(status_code=429, headers=headers))

    def _answered(self, request: Request, response: Response) -> Response:
        self._venue.note_read(request.url.path, self._now(), response.status_code)
        return response


async def _ping(_: Request) -> Response:
    return PlainTextResponse("pong")


async def _walk(venue: Venue, now: Callable[[], datetime]) -> None:
    """Let the market run without requests; a failure ends the process, which starts again from its ledger."""
    try:
        while True:
            venue.advance(now())
            venue.flush()
            await asyncio.sleep(PERIOD)
    except Exception:
        log.critical("the venue cannot go on", exc_info=True)
        signal.raise_signal(signal.SIGTERM)


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def _envelope(payload: dict[str, Any], code: int = 0, message: str | None = None) -> Response:
    return _json(payload | {"success": code == 0, "errorCode": code, "errorMessage": message})


def _problem(request: Request, error: Exception) -> Response:
    problem = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "detail": str(error),
        "instance": request.url.path,
    }
    return Response(wire.encode(problem), status_code=400, media_type="application/problem+json")


def _json(value: dict[str, Any]) -> Response:
    return Response(wire.encode(value), media_type="application/json; charset=utf-8")
