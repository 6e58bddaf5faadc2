"""A hub on loopback that says exactly what a test writes, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from msgspec import Raw
from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve

from brokers.projectx.hubs import Subscription
from brokers.projectx.hubs.client import Pace
from brokers.projectx.hubs.signalr import Timeouts

END = "\x1e"
QUICK = Pace(
    first=0.01,
    longest=0.05,
    steady=60,
    evicted=0.05,
    again=0.05,
    token_every=0.02,
    timeouts=Timeouts(open=1, completion=0.3, ping=0.05, silence=0.5),
)

Script = Callable[["Client"], Awaitable[None]]


class Client:
    """The other side of one connection as the server sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self._rest = ""

    @property
    def path(self) -> str:
        assert self.socket.request is not None
        return self.socket.request.path

    async def say(self, *messages: dict[str, Any], end: str = END) -> None:
        """Send messages in one frame."""
        await self.socket.send("".join(json.dumps(message) + end for message in messages))

    async def hear(self) -> dict[str, Any]:
        """Return the client's next message that is no ping."""
        while True:
            while END not in self._rest:
                frame = await self.socket.recv()
                assert isinstance(frame, str)
                self._rest += frame
            record, _, self._rest = self._rest.partition(END)
            message = json.loads(record)
            self.heard.append(message)
            if message.get("type") != 6:
                return message

    async def shake_hands(self) -> None:
        assert await self.hear() == {"protocol": "json", "version": 1}
        await self.say({})

    async def confirm(self, number: int) -> list[tuple[str, list[Any]]]:
        """Complete the next `number` invocations and return them."""
        found = []
        for _ in range(number):
            call = await self.hear()
            await self.say({"type": 3, "invocationId": call["invocationId"], "result": None})
            found.append((call["target"], call["arguments"]))
        return found

    async def wait(self) -> None:
        """Stay until the client goes."""
        await self.socket.wait_closed()


class Hubs:
    """A server whose connections follow the scripts, one each; the last one again and again."""

    def __init__(self, server: Server, clients: list[Client]) -> None:
        self.clients = clients
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hubs/user"


@asynccontextmanager
async def hub(*scripts: Script, statuses: list[int] | None = None) -> AsyncIterator[Hubs]:
    """Serve; `statuses` are the answers to the first upgrades, 101 accepts."""
    clients: list[Client] = []
    answers = iter(statuses or [])

    async def handle(socket: ServerConnection) -> None:
        client = Client(socket)
        clients.append(client)
        await scripts[min(len(clients), len(scripts)) - 1](client)

    def upgrade(socket: ServerConnection, request: Request) -> Response | None:
        status = next(answers, 101)
        return None if status == 101 else socket.respond(HTTPStatus(status), "no")

    async with serve(handle, "127.0.0.1", 0, process_request=upgrade, ping_interval=None) as server:
        yield Hubs(server, clients)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[bytes]]] = []
        self.said: list[str] = []
        self.reasons: list[str] = []

    def event(self, target: str, arguments: list[Raw], record: bytes, received: float) -> None:
        self.events.append((target, [bytes(argument) for argument in arguments]))

    def unreadable(self, record: bytes) -> None:
        self.said.append(f"unreadable {record.decode()}")

    def connected(self) -> None:
        self.said.append("connected")

    def lost(self, reason: str) -> None:
        self.said.append("lost")
        self.reasons.append(reason)

    def evicted(self) -> None:
        self.said.append("evicted")

    def refused(self, subscription: Subscription, reason: str) -> None:
        self.said.append(f"refused {subscription.target} {subscription.argument}: {reason}")


class Keys:
    """The tokens of a login: a new one each time that one is refused."""

    def __init__(self) -> None:
        self.number = 1
        self.renewed: list[str | None] = []

    def get(self) -> str | None:
        return f"token-{self.number}"

    def renew(self, stale: str | None) -> str:
        self.renewed.append(stale)
        self.number += 1
        return f"token-{self.number}"


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for `condition`, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
