"""Sockets that keep a call's deadline, whatever the other side does.

The timeouts of an HTTP client bound one read or one write: a body that drips in, or a host with many addresses, takes
as long as it likes. Here every socket operation gets what is left of the call's deadline, and no request begins after.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import httpcore
import httpx


class _Attempt:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.sending = False


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Bound every socket operation of this thread by `deadline` (time.monotonic)."""
    token = _attempt.set(_Attempt(deadline))
    try:
        yield
    finally:
        _attempt.reset(token)


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    attempt = _attempt.get()
    if attempt is None:
        return timeout
    left = attempt.deadline - time.monotonic()
    if left <= 0:
        raise late("the call's deadline has passed")
    return left if timeout is None else min(timeout, left)


class Transport(httpx.HTTPTransport):
    """HTTP/1.1 without retries, redirects, proxies or environment, on sockets that keep the deadline."""

    def __init__(self, *, tls: bool, keepalive_expiry: float, max_connections: int) -> None:
        context = _verified() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=max_connections,
            keepalive_expiry=keepalive_expiry,
            retries=0,
            network_backend=_Backend(),
        )


@cache
def _verified() -> ssl.SSLContext:
    """Return the context that trusts the usual authorities; it takes 20 ms to make."""
    return httpx.create_ssl_context(trust_env=False)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in _addresses(host, port, _left(timeout, httpcore.ConnectTimeout)):
            try:
                return _Stream(
                    self._sockets.connect_tcp(
                        address,
                        port,
                        _left(timeout, httpcore.ConnectTimeout),
                        local_address,
                        list(socket_options or ()),
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")


def _addresses(host: str, port: int, seconds: float | None) -> list[str]:
    """Return the addresses of `host`. The system's resolver knows no timeout, so it works in a thread of its own."""
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(address[0]) for *_, address in found)))
        except Exception as error:  # raised again where it is waited for
            answers.put(error)

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout(f"{host} is not resolved after {seconds:.1f} s") from None
    if isinstance(answer, (OSError, UnicodeError)):
        raise httpcore.ConnectError(str(answer))
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        attempt = _attempt.get()
        begun = attempt is not None and attempt.sending
        seconds = _left(timeout, httpcore.WriteTimeout if begun else httpcore.ConnectTimeout)
        if attempt is not None:
            attempt.sending = True
        self._stream.write(buffer, seconds)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout)))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
