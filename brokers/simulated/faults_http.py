"""Faults over HTTP: how a struck request is answered, and `/_faults` where tests ask for faults.

`GET /_faults` tells what is in force, `DELETE` ends it (`?account=<id>`: of one account), `POST` takes one of
`faults`, `faults_hubs` or `faults_events` as JSON. On this machine only, with the token that the venue wrote beside
its ledger.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brokers.simulated.engine import Venue
from brokers.simulated.faults import Effect, Faults, Lag, Legless, Rule, Skew, Strike
from brokers.simulated.faults_events import BothSides, CanTrade, Fill, Foreign, Void
from brokers.simulated.faults_hubs import EndTokens, HubFault
from brokers.simulated.switches import Switch
from brokers.simulated.tokens import Tokens

_decode = msgspec.json.Decoder(
    Rule | Lag | Skew | Legless | Switch | HubFault | EndTokens | Fill | BothSides | Foreign | Void | CanTrade
).decode
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>the proxy is tired</body></html>"
_late: set[asyncio.Task[None]] = set()  # the loop itself would forget them


class Cut(Response):
    """An answer whose connection ends before it is complete: the server closes what the application leaves open."""

    def __init__(self, whole: bytes, sent: int) -> None:
        super().__init__(whole, media_type="application/json; charset=utf-8")
        self._sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body)[: self._sent], "more_body": True})


async def play(strike: Strike, answer: Callable[[], Response]) -> Response:
    """Answer a struck request; `answer` lets it take effect and returns what would be said."""
    match strike.effect:
        case Effect.ERROR_BEFORE:
            return Response(status_code=500)
        case Effect.ERROR_AFTER:
            answer()
            return Response(status_code=500)
        case Effect.BUSY:
            return Response(status_code=429)
        case Effect.DENIED:
            return Response(status_code=401)
        case Effect.HTML:
            return Response(_PAGE, media_type="text/html")
        case Effect.TRUNCATED:
            whole = bytes(answer().body)
            return Cut(whole, len(whole) // 2)
        case Effect.LATE:
            task = asyncio.create_task(_later(strike.seconds, answer))
            _late.add(task)
            task.add_done_callback(_late.discard)
            return Cut(b"{}", 0)
        case Effect.LOST_AFTER:
            answer()
    await asyncio.sleep(strike.seconds)
    return Cut(b"{}", 0)


async def _later(seconds: float, answer: Callable[[], Response]) -> None:
    await asyncio.sleep(seconds)
    answer()


class Dated:
    """The application with the Date header of a venue whose clock may be wrong; the server must write none itself."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                at = time.time() + self._faults.skew  # noqa: TID251  the header is the machine's time
                MutableHeaders(scope=message)["date"] = formatdate(at, usegmt=True)
            await send(message)

        await self._app(scope, receive, dated)


class Counter:
    """Where faults are asked for. Without a token there is no such place."""

    def __init__(self, venue: Venue, now: Callable[[], datetime], tokens: Tokens, token: str) -> None:
        self._venue = venue
        self._now = now
        self._tokens = tokens
        self._token = token

    def routes(self) -> list[Route]:
        return [Route("/_faults", self.answer, methods=["GET", "POST", "DELETE"])]

    async def answer(self, request: Request) -> Response:
        if not is_local(request) or not hmac.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {self._token}".encode()
        ):
            return Response(status_code=404)
        faults = self._venue.faults
        try:
            match request.method:
                case "POST":
                    self._take(_decode(await request.body()))
                case "DELETE":
                    account = request.query_params.get("account")
                    faults.clear(None if account is None else int(account))
                    if account is None:
                        self._venue.switches.reset()
        except (msgspec.MsgspecError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"faults": faults.report() + self._venue.switches.report()})

    def _take(self, asked: Any) -> None:
        match asked:
            case Rule() | Lag() | Skew() | Legless():
                self._venue.faults.add(asked)
            case Switch():
                self._venue.switches.turn(asked.values)
            case HubFault():
                asked.apply(self._venue.event_switches)
            case EndTokens():
                self._tokens.end_all()
            case _:
                self._venue.happen(asked, self._now())


def is_local(request: Request) -> bool:
    """Return whether a request comes from this machine."""
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def token_file(ledger: Path) -> Path:
    """Return where the token of the venue on `ledger` is."""
    return ledger.with_name(f"{ledger.name}.faults")


def new_token(ledger: Path) -> str:
    """Write a new token beside the ledger, readable by the owner alone, and return it."""
    token, file = secrets.token_urlsafe(24), token_file(ledger)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "w") as stream:
        stream.write(token)
    return token
