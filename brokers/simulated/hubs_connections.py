"""One client's connection to a hub: frames in and out, handshake, pings, what it wants to be told of."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from brokers.simulated import wire

PING_EVERY, CLIENT_SILENT = 15.0, 30.0
_A_FRAME = 64  # most messages in one frame
_END = b"\x1e"
_GOODBYE = 0.05  # seconds for what is said last

HubName = Literal["user", "market"]
Message = dict[str, Any]


class Connection:
    """An accepted socket. `topics`: targets of events with the account or contract, None for all."""

    def __init__(self, socket: WebSocket, hub: HubName, user: str) -> None:
        self.hub: HubName = hub
        self.user = user
        self.topics: set[tuple[str, int | str | None]] = set()
        self._socket = socket
        self._heard_at = time.monotonic()
        self._waiting: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._cut = asyncio.Event()

    def tell(self, message: Message) -> None:
        self._waiting.append(wire.encode(message) + _END)
        self._filled.set()

    def event(self, target: str, arguments: list[Any]) -> None:
        self.tell({"type": 1, "target": target, "arguments": arguments})

    def cut(self) -> None:
        """End the connection without a word."""
        self._cut.set()

    async def work(
        self, *, shake_hands: Callable[[Message], bool], invoke: Callable[[Message], None], pings: Callable[[], bool]
    ) -> None:
        """Serve the socket until it closes, says nothing any more, is cut, or `shake_hands` does not like it."""
        parts = (self._receive(shake_hands, invoke), self._send(), self._ping(pings), self._cut.wait())
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(RuntimeError, OSError, WebSocketDisconnect):
                await self._socket.close(1011 if self._cut.is_set() else 1000)

    async def _send(self) -> None:
        """Send what waits, several messages in one frame when they came together."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                part = [self._waiting.popleft() for _ in range(min(_A_FRAME, len(self._waiting)))]
                await self._socket.send_text(b"".join(part).decode())

    async def _ping(self, pings: Callable[[], bool]) -> None:
        while time.monotonic() - self._heard_at < CLIENT_SILENT:
            await asyncio.sleep(PING_EVERY)
            if pings():
                self.tell({"type": 6})

    async def _receive(self, shake_hands: Callable[[Message], bool], invoke: Callable[[Message], None]) -> None:
        rest, shaken = b"", False
        with suppress(WebSocketDisconnect, RuntimeError, msgspec.MsgspecError):
            while True:
                received = await self._socket.receive()
                if received["type"] == "websocket.disconnect":
                    return
                self._heard_at = time.monotonic()
                rest += received.get("bytes") or (received.get("text") or "").encode()
                *records, rest = rest.split(_END)
                for record in records:
                    message = msgspec.json.decode(record, type=dict[str, Any])
                    if not shaken:
                        shaken = shake_hands(message)
                        if not shaken:
                            await asyncio.sleep(_GOODBYE)
                            return
                    elif message.get("type") == 1:
                        invoke(message)
                    elif message.get("type") == 7:
                        return
