"""One connection to a hub: open, shake hands, invoke, listen. It is never repaired: who loses it opens another."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import httpx
import msgspec
from msgspec import Raw
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from brokers.projectx.hubs import messages
from brokers.projectx.hubs.framing import Records, TooLong

log = logging.getLogger(__name__)

OnEvent = Callable[[str, list[Raw], bytes, float], None]
"""Told of every event: target, arguments, the whole message, and time.monotonic() when its frame came."""

_LARGEST_FRAME = 4_000_000
_TURN = 0.002  # seconds after which others get their turn in the loop
_quiet = logging.getLogger("brokers.projectx.hubs.socket")
_quiet.setLevel(logging.WARNING)  # at DEBUG the library writes addresses, which carry the token


class Lost(Exception):
    """The connection could not be made or has ended; `refused_token` when the venue did not accept our token."""

    def __init__(self, reason: str, *, refused_token: bool = False) -> None:
        super().__init__(reason)
        self.refused_token = refused_token


class InvocationRefused(Exception):
    """The hub answered an invocation with an error."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Machine seconds: to open with handshake, for a completion, between our pings, without any frame of theirs."""

    open: float = 10.0
    completion: float = 15.0
    ping: float = 10.0
    silence: float = 30.0


class _Straight(connect):
    """A connect that follows no redirect: it would take our token along."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    """An open connection; `listen` must run while anything is invoked."""

    def __init__(self, socket: ClientConnection, timeouts: Timeouts) -> None:
        self._socket = socket
        self._timeouts = timeouts
        self._records = Records()
        self._early: list[bytes] = []
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._heard_at = time.monotonic()
        self._ended: str | None = None

    @classmethod
    async def open(
        cls, url: str, token: str, *, timeouts: Timeouts = Timeouts(), negotiate: bool = False
    ) -> Connection:
        """Return a connection to the hub at `url` (https:// or http://) with its handshake done. Raises Lost.

        negotiate   ask for a connection token first, as some servers want it; the venue takes the direct way
        """
        try:
            async with asyncio.timeout(timeouts.open):
                query = {"access_token": token}
                if negotiate:
                    query["id"] = await _negotiate(url, token)
                address = f"ws{url.removeprefix('http')}?{urlencode(query, quote_via=quote)}"
                socket = await _Straight(
                    address,
                    compression=None,
                    proxy=None,
                    open_timeout=None,
                    ping_interval=None,
                    close_timeout=1,
                    max_size=_LARGEST_FRAME,
                    max_queue=256,
                    logger=_quiet,
                )
                connection = cls(socket, timeouts)
                try:
                    await connection._shake_hands()
                except BaseException:
                    socket.transport.abort()
                    raise
                return connection
        except Lost as lost:
            failure = lost
        except InvalidStatus as error:
            status = error.response.status_code
            failure = Lost(f"HTTP {status} at the upgrade", refused_token=status in (401, 403))
        except TimeoutError:
            failure = Lost(f"not open after {timeouts.open:g} s")
        except (OSError, WebSocketException, TooLong, ValueError, msgspec.MsgspecError) as error:
            failure = Lost(f"not opened: {_words(error)}")
        raise failure  # outside the handlers: the library's errors may hold the address with its token

    async def _shake_hands(self) -> None:
        await self._socket.send(messages.HANDSHAKE, text=True)
        while not (found := self._records.feed(await self._next())):
            pass
        reply, *self._early = found
        if (error := messages.decode_handshake(reply).error) is not None:
            raise Lost(f"the hub refused the handshake: {error[:200]}")

    async def _next(self) -> bytes:
        frame = await self._socket.recv(decode=False)
        self._heard_at = time.monotonic()
        return frame

    async def listen(self, on_event: OnEvent, on_unreadable: Callable[[bytes], None]) -> None:
        """Hand on every event until the connection ends; always raises Lost."""
        keeping = asyncio.create_task(self._keep_alive())
        try:
            self._take(self._early, on_event, on_unreadable)
            turn = time.monotonic()
            while self._ended is None:
                frame = await self._next()
                self._take(self._records.feed(frame), on_event, on_unreadable)
                if self._heard_at - turn > _TURN:  # waiting frames are handed over without a pause
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        except (ConnectionClosed, OSError, TooLong) as error:
            self._ended = self._ended or _words(error)
        finally:
            keeping.cancel()
            reason = self._ended or "cancelled"
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Lost(reason))
            await self.close()
            with suppress(asyncio.CancelledError):
                await keeping
        raise Lost(reason)

    def _take(self, records: list[bytes], on_event: OnEvent, on_unreadable: Callable[[bytes], None]) -> None:
        for record in records:
            try:
                message = messages.decode(record)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                on_unreadable(record)
                continue
            match message.type:
                case messages.INVOCATION:
                    on_event(message.target, message.arguments, record, self._heard_at)
                case messages.COMPLETION:
                    self._complete(message)
                case messages.CLOSE:
                    self._ended = f"closed by the hub: {(message.error or 'no reason given')[:200]}"
                    return
                case _:  # pings, and what later versions may send
                    pass

    async def invoke(self, target: str, *arguments: int | str) -> None:
        """Call `target` and wait for its completion. Raises InvocationRefused, or Lost when none came."""
        number = str(next(self._numbers))
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            await self._send(messages.invocation(number, target, list(arguments)))
            async with asyncio.timeout(self._timeouts.completion):
                await waiting
        except TimeoutError:
            self.end(f"{target}: no completion after {self._timeouts.completion:g} s")
            raise Lost(self._ended or "") from None
        finally:
            del self._waiting[number]

    def _complete(self, message: messages.Message) -> None:
        waiting = self._waiting.get(message.invocation_id or "")
        if waiting is None or waiting.done():
            return
        if message.error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(InvocationRefused(message.error[:200]))

    def end(self, reason: str) -> None:
        """Give the connection up; `listen` then raises Lost with `reason`."""
        self._ended = self._ended or reason
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close the socket, politely if the other side still answers."""
        with suppress(OSError, WebSocketException):
            await self._socket.close()

    async def _keep_alive(self) -> None:
        """Ping, and give up a connection on which nothing at all comes."""
        pinged_at = time.monotonic()
        while self._ended is None:
            await asyncio.sleep(min(1.0, self._timeouts.ping, self._timeouts.silence / 4))
            now = time.monotonic()
            if now - self._heard_at > self._timeouts.silence:
                self.end(f"nothing came for {self._timeouts.silence:g} s")
            elif now - pinged_at >= self._timeouts.ping:
                pinged_at = now
                with suppress(Lost):
                    await self._send(messages.PING_MESSAGE)

    async def _send(self, message: bytes) -> None:
        try:
            await self._socket.send(message, text=True)
        except (OSError, WebSocketException) as error:
            raise Lost(self._ended or _words(error)) from None


async def _negotiate(url: str, token: str) -> str:
    """Return the connection token. Raises Lost."""
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None) as client:  # noqa: S113  the caller's
        try:
            answer = await client.post(f"{url}/negotiate", params={"negotiateVersion": 1}, headers=headers)
        except httpx.HTTPError as error:
            failure = Lost(f"not negotiated: {_words(error)}")
        else:
            if answer.status_code == 200:
                offer = messages.decode_negotiation(answer.content)
                if (name := offer.connection_token or offer.connection_id) and not offer.error and not offer.url:
                    return name
                failure = Lost(f"not negotiated: {(offer.error or 'no connection token')[:200]}")
            else:
                refused = answer.status_code in (401, 403)
                failure = Lost(f"HTTP {answer.status_code} at negotiate", refused_token=refused)
    raise failure


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionClosed):
        closing = error.rcvd or error.sent
        return f"closed with {closing.code}" if closing else "the connection broke"
    return f"{type(error).__name__}: {error}".split("access_token")[0][:200]
