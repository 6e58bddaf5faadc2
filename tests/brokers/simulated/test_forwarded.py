"""A venue whose prices another one makes: fills at what came, from when it came; bars as the other one tells them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from msgspec import Raw

from brokers.base import BarReport, ReadFailed
from brokers.projectx.hubs import Hub, Pace, hub_url
from brokers.simulated import hours
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.codes import Refusal
from brokers.simulated.engine import Venue
from brokers.simulated.forwarded import AskBars, ForwardedMarket
from brokers.simulated.forwarding import Forwarder
from brokers.simulated.generator import GeneratedMarket
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import listed
from brokers.simulated.records import Status
from brokers.simulated.tokens import Tokens
from market.bars import Timeframe
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import BUY, LIMIT, MARKET, MNQ, SELL, START, STOP, Stage

PATIENT = Pace(first=0.02, longest=0.2)


def nothing(*_: object) -> list[BarReport]:
    raise ReadFailed("HTTP 503")


class Paper(Stage):
    """A stage whose market is forwarded; `hear` and `quote` are what the other venue's hub says."""

    def __init__(self, ask_bars: AskBars = nothing) -> None:
        self.at = START
        self.forwarded = ForwardedMarket(["MNQ"], GeneratedMarket(7), ask_bars)
        self.forwarder = Forwarder(self.forwarded, self.now)
        self.venue = Venue(Ledger(":memory:"), self.forwarded, Behaviour(segments=60))
        self.account_id = self.venue.open_account("PRAC-1", Decimal(50_000), START).id
        self.venue.advance(START)

    def hear(self, price: float, contract: str = MNQ) -> None:
        trade = f'[{{"price":{price},"timestamp":"2020-01-01T00:00:00+00:00","type":0,"volume":1}}]'
        self.forwarder.event("GatewayTrade", [Raw(f'"{contract}"'.encode()), Raw(trade.encode())], b"", 0.0)

    def quote(self, last: float) -> None:
        quote = f'{{"lastPrice":{last},"timestamp":"2020-01-01T00:00:00+00:00"}}'
        self.forwarder.event("GatewayQuote", [Raw(f'"{MNQ}"'.encode()), Raw(quote.encode())], b"", 0.0)


def test_a_side_that_was_not_told_is_not_told_on():
    paper = Paper()
    tape = paper.forwarded.tape(listed(MNQ), START)
    body = '[{"price":20000,"timestamp":"2020-01-01T00:00:00+00:00","volume":1}]'
    paper.forwarder.event("GatewayTrade", [Raw(f'"{MNQ}"'.encode()), Raw(body.encode())], b"", 0.0)
    paper.hear(20_000.25)  # bought
    assert [trade["type"] for trade in tape.trades(tape.run(START))] == [None, 0]


def test_without_a_price_no_order_is_taken():
    paper = Paper()
    with pytest.raises(Refusal, match="no last price"):
        paper.place(MARKET, BUY)
    paper.quote(20_000.25)  # the snapshot
    paper.place(MARKET, BUY)
    assert paper.prices == [20_000.25]


def test_orders_meet_only_what_came_after_them():
    paper = Paper()
    paper.hear(20_000)
    paper.wait(0.5)
    paper.hear(19_980)
    paper.hear(20_000)
    order = paper.place(LIMIT, BUY, limit_price=19_990)
    stop = paper.place(STOP, SELL, stop_price=19_985)
    paper.wait(10)
    assert paper.order(order).status is Status.OPEN
    paper.hear(19_989.75)
    paper.wait(1)
    assert paper.prices == [19_990]
    paper.hear(19_984)
    paper.wait(1)
    assert paper.order(stop).status is Status.FILLED


def test_a_price_between_two_looks_is_not_missed_and_one_at_the_boundary_counts_once():
    paper = Paper()
    paper.hear(20_000)
    order = paper.place(STOP, BUY, stop_price=20_010)
    paper.wait(59.5)
    paper.hear(20_011)
    paper.hear(20_001)
    paper.wait(0.5)  # exactly the minute's end
    paper.hear(20_012)
    paper.wait(60)
    assert paper.order(order).status is Status.FILLED
    minutes = paper.forwarded.minutes(listed(MNQ), hours.session_at(START))
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in minutes] == [
        (80_000, 80_044, 80_000, 80_004),
        (80_048, 80_048, 80_048, 80_048),
    ]


def test_events_that_make_no_sense_are_left_out():
    paper = Paper()
    paper.hear(20_000.1)
    paper.hear(20_000, contract="CON.F.US.XYZ.Z26")
    paper.quote(20_000.1)
    paper.forwarder.unreadable(b"?")
    assert paper.forwarder.left_out == 4


def test_other_products_are_made_here():
    paper = Paper()
    paper.place(MARKET, BUY, contract_id="CON.F.US.MES.Z26")
    assert len(paper.fills) == 1


def test_two_venues_at_two_sockets():
    there = Stage()
    there.market.add(START, 20_000, 20_004, 19_998, 20_002)
    broker = SimulatedBroker(there.venue, there.now)

    def ask(contract: str, timeframe: Timeframe, start: datetime, end: datetime, limit: int) -> list[BarReport]:
        return broker.bars(contract, timeframe, start, end, limit=limit)

    here = Paper(ask)

    token = Tokens(there.venue.ledger, there.now).give("demo")

    class Keys:
        """A token of the other venue's own, without a wire."""

        def get(self) -> str:
            return token

        def renew(self, stale: str | None) -> str:
            return token

    async def until(condition: Callable[[], object]) -> None:
        give_up = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < give_up
            await asyncio.sleep(0.01)

    async def go() -> None:
        hub = Hub(hub_url(url, "market"), Keys(), here.forwarder, pace=PATIENT)
        tasks = [asyncio.create_task(part) for part in (hub.run(), here.forwarder.follow(hub.want))]
        await until(lambda: here.forwarded.recording(MNQ).quote)
        order = here.place(LIMIT, BUY, limit_price=19_999)
        here.wait(0.5)
        there.wait(60)  # its minute goes through 19,998
        await until(lambda: len(here.forwarded.recording(MNQ).prints) > 3)
        here.wait(1)
        assert (here.order(order).status, here.prices) == (Status.FILLED, [19_999])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with served(there) as url:
        asyncio.run(go())

    here.at = there.at
    window = {"startTime": (START - timedelta(minutes=1)).isoformat(), "endTime": here.at.isoformat()}
    wanted = {"contractId": MNQ, "live": False, "unit": 2, "unitNumber": 1, "limit": 10, "includePartialBar": False}
    with served(here) as url, httpx.Client(base_url=url, timeout=20) as http:
        login = http.post("/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}).json()
        http.headers["authorization"] = f"Bearer {login['token']}"
        bars = http.post("/api/History/retrieveBars", json=wanted | window).json()["bars"]
        assert [(bar["h"], bar["l"]) for bar in bars] == [(20_004, 19_998), (20_000, 20_000)]
        odd = http.post("/api/History/retrieveBars", json=wanted | window | {"unitNumber": 7})
        assert odd.status_code == 503
