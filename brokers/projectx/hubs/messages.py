"""Messages of the JSON hub protocol, version 1. Source: ASP.NET Core SignalR, HubProtocol.md."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from brokers.projectx.hubs.framing import SEPARATOR

INVOCATION, COMPLETION, PING, CLOSE = 1, 3, 6, 7


class Message(Struct, rename="camel"):
    """Any message of the server; what a kind does not have stays at its default."""

    type: int
    target: str = ""
    arguments: list[Raw] = []
    invocation_id: str | None = None
    error: str | None = None
    allow_reconnect: bool | None = None


class HandshakeReply(Struct):
    error: str | None = None


class Negotiation(Struct, rename="camel"):
    """Answer of the negotiate request: `connection_token` names the connection in the socket's address."""

    connection_token: str | None = None
    connection_id: str | None = None
    error: str | None = None
    url: str | None = None


decode = msgspec.json.Decoder(Message).decode
decode_handshake = msgspec.json.Decoder(HandshakeReply).decode
decode_negotiation = msgspec.json.Decoder(Negotiation).decode

HANDSHAKE = b'{"protocol":"json","version":1}' + SEPARATOR
PING_MESSAGE = b'{"type":6}' + SEPARATOR


def invocation(number: str, target: str, arguments: list[Any]) -> bytes:
    """Return a call that wants a completion."""
    call = {"type": INVOCATION, "invocationId": number, "target": target, "arguments": arguments}
    return msgspec.json.encode(call) + SEPARATOR
