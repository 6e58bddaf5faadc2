"""A hub that stays connected: what it does between one connection and the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from brokers.base import LoginFailed
from brokers.projectx.hubs.client import Hub, Pace, Subscription
from tests.brokers.projectx.hubs.server import QUICK, Client, Heard, Hubs, Keys, hub, until

ORDERS, TRADES, QUOTES = (
    Subscription("SubscribeOrders", 1),
    Subscription("SubscribeTrades", 1),
    Subscription("SubscribeContractQuotes", "X"),
)


@asynccontextmanager
async def running(
    server: Hubs, heard: Heard, keys: Keys | None = None, wanted: list[Subscription] | None = None, **options: object
) -> AsyncIterator[Hub]:
    made = Hub(server.url, keys or Keys(), heard, **{"pace": QUICK, **options})
    made.want([ORDERS, TRADES] if wanted is None else wanted)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def confirming(
    number: int, then: Callable[[Client], Awaitable[None]] = Client.wait
) -> Callable[[Client], Awaitable[None]]:
    async def script(client: Client) -> None:
        await client.shake_hands()
        client.heard.clear()
        await client.confirm(number)
        await then(client)

    return script


async def cut(client: Client) -> None:
    client.socket.transport.abort()


def test_it_subscribes_everything_again_after_each_connect():
    async def go() -> tuple[list[list[tuple[str, list[object]]]], Heard]:
        heard = Heard()
        async with hub(confirming(2, cut), confirming(2, cut), confirming(2)) as server, running(server, heard):
            await until(lambda: heard.said.count("connected") == 3)
            return [[(m["target"], m["arguments"]) for m in c.heard if m["type"] == 1] for c in server.clients], heard

    calls, heard = asyncio.run(go())
    assert calls == [[("SubscribeOrders", [1]), ("SubscribeTrades", [1])]] * 3
    assert [word for word in heard.said if word != "lost"] == ["connected"] * 3


def test_it_never_gives_up():
    async def go() -> list[str]:
        heard = Heard()
        async with hub(confirming(2), statuses=[502] * 12) as server, running(server, heard):
            await until(lambda: "connected" in heard.said)
        return heard.said

    assert asyncio.run(go()) == ["lost"] * 12 + ["connected"]


def test_a_refused_token_is_renewed_before_the_next_try():
    keys = Keys()

    async def go() -> str:
        heard = Heard()
        async with hub(confirming(2), statuses=[403]) as server, running(server, heard, keys):
            await until(lambda: "connected" in heard.said)
            return server.clients[0].path

    assert asyncio.run(go()).endswith("access_token=token-2")
    assert keys.renewed == ["token-1"]


def test_a_login_that_is_refused_does_not_end_it():
    class Refused(Keys):
        def get(self) -> str | None:
            self.number += 1
            if self.number < 4:
                raise LoginFailed("the key is wrong")
            return "token"

    async def go() -> list[str]:
        heard = Heard()
        async with hub(confirming(2)) as server, running(server, heard, Refused()):
            await until(lambda: "connected" in heard.said)
        return heard.reasons

    assert asyncio.run(go()) == ["the key is wrong"] * 2


def test_every_connect_takes_the_token_of_that_moment():
    keys = Keys()

    async def change(client: Client) -> None:
        keys.number = 7
        await cut(client)

    async def go() -> list[str]:
        heard = Heard()
        async with hub(confirming(2, change), confirming(2)) as server, running(server, heard, keys):
            await until(lambda: heard.said.count("connected") == 2)
            return [client.path.rpartition("=")[2] for client in server.clients]

    assert asyncio.run(go()) == ["token-1", "token-7"]


@pytest.mark.parametrize(("rests", "latest", "connects"), [(True, 60.0, 2), (False, 60.0, 1), (False, 0.0, 2)])
def test_a_replaced_token_is_taken_when_it_does_no_harm_or_at_the_latest(rests: bool, latest: float, connects: int):
    keys = Keys()
    pace = Pace(**{**{name: getattr(QUICK, name) for name in QUICK.__slots__}, "token_latest": latest})

    async def go() -> int:
        heard = Heard()
        async with hub(confirming(2)) as server, running(server, heard, keys, pace=pace, rests=lambda: rests):
            await until(lambda: "connected" in heard.said)
            keys.number = 2
            if connects == 2:
                await until(lambda: heard.said.count("connected") == 2)
            else:
                await asyncio.sleep(0.2)  # ten looks at the token
            return len(server.clients)

    assert asyncio.run(go()) == connects


def test_a_logout_is_told_once_and_answered_slowly_with_a_fresh_login():
    keys = Keys()

    async def log_out(client: Client) -> None:
        await client.say(
            {"type": 1, "target": "GatewayLogout", "arguments": []}, {"type": 1, "target": "GatewayLogout"}
        )
        await client.say({"type": 7, "allowReconnect": False})
        await client.wait()

    async def go() -> tuple[list[str], list[float]]:
        heard = Heard()
        at: list[float] = []

        async def noting(client: Client) -> None:
            at.append(asyncio.get_running_loop().time())
            await until(lambda: heard.said.count("connected") == len(at))
            await log_out(client)

        scripts = confirming(2, noting), confirming(2, noting), confirming(2)
        async with hub(*scripts) as server, running(server, heard, keys):
            await until(lambda: heard.said.count("connected") == 3)
            at.append(asyncio.get_running_loop().time())
        return heard.said, at

    said, at = asyncio.run(go())
    assert said == ["connected", "evicted", "lost", "connected", "evicted", "lost", "connected"]
    assert keys.renewed == ["token-1", "token-2"]
    assert at[1] - at[0] >= QUICK.evicted
    assert at[2] - at[1] >= QUICK.evicted * 2  # the second time it waits longer


def test_what_is_wanted_may_change_while_connected():
    async def script(client: Client) -> None:
        await client.shake_hands()
        client.heard.clear()
        await client.confirm(5)
        await client.wait()

    async def go() -> list[tuple[str, list[object]]]:
        heard = Heard()
        async with hub(script) as server, running(server, heard) as made:
            await until(lambda: "connected" in heard.said)
            made.want([TRADES, QUOTES])
            await until(lambda: len(server.clients[0].heard) >= 4)
            made.want([QUOTES])
            await until(lambda: sum(m["type"] == 1 for m in server.clients[0].heard) == 5)
            return [(m["target"], m["arguments"]) for m in server.clients[0].heard if m["type"] == 1]

    assert asyncio.run(go()) == [
        ("SubscribeOrders", [1]),
        ("SubscribeTrades", [1]),
        ("UnsubscribeOrders", [1]),
        ("SubscribeContractQuotes", ["X"]),
        ("UnsubscribeTrades", [1]),
    ]


def test_a_refused_subscription_is_told_and_asked_for_again_while_the_others_stand():
    async def script(client: Client) -> None:
        await client.shake_hands()
        refused = await client.hear()
        await client.say({"type": 3, "invocationId": refused["invocationId"], "error": "not your account"})
        await client.confirm(2)
        await client.wait()

    async def go() -> tuple[list[str], list[str]]:
        heard = Heard()
        async with hub(script) as server, running(server, heard):
            await until(
                lambda: (
                    len([m for m in (server.clients or [Client])[0].heard if m.get("type") == 1]) == 3
                    if server.clients
                    else False
                )
            )
            return heard.said, [m["target"] for m in server.clients[0].heard if m.get("type") == 1]

    said, targets = asyncio.run(go())
    assert said == ["refused SubscribeOrders 1: not your account", "connected"]
    assert targets == ["SubscribeOrders", "SubscribeTrades", "SubscribeOrders"]


def test_pauses_grow_to_their_limit_and_are_never_the_same():
    made = Hub("http://127.0.0.1:1/hubs/user", Keys(), Heard(), pace=Pace(first=0.5, longest=30))
    pauses = [[made._pause(failures) for _ in range(50)] for failures in range(1, 12)]
    for failures, drawn in enumerate(pauses):
        most = min(0.5 * 2**failures, 30)
        assert most / 2 <= min(drawn) < max(drawn) <= most
    assert max(pauses[-1]) > 20
