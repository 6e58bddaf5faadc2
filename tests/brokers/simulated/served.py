"""A stage behind a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from brokers.simulated.server import create_app
from brokers.simulated.tokens import Credentials
from tests.brokers.simulated.stage import Stage


@contextmanager
def served(
    stage: Stage, *, speed: float = 1.0, credentials: Credentials | None = None, fault_token: str | None = None
) -> Iterator[str]:
    """Serve the stage's venue on this machine; yields its address."""
    app = create_app(
        stage.venue, stage.now, speed=speed, credentials=credentials or Credentials(), fault_token=fault_token
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", date_header=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
