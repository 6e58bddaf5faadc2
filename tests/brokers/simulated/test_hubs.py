"""The venue's hubs over a real socket, heard by our own client and by a bare one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from brokers.base import AccountReport, FillReport, OrderReport
from brokers.projectx.hubs import Hub, MarketDecoder, Pace, PositionEvent, Subscription, decode, hub_url
from brokers.projectx.hubs.market import trades
from brokers.projectx.hubs.signalr import Timeouts
from brokers.simulated.engine import Venue
from market.orders import OrderStatus
from tests.brokers.projectx.hubs.server import QUICK, Heard, until
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import BUY, MARKET, MNQ, Stage

END = "\x1e"
QUOTES = Subscription("SubscribeContractQuotes", MNQ)
TRADES = Subscription("SubscribeContractTrades", MNQ)
DEPTH = Subscription("SubscribeContractMarketDepth", MNQ)


STEADY = replace(QUICK, token_every=60, timeouts=Timeouts(open=10, completion=10, silence=20))


class Keys:
    def __init__(self, url: str) -> None:
        self._token = login(url)

    def get(self) -> str:
        return self._token

    def renew(self, stale: str | None) -> str:
        return self._token


def login(url: str) -> str:
    answer = httpx.post(f"{url}/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}, timeout=60)
    return str(answer.json()["token"])


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with served(stage) as url:
        yield stage, url


@pytest.fixture
def stage(place: tuple[Stage, str]) -> Iterator[Stage]:
    stage, _ = place
    yield stage
    for name, value in vars_of(type(stage.venue.event_switches)()).items():
        setattr(stage.venue.event_switches, name, value)


@pytest.fixture
def url(place: tuple[Stage, str]) -> str:
    return place[1]


def vars_of(switches: Any) -> dict[str, Any]:
    return {name: getattr(switches, name) for name in type(switches).__slots__}


def of_account(stage: Stage) -> list[Subscription]:
    kinds = ("Orders", "Trades", "Positions")
    return [Subscription("SubscribeAccounts"), *(Subscription(f"Subscribe{kind}", stage.account_id) for kind in kinds)]


@asynccontextmanager
async def listening(
    url: str, name: Any, wanted: list[Subscription], *, pace: Pace = STEADY, negotiate: bool = False
) -> AsyncIterator[Heard]:
    heard = Heard()
    hub = Hub(hub_url(url, name), Keys(url), heard, pace=pace, negotiate=negotiate)
    hub.want(wanted)
    task = asyncio.create_task(hub.run())
    try:
        await until(lambda: "connected" in heard.said)
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def reports(heard: Heard, kind: type) -> list[Any]:
    from msgspec import Raw

    events = [decode(target, [Raw(argument) for argument in arguments]) for target, arguments in heard.events]
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("negotiate", [False, True])
def test_a_market_order_with_its_bracket_is_told_as_the_ledger_has_it(stage: Stage, url: str, negotiate: bool):
    async def go() -> Heard:
        async with listening(url, "user", of_account(stage), negotiate=negotiate) as heard:
            stage.entry = await asyncio.to_thread(stage.place, MARKET, BUY, 1, sl=-40, tp=60)
            await until(lambda: len(heard.events) >= 9)
            await asyncio.to_thread(stage.close)
            await until(lambda: len(heard.events) >= 14)
        return heard

    heard = asyncio.run(go())
    orders = [order for order in reports(heard, OrderReport) if order.id == stage.entry]
    assert [order.status for order in orders] == [None, OrderStatus.FILLED]  # Pending, as at the real one
    legs = [order for order in reports(heard, OrderReport) if order.parent_id == stage.entry]
    assert [leg.status for leg in legs[:2]] == [OrderStatus.SUSPENDED] * 2
    fills = reports(heard, FillReport)
    assert {fill.id for fill in fills} == {fill.id for fill in stage.fills[-2:]}
    assert [position.quantity for position in reports(heard, PositionEvent)] == [1, 0]
    assert reports(heard, AccountReport)[-1].balance == stage.balance
    for leg in stage.legs(stage.entry):
        stage.cancel(leg.id)


def test_actions_are_those_that_were_seen(stage: Stage, url: str):
    async def go() -> Heard:
        async with listening(url, "user", of_account(stage)) as heard:
            await asyncio.to_thread(stage.place, MARKET, BUY, 1)
            await asyncio.to_thread(stage.close)
            await until(lambda: sum(target == "GatewayUserPosition" for target, _ in heard.events) == 2)
        return heard

    heard = asyncio.run(go())
    actions = [(target, json.loads(arguments[0])["action"]) for target, arguments in heard.events]
    assert {action for target, action in actions if target == "GatewayUserTrade"} == {0}
    assert [action for target, action in actions if target == "GatewayUserPosition"] == [1, 2]


def test_the_bare_form_is_a_switch(stage: Stage, url: str):
    stage.venue.event_switches.form = "bare"

    async def go() -> Heard:
        async with listening(url, "user", of_account(stage)) as heard:
            await asyncio.to_thread(stage.place, MARKET, BUY, 1)
            await asyncio.to_thread(stage.close)
            await until(lambda: sum(target == "GatewayUserTrade" for target, _ in heard.events) == 2)
        return heard

    heard = asyncio.run(go())
    assert "accountId" in json.loads(next(arguments[0] for target, arguments in heard.events if "Trade" in target))
    assert len(reports(heard, FillReport)) == 2


def test_subscribing_on_the_user_hub_sends_no_snapshot_and_only_what_was_asked_for(stage: Stage, url: str):
    async def go() -> Heard:
        async with listening(url, "user", [Subscription("SubscribeTrades", stage.account_id)]) as heard:
            assert heard.events == []
            await asyncio.to_thread(stage.place, MARKET, BUY, 1)
            await asyncio.to_thread(stage.close)
            await until(lambda: len(heard.events) == 2)
        return heard

    assert {target for target, _ in asyncio.run(go()).events} == {"GatewayUserTrade"}


def test_lost_events_never_come_and_duplicated_ones_come_twice(stage: Stage, url: str):
    switches = stage.venue.event_switches

    async def go() -> tuple[list[int], int]:
        async with listening(url, "user", [Subscription("SubscribeTrades", stage.account_id)]) as heard:
            switches.lost = 1.0
            await asyncio.to_thread(stage.place, MARKET, BUY, 1)
            await asyncio.to_thread(httpx.get, f"{url}/api/Status/ping", timeout=60)  # answered after the events
            switches.lost, switches.duplicated = 0.0, 1.0
            await asyncio.to_thread(stage.close)
            await until(lambda: len(heard.events) == 2)
            return [fill.id for fill in reports(heard, FillReport)], stage.fills[-1].id

    ids, last = asyncio.run(go())
    assert ids == [last, last]


def test_reordered_events_come_all_the_same(stage: Stage, url: str):
    stage.venue.event_switches.reordered = 0.7

    async def go() -> Heard:
        async with listening(url, "user", of_account(stage)) as heard:
            for _ in range(3):
                await asyncio.to_thread(stage.place, MARKET, BUY, 1)
                await asyncio.to_thread(stage.close)
            await until(lambda: len(heard.events) == 30)
        return heard

    heard = asyncio.run(go())
    fills = [fill.id for fill in reports(heard, FillReport)]
    assert sorted(fills) == [fill.id for fill in stage.fills[-6:]]
    kinds = [target for target, _ in heard.events]
    assert kinds[:5] != [
        "GatewayUserOrder",
        "GatewayUserOrder",
        "GatewayUserTrade",
        "GatewayUserPosition",
        "GatewayUserAccount",
    ]


def test_a_dropped_hub_is_connected_again(stage: Stage, url: str):
    async def go() -> list[str]:
        async with listening(url, "user", of_account(stage)) as heard:
            stage.venue.event_switches.drop = "user"
            await until(lambda: heard.said.count("connected") == 2)
            return heard.said

    assert asyncio.run(go()) == ["connected", "lost", "connected"]
    assert stage.venue.event_switches.drop == ""


def test_a_logout_reaches_both_hubs(stage: Stage, url: str):
    async def go() -> list[list[str]]:
        async with (
            listening(url, "user", of_account(stage)) as user,
            listening(url, "market", [QUOTES]) as market,
        ):
            stage.venue.event_switches.logout = True
            await until(lambda: user.said.count("connected") == market.said.count("connected") == 2)
            return [user.said, market.said]

    assert asyncio.run(go()) == [["connected", "evicted", "lost", "connected"]] * 2


def test_a_second_session_may_end_the_first(stage: Stage, url: str):
    stage.venue.event_switches.second_login = "evicted"

    async def go() -> list[str]:
        wanted = of_account(stage)
        async with listening(url, "user", wanted) as first, listening(url, "user", wanted):
            await until(lambda: "evicted" in first.said)
            return first.said[:2]

    assert asyncio.run(go()) == ["connected", "evicted"]


def test_a_mute_hub_is_noticed_by_its_silence(stage: Stage, url: str):
    stage.venue.event_switches.mute = True

    async def go() -> list[str]:
        pace = replace(STEADY, timeouts=replace(STEADY.timeouts, silence=1.5))
        async with listening(url, "user", of_account(stage), pace=pace) as heard:
            await until(lambda: "lost" in heard.said)
            return heard.reasons

    assert asyncio.run(go())[0] == "nothing came for 1.5 s"


@pytest.mark.parametrize("status", [401, 403])
def test_a_bad_token_is_refused_at_negotiate_and_at_the_upgrade(stage: Stage, url: str, status: Any):
    stage.venue.event_switches.bad_token = status

    async def go() -> None:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"{hub_url(url, 'user').replace('http', 'ws')}?access_token=x", proxy=None)
        assert refusal.value.response.status_code == status

    asyncio.run(go())
    assert httpx.post(f"{hub_url(url, 'user')}/negotiate?negotiateVersion=1").status_code == status


def test_a_new_connection_may_be_refused(stage: Stage, url: str):
    stage.venue.event_switches.refuse = 503

    async def go() -> None:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"{hub_url(url, 'user').replace('http', 'ws')}?access_token={login(url)}", proxy=None)
        assert refusal.value.response.status_code == 503

    asyncio.run(go())


# --- a bare client: what is said, word for word


async def said(url: str, *messages: dict[str, Any], answers: int, hub: Any = "user") -> list[Any]:
    """Send messages and return the first `answers` that come; None for the end of the connection."""
    found: list[Any] = []
    address = f"{hub_url(url, hub).replace('http', 'ws')}?access_token={login(url)}"
    async with connect(address, proxy=None) as socket, asyncio.timeout(5):
        await socket.send("".join(json.dumps(message) + END for message in messages))
        try:
            while len(found) < answers:
                found += [json.loads(record) for record in str(await socket.recv()).split(END) if record]
        except ConnectionClosed:
            found.append(None)
    return found


HANDSHAKE = {"protocol": "json", "version": 1}


def test_version_0_is_refused_and_the_connection_closed(stage: Stage, url: str):
    reply, end = asyncio.run(said(url, {"protocol": "json", "version": 0}, answers=2))
    assert "version 0" in reply["error"]
    assert end is None


def test_each_invocation_with_an_id_gets_its_completion(stage: Stage, url: str):
    calls = [
        {"type": 1, "invocationId": "1", "target": "SubscribeOrders", "arguments": [stage.account_id]},
        {"type": 1, "target": "SubscribeTrades", "arguments": [stage.account_id]},
        {"type": 1, "invocationId": "2", "target": "SubscribeOrders", "arguments": [999]},
        {"type": 1, "invocationId": "3", "target": "SubscribeOrders", "arguments": []},
        {"type": 1, "invocationId": "4", "target": "Dance", "arguments": []},
        {"type": 1, "invocationId": "5", "target": "UnsubscribeOrders", "arguments": [stage.account_id]},
    ]
    found = asyncio.run(said(url, HANDSHAKE, *calls, answers=6))
    assert found[0] == {}
    assert [(one["invocationId"], "error" in one) for one in found[1:]] == [
        ("1", False),
        ("2", True),
        ("3", True),
        ("4", True),
        ("5", False),
    ]


def test_quotes_begin_with_a_snapshot_and_go_on_with_what_changed(stage: Stage, url: str):
    async def go() -> Heard:
        async with listening(url, "market", [QUOTES, TRADES, DEPTH]) as heard:
            await until(lambda: "GatewayQuote" in [target for target, _ in heard.events])
            await asyncio.to_thread(stage.bar, 20000, 20010, 19995, 20005)
            await until(lambda: "GatewayTrade" in [target for target, _ in heard.events])
        return heard

    heard = asyncio.run(go())
    quotes = [json.loads(arguments[1]) for target, arguments in heard.events if target == "GatewayQuote"]
    assert {"symbol", "symbolName", "lastPrice", "bestBid", "bestAsk", "volume", "lastUpdated", "contract"} <= quotes[
        0
    ].keys()
    assert "symbolName" not in quotes[1]
    assert "lastPrice" in quotes[1]
    depth = [json.loads(arguments[1]) for target, arguments in heard.events if target == "GatewayDepth"]
    assert [row["type"] for row in depth[:3]] == [6, 4, 3]
    assert depth[0]["volume"] == 0
    assert all(json.loads(arguments[0]) == MNQ for _, arguments in heard.events)


def test_our_decoder_reads_what_the_market_hub_says(stage: Stage, url: str):
    from msgspec import Raw

    async def go() -> Heard:
        async with listening(url, "market", [TRADES, QUOTES]) as heard:
            await until(lambda: "GatewayQuote" in [target for target, _ in heard.events])
            await asyncio.to_thread(stage.bar, 20005, 20009, 19999, 20001)
            await until(lambda: "GatewayTrade" in [target for target, _ in heard.events])
        return heard

    heard, opened_at = asyncio.run(go()), stage.at - timedelta(minutes=1)
    decoder = MarketDecoder()
    for target, arguments in heard.events:
        raws = [Raw(argument) for argument in arguments]
        if target == "GatewayQuote":
            quote = decoder.quote(raws)
        else:
            prints = trades(raws)
    assert (quote.last, quote.ask - quote.bid) == (20001, stage.venue.listing(MNQ).contract.tick_size)
    assert (prints[0].price, max(p.price for p in prints), min(p.price for p in prints), prints[-1].price) == (
        20005,
        20009,
        19999,
        20001,
    )
    assert sum(p.quantity for p in prints) == 120
    assert all(opened_at <= p.at < stage.at for p in prints)


def test_a_silent_market_hub_stays_connected_and_says_nothing(stage: Stage, url: str):
    switches = stage.venue.event_switches

    async def hub_has_looked() -> None:
        for _ in range(2):  # it takes the switch at the beginning of a look: the second time one is over
            switches.drop = "user"  # there is no such connection
            await until(lambda: not switches.drop)

    async def go() -> Heard:
        async with listening(url, "market", [QUOTES]) as heard:
            await until(lambda: bool(heard.events))
            heard.events.clear()
            switches.silent = True
            await asyncio.to_thread(stage.bar, 20001, 20002, 20000, 20002)
            await hub_has_looked()
            assert heard.events == []
            switches.silent = False
            await asyncio.to_thread(stage.bar, 20002, 20003, 20001, 20003)
            await until(lambda: any(json.loads(one[1][1]).get("lastPrice") == 20003 for one in heard.events))
        return heard

    assert asyncio.run(go()).said == ["connected"]


def test_a_refused_order_leaves_a_rejected_event_and_a_failed_transaction_none(stage: Stage):
    told: list[list[tuple[str, dict[str, Any]]]] = []
    fresh = Stage()
    fresh.venue.listener = told.append
    with pytest.raises(Exception, match="stop loss"):
        fresh.place(MARKET, BUY, 1, sl=40, tp=60)
    assert [[(target, model["status"]) for target, model in events] for events in told] == [[("GatewayUserOrder", 5)]]
    told.clear()
    with pytest.raises(ZeroDivisionError):
        _fail(fresh.venue, fresh)
    assert told == []


def _fail(venue: Venue, stage: Stage) -> None:
    with venue._committed():
        venue._clearing.account(venue.account(stage.account_id), stage.at)
        1 / 0  # noqa: B018
