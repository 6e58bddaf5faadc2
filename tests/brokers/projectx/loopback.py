"""A server on loopback that answers with bytes, cuts, and silence; it keeps what it was sent."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket, threading.Event], None]


class Loopback:
    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._answers = iter(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while request := _read(connection):
                self.requests.append(request)
                answer = next(self._answers, None)
                if answer is None:
                    return
                try:
                    answer(connection, self.stopping)
                except OSError:
                    return
                if connection.fileno() < 0:
                    return

    def stop(self) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)


def _read(connection: socket.socket) -> bytes:
    """Return one request, empty when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            part = connection.recv(65536)
        except OSError:
            return b""
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(*answers: Answer) -> Iterator[Loopback]:
    server = Loopback(list(answers))
    try:
        yield server
    finally:
        server.stop()


def json(body: bytes, status: bytes = b"200 OK", headers: bytes = b"") -> Answer:
    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n%s\r\n%s" % (status, len(body), headers, body))

    return answer


def cut(sent: bytes = b"") -> Answer:
    """Send `sent` and close."""

    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(sent)
        connection.close()

    return answer


def reset(sent: bytes = b"") -> Answer:
    """Send `sent` and reset the connection."""

    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


def silence(sent: bytes = b"") -> Answer:
    """Send `sent` and nothing more."""

    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(sent)
        stopping.wait(10)

    return answer


def drip(sent: bytes, every: float) -> Answer:
    """Send `sent` and then one space at a time: always in time for a read, never done."""

    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(sent)
        while not stopping.wait(every):
            connection.sendall(b" ")

    return answer
