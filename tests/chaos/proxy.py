"""A TCP proxy that watches what a client says and cuts its connection before the answer comes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Forwards to (host, port). While armed it cuts the connection that says `word` after that has been delivered."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._word = b""
        self._left = 0
        self._lock = threading.Lock()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, word: bytes, *, skip: int = 0, times: int = 1) -> None:
        """Cut at the next `times` occurrences of `word`, without answers, after skipping `skip` of them."""
        with self._lock:
            self._word, self._skip, self._left = word, skip, times

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            cut = threading.Event()
            threading.Thread(target=self._up, args=(client, server, cut), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client, cut), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                if self._strikes(data):
                    cut.set()  # the answer is not passed on any more
                    server.sendall(data)
                    server.recv(1)  # it has been done
                    break
                server.sendall(data)
        _end(client, server)

    def _down(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while not cut.is_set() and (data := server.recv(65_536, socket.MSG_PEEK)):
                if cut.is_set():
                    return
                client.sendall(server.recv(len(data)))
        if not cut.is_set():
            _end(client, server)

    def _strikes(self, data: bytes) -> bool:
        with self._lock:
            if not self._left or self._word not in data:
                return False
            if self._skip:
                self._skip -= 1
                return False
            self._left -= 1
            self.cuts += 1
            return True


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    made = Proxy(host, port)
    try:
        yield made
    finally:
        made.close()
