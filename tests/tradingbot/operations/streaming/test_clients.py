"""The stream's tokens outlive a connection of PostgreSQL, and the hubs outlive PostgreSQL."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection, connections
from django.db.models.functions import Now

from brokers.base import NotSent
from brokers.projectx.hubs.client import Hub
from tests.brokers.projectx.hubs.server import QUICK, Client, Heard, hub, until
from tests.factories import LoginFactory
from tradingbot.models import Login
from tradingbot.operations import statements, venues
from tradingbot.operations.streaming.clients import tokens

pytestmark = pytest.mark.django_db(transaction=True)


def renew(token: str) -> None:
    Login.objects.update(token=token, token_renewed_at=Now())


def test_a_hub_goes_on_after_a_restart_of_postgresql(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(venues, "_REREAD", 0.0)
    thread, keys = ThreadPoolExecutor(1), tokens(LoginFactory())
    renew("token-1")
    backend = thread.submit(lambda: statements.rows("SELECT pg_backend_pid()", {})[0][0]).result()

    async def listen(client: Client) -> None:
        await client.shake_hands()
        await client.wait()

    async def cut(client: Client) -> None:
        await client.shake_hands()
        await gone.wait()
        await asyncio.sleep(0.2)  # several looks at the token
        client.socket.transport.abort()

    gone = asyncio.Event()

    async def go() -> list[str]:
        heard = Heard()
        async with hub(cut, listen) as server:
            made = Hub(server.url, keys, heard, pace=QUICK, executor=thread)
            running = asyncio.create_task(made.run())
            try:
                await until(lambda: "connected" in heard.said)
                await asyncio.to_thread(end, backend)
                gone.set()
                await until(lambda: heard.said.count("connected") == 2 or running.done())
                assert not running.done(), running.exception()
                await asyncio.to_thread(renew_elsewhere, "token-2")
                await until(lambda: heard.said.count("connected") == 3)
                return [client.path.rpartition("=")[2] for client in server.clients]
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    try:
        assert asyncio.run(go()) == ["token-1", "token-1", "token-2"]
    finally:
        thread.submit(connections.close_all)
        thread.shutdown()


def end(backend: int) -> None:
    """End a connection as a restart of PostgreSQL does."""
    statements.rows("SELECT pg_terminate_backend(%(pid)s::int, 5000)", {"pid": backend})
    connections.close_all()


def renew_elsewhere(token: str) -> None:
    renew(token)
    connections.close_all()


@pytest.mark.parametrize("ask", ["get", "renew"])
def test_while_postgresql_is_away_there_is_no_token_and_nothing_was_sent(ask: str):
    keys = tokens(LoginFactory())

    def away(*_: Any) -> NoReturn:
        raise OperationalError("server closed the connection unexpectedly\nThis probably means ...")

    with connection.execute_wrapper(away), pytest.raises(NotSent, match="answer: server closed the connection"):
        keys.get() if ask == "get" else keys.renew("token")
