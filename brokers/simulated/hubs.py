"""Both SignalR hubs of the venue: negotiate and direct, JSON protocol version 1, events of engine and market."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from brokers.simulated import wire
from brokers.simulated.engine import Venue
from brokers.simulated.events import ACCOUNT, ORDER, POSITION, TRADE, Disorder, Event
from brokers.simulated.events import account_of as account_of_event
from brokers.simulated.events import arguments as event_arguments
from brokers.simulated.forwarded import ForwardedMarket
from brokers.simulated.hubs_connections import Connection, HubName
from brokers.simulated.hubs_tape import Tape
from brokers.simulated.products import listing
from brokers.simulated.tokens import BadToken, Tokens

PERIOD = 0.05
"""Machine seconds between two looks at the market: quotes in between are not sent."""
HELD_BACK = 0.5

_USER = {"Accounts": ACCOUNT, "Orders": ORDER, "Positions": POSITION, "Trades": TRADE}
_MARKET = {
    "ContractQuotes": "GatewayQuote",
    "ContractTrades": "GatewayTrade",
    "ContractMarketDepth": "GatewayDepth",
}


class _Refused(Exception):
    """An invocation that the hub answers with an error."""


class Hubs:
    """The hubs of one venue, as its `event_switches` say. `now` is market time."""

    def __init__(self, venue: Venue, tokens: Tokens, now: Callable[[], datetime]) -> None:
        self._venue = venue
        self._tokens = tokens
        self._now = now
        self.switches = venue.event_switches
        self._disorder = Disorder(self.switches)
        self._connections: set[Connection] = set()
        self._tapes: dict[str, Tape] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held_since = 0.0

    def routes(self) -> list[BaseRoute]:
        return [
            *(Route(f"/hubs/{hub}/negotiate", self._negotiate, methods=["POST"]) for hub in ("user", "market")),
            WebSocketRoute("/hubs/user", self._user),
            WebSocketRoute("/hubs/market", self._market),
        ]

    async def run(self) -> None:
        """Tell the engine's events and the market's until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._venue.listener = self._hear
        try:
            while True:
                await asyncio.sleep(PERIOD)
                self._obey()
                if self._held_since and time.monotonic() - self._held_since > HELD_BACK:
                    self._held_since = 0.0
                    self._publish(self._disorder.release())
                self._tell_market(self._now())
        finally:
            self._venue.listener = None

    def _hear(self, events: list[Event]) -> None:
        """Take what the engine has committed, from whichever thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._pass_on, events)

    def _pass_on(self, events: list[Event]) -> None:
        if self.switches.silent or self.switches.mute:
            return
        if self.switches.reordered and not self._held_since:
            self._held_since = time.monotonic()
        self._publish(self._disorder.pass_on(events))

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            target, account_id = event[0], account_of_event(event)
            for connection in self._connections:
                if (target, account_id) in connection.topics or (target, None) in connection.topics:
                    connection.event(target, event_arguments(event, self.switches))

    def _obey(self) -> None:
        """Do what the switches want done once."""
        if self.switches.drop:
            for connection in self._connections:
                if self.switches.drop in ("both", connection.hub):
                    connection.cut()
            self.switches.drop = ""
        if self.switches.logout:
            for connection in self._connections:
                self._evict(connection)
            self.switches.logout = False

    def _evict(self, connection: Connection) -> None:
        connection.event("GatewayLogout", [])
        connection.tell({"type": 7, "error": "Connection closed with an error.", "allowReconnect": False})

    # --- connections

    def _claims(self, connection: HTTPConnection) -> dict[str, Any]:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        given = token if scheme.lower() == "bearer" else connection.query_params.get("access_token")
        return self._tokens.check(given)

    async def _negotiate(self, request: Request) -> Response:
        try:
            self._claims(request)
        except BadToken:
            return Response(status_code=self.switches.bad_token)
        token = secrets.token_urlsafe(16)
        offer = {
            "negotiateVersion": 1,
            "connectionId": token,
            "connectionToken": token,
            "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
        }
        return Response(wire.encode(offer), media_type="application/json")

    async def _user(self, socket: WebSocket) -> None:
        await self._serve(socket, "user")

    async def _market(self, socket: WebSocket) -> None:
        await self._serve(socket, "market")

    async def _serve(self, socket: WebSocket, hub: HubName) -> None:
        if self.switches.refuse is not None:
            await socket.send_denial_response(Response(status_code=self.switches.refuse))
            return
        try:
            claims = self._claims(socket)
        except BadToken:
            await socket.send_denial_response(Response(status_code=self.switches.bad_token))
            return
        await socket.accept()
        connection = Connection(socket, hub, claims["sub"])
        try:
            await connection.work(
                shake_hands=lambda wish: self._shake_hands(connection, wish),
                invoke=lambda message: self._invoke(connection, message),
                pings=lambda: not self.switches.mute,
            )
        finally:
            self._connections.discard(connection)

    def _shake_hands(self, connection: Connection, wish: dict[str, Any]) -> bool:
        if (wish.get("protocol"), wish.get("version")) != ("json", 1):
            connection.tell({"error": f"The server does not support version {wish.get('version')} of the protocol."})
            return False
        connection.tell({})
        if self.switches.second_login == "evicted":
            for other in self._connections:
                if (other.user, other.hub) == (connection.user, connection.hub):
                    self._evict(other)
        self._connections.add(connection)
        return True

    # --- subscriptions

    def _invoke(self, connection: Connection, message: dict[str, Any]) -> None:
        target, arguments = str(message.get("target")), message.get("arguments") or []
        reply: dict[str, Any] = {"type": 3, "invocationId": message.get("invocationId"), "result": None}
        try:
            begin = self._subscribe(connection, target, arguments)
        except _Refused as refusal:
            reply = {"type": 3, "invocationId": message.get("invocationId"), "error": str(refusal)}
            begin = None
        if message.get("invocationId") is not None:
            connection.tell(reply)
        if begin is not None:
            begin()

    def _subscribe(self, connection: Connection, target: str, arguments: list[Any]) -> Callable[[], None] | None:
        """Change what the connection is told of; return what it is told first. Raises _Refused."""
        ends = target.startswith("Unsubscribe")
        name = target.removeprefix("Unsubscribe").removeprefix("Subscribe")
        topic = (_USER if connection.hub == "user" else _MARKET).get(name)
        if topic is None or not target.startswith(("Subscribe", "Unsubscribe")):
            raise _Refused(f"Failed to invoke '{target}' due to an error on the server. Method does not exist.")
        key = self._key(connection.hub, name, target, arguments)
        if ends:
            connection.topics.discard((topic, key))
            return None
        connection.topics.add((topic, key))
        return (lambda: self._begin(connection, topic, str(key))) if connection.hub == "market" else None

    def _key(self, hub: HubName, name: str, target: str, arguments: list[Any]) -> int | str | None:
        if hub == "user":
            if name == "Accounts" and not arguments:
                return None
            known = {account.id for account in self._venue.ledger.accounts()}
            if len(arguments) == 1 and type(arguments[0]) is int and arguments[0] in known:
                return int(arguments[0])
        elif len(arguments) == 1 and isinstance(arguments[0], str) and listing(arguments[0]) is not None:
            return arguments[0]
        raise _Refused(f"Failed to invoke '{target}' due to an error on the server.")

    # --- the market

    def _begin(self, connection: Connection, topic: str, contract_id: str) -> None:
        """Send the snapshot with which quotes and depth begin."""
        if self.switches.silent or self.switches.mute:
            return
        now = self._now()
        tape = self._tape(contract_id, now)
        if topic == "GatewayQuote" and (quote := tape.quote(now, whole=True)):
            connection.event(topic, [contract_id, quote])
        if topic == "GatewayDepth" and self.switches.depth:
            for row in tape.depth(now, whole=True):
                connection.event(topic, [contract_id, row])

    def _tape(self, contract_id: str, now: datetime) -> Tape:
        tape = self._tapes.get(contract_id)
        if tape is None:
            month = listing(contract_id)
            if month is None:
                raise ValueError(f"{contract_id} is no contract of this venue")
            market = self._venue.market
            if isinstance(market, ForwardedMarket) and market.is_live(month):
                tape = market.tape(month, now)
            else:
                tape = Tape(market, month, now)
            self._tapes[contract_id] = tape
            tape.quote(now)
        return tape

    def _tell_market(self, now: datetime) -> None:
        wanted: dict[str, dict[str, list[Connection]]] = {}
        for connection in self._connections:
            if connection.hub == "market":
                for topic, contract_id in connection.topics:
                    wanted.setdefault(str(contract_id), {}).setdefault(topic, []).append(connection)
        for contract_id in [known for known in self._tapes if known not in wanted]:
            del self._tapes[contract_id]
        quiet = self.switches.silent or self.switches.mute
        for contract_id, topics in wanted.items():
            tape = self._tape(contract_id, now)
            prints = tape.run(now)
            quote = tape.quote(now)
            if quiet:
                continue
            trades = tape.trades(prints)
            depth = tape.depth(now) if quote and self.switches.depth else []
            for connection in topics.get("GatewayQuote", []) if quote else []:
                connection.event("GatewayQuote", [contract_id, quote])
            for connection in topics.get("GatewayTrade", []) if trades else []:
                connection.event("GatewayTrade", [contract_id, trades])
            for connection in topics.get("GatewayDepth", []):
                for row in depth:
                    connection.event("GatewayDepth", [contract_id, row])
