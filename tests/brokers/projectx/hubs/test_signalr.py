"""One connection against a hub that says what the test writes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from brokers.projectx.hubs.signalr import Connection, InvocationRefused, Lost, Timeouts
from tests.brokers.projectx.hubs.server import END, Client, Heard, hub, until

SHORT = Timeouts(open=0.5, completion=0.2, ping=0.05, silence=0.4)
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


async def opened(url: str, timeouts: Timeouts = SHORT) -> Connection:
    return await Connection.open(url, TOKEN, timeouts=timeouts)


async def listening(connection: Connection, heard: Heard) -> str:
    """Listen until the connection ends and return why."""
    with pytest.raises(Lost) as lost:
        await connection.listen(heard.event, heard.unreadable)
    return str(lost.value)


def test_it_shakes_hands_in_version_1_and_brings_its_token_in_the_address():
    async def script(client: Client) -> None:
        await client.shake_hands()
        await client.say({"type": 7, "error": "done"})

    async def go() -> None:
        async with hub(script) as server:
            assert await listening(await opened(server.url), Heard()) == "closed by the hub: done"
            assert server.clients[0].path == f"/hubs/user?access_token={TOKEN}"

    asyncio.run(go())


def test_events_that_come_with_the_handshake_and_over_several_frames_are_heard():
    async def script(client: Client) -> None:
        await client.hear()
        await client.socket.send(
            "{}" + END + '{"type":1,"target":"A","arguments":[1]}' + END + '{"type":6}' + END + '{"type":1,"tar'
        )
        await client.socket.send('get":"B","arguments":["é"]}' + END)
        await client.socket.send(b'{"type":1,"target":"C","arguments":[]}' + b"\x1e")
        await client.say({"type": 7})

    async def go() -> Heard:
        heard = Heard()
        async with hub(script) as server:
            await listening(await opened(server.url), heard)
        return heard

    assert asyncio.run(go()).events == [("A", [b"1"]), ("B", ['"é"'.encode()]), ("C", [])]


def test_what_is_no_message_is_told_and_the_rest_goes_on():
    async def script(client: Client) -> None:
        await client.shake_hands()
        await client.socket.send("not json" + END + '{"type":"1"}' + END + '{"type":99}' + END)
        await client.say({"type": 1, "target": "A", "arguments": [1]}, {"type": 7})

    async def go() -> Heard:
        heard = Heard()
        async with hub(script) as server:
            await listening(await opened(server.url), heard)
        return heard

    heard = asyncio.run(go())
    assert heard.said == ["unreadable not json", 'unreadable {"type":"1"}']
    assert [target for target, _ in heard.events] == ["A"]


@pytest.mark.parametrize("reply", ['{"error":"no such protocol"}', "nonsense"])
def test_a_refused_handshake_is_lost(reply: str):
    async def script(client: Client) -> None:
        await client.hear()
        await client.socket.send(reply + END)
        await client.wait()

    async def go() -> None:
        async with hub(script) as server:
            with pytest.raises(Lost):
                await opened(server.url)

    asyncio.run(go())


def test_a_hub_that_does_not_shake_hands_is_lost_in_time():
    async def go() -> None:
        async with hub(Client.wait) as server:
            with pytest.raises(Lost, match=r"not open after 0\.5 s"):
                await opened(server.url)

    asyncio.run(go())


@pytest.mark.parametrize(("status", "refused"), [(401, True), (403, True), (404, False), (502, False), (302, False)])
def test_an_upgrade_that_is_refused_says_whether_it_was_the_token(status: int, refused: bool):
    async def go() -> None:
        async with hub(Client.wait, statuses=[status]) as server:
            with pytest.raises(Lost, match=f"HTTP {status}") as lost:
                await opened(server.url)
            assert lost.value.refused_token is refused
            assert server.clients == []

    asyncio.run(go())


def test_the_token_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture):
    async def script(client: Client) -> None:
        await client.shake_hands()
        await client.socket.close(1011, "x")

    async def go() -> list[BaseException]:
        errors: list[BaseException] = []
        async with hub(script, statuses=[403, 101]) as server:
            for url in (server.url, server.url, "http://127.0.0.1:1/hubs/user", "http://127.0.0.1:99999/hubs/user"):
                try:
                    connection = await opened(url)
                    await connection.listen(Heard().event, Heard().unreadable)
                except Lost as lost:
                    errors.append(lost)
        return errors

    caplog.set_level(logging.DEBUG)
    errors = asyncio.run(go())
    assert len(errors) == 4
    said = [repr(one) for error in errors for one in (error, error.__cause__, error.__context__)]
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    assert not [text for text in said + ours if TOKEN in text]


def test_an_invocation_waits_for_its_completion():
    async def script(client: Client) -> None:
        await client.shake_hands()
        first, second = await client.hear(), await client.hear()
        await client.say({"type": 3, "invocationId": "777"})  # of nobody
        await client.say({"type": 3, "invocationId": second["invocationId"], "error": "no such account"})
        await client.say({"type": 3, "invocationId": first["invocationId"]})
        await client.wait()

    async def go() -> list[object]:
        async with hub(script) as server:
            connection = await opened(server.url)
            listen = asyncio.create_task(listening(connection, Heard()))
            calls = [connection.invoke("SubscribeOrders", 1), connection.invoke("SubscribeOrders", 2)]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert server.clients[0].heard[1]["arguments"] == [1]
            connection.end("enough")
            assert await listen == "enough"
            return found

    first, second = asyncio.run(go())
    assert first is None
    assert isinstance(second, InvocationRefused)
    assert str(second) == "no such account"


def test_a_missing_completion_ends_the_connection():
    async def script(client: Client) -> None:
        await client.shake_hands()
        while True:
            await client.hear()

    async def go() -> None:
        async with hub(script) as server:
            connection = await opened(server.url)
            listen = asyncio.create_task(listening(connection, Heard()))
            with pytest.raises(Lost, match="no completion"):
                await connection.invoke("SubscribeOrders", 1)
            assert "no completion" in await listen

    asyncio.run(go())


def test_it_pings_and_gives_up_a_silent_hub():
    async def script(client: Client) -> None:
        await client.shake_hands()
        while True:
            await client.hear()

    async def go() -> None:
        async with hub(script) as server:
            reason = await listening(await opened(server.url), Heard())
            assert reason == "nothing came for 0.4 s"
            assert {"type": 6} in server.clients[0].heard

    asyncio.run(go())


def test_a_hub_that_pings_is_not_given_up():
    async def script(client: Client) -> None:
        await client.shake_hands()
        for _ in range(16):
            await asyncio.sleep(0.05)
            await client.say({"type": 6})
        await client.say({"type": 7, "error": "after twice the silence"})

    async def go() -> str:
        async with hub(script) as server:
            return await listening(await opened(server.url), Heard())

    assert asyncio.run(go()) == "closed by the hub: after twice the silence"


def test_a_message_that_does_not_end_loses_the_connection():
    async def script(client: Client) -> None:
        await client.shake_hands()
        for _ in range(12):
            await client.socket.send("x" * 100_000)
        await client.wait()

    async def go() -> str:
        async with hub(script) as server:
            return await listening(await opened(server.url), Heard())

    assert "longer than" in asyncio.run(go())


def test_a_cut_is_lost_and_tells_who_waits():
    async def script(client: Client) -> None:
        await client.shake_hands()
        await client.hear()
        client.socket.transport.abort()

    async def go() -> None:
        async with hub(script) as server:
            connection = await opened(server.url)
            listen = asyncio.create_task(listening(connection, Heard()))
            with pytest.raises(Lost):
                await connection.invoke("SubscribeOrders", 1)
            await listen
            await until(listen.done)

    asyncio.run(go())
