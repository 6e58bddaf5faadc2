"""What the market hub brings, one event at a time: what is passed on, and what is left out."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from decimal import Decimal as D

import pytest
from msgspec import Raw

from tests.brokers.simulated.stage import MNQ, START
from tests.factories import ContractFactory
from tradingbot.operations.streaming.feed import Feed
from tradingbot.queues import redis

pytestmark = [pytest.mark.django_db]


class Heard:
    def __init__(self) -> None:
        self.prices: list[D | None] = []
        self.minutes: list[int] = []
        self.at = START
        self.contracts = [ContractFactory(broker_contract_id=MNQ)]
        self.feed = Feed(
            redis(),
            now=lambda: self.at,
            on_quote=lambda contract, quote, received: self.prices.append(quote.last),
            on_trade=lambda contract_id, price, received: self.prices.append(price),
            on_minute=lambda contract, minute: self.minutes.append(minute.opened_at),
        )
        self.feed.watch(self.contracts, START.timestamp())

    def quote(self, at: datetime, price: float) -> None:
        self._event("GatewayQuote", {"lastPrice": price, "lastUpdated": at.isoformat(), "timestamp": at.isoformat()})

    def trade(self, at: datetime, price: float) -> None:
        self._event("GatewayTrade", {"price": price, "volume": 1, "timestamp": at.isoformat()})

    def _event(self, target: str, body: dict[str, object]) -> None:
        arguments = [Raw(json.dumps(part).encode()) for part in (MNQ, body)]
        self.feed.event(target, arguments, time.monotonic())


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_minute_is_over_when_the_venues_clock_has_passed_its_end(heard: Heard):
    heard.quote(START, 20_000)
    heard.trade(START + timedelta(seconds=59), 20_001)
    heard.quote(START + timedelta(seconds=60), 20_002)
    heard.feed.close_minutes(time.monotonic() + 60)
    assert heard.prices == [20_000, 20_001, 20_002]
    assert heard.minutes == [START.timestamp()]


def test_an_event_from_the_future_ends_no_minutes_and_is_left_out(heard: Heard):
    heard.quote(START, 20_000)
    heard.quote(START + timedelta(days=12), 20_001)
    heard.trade(START + timedelta(days=12), 20_002)
    heard.feed.close_minutes(time.monotonic() + 60)
    assert heard.prices == [20_000]
    assert heard.minutes == []
    assert heard.feed.counts.unreadable == 2


def test_when_our_clock_is_set_back_what_was_believed_before_is_asked_about_again(heard: Heard):
    heard.at = START + timedelta(hours=1)
    heard.quote(START + timedelta(hours=1), 20_000)
    heard.at = START
    heard.feed.watch(heard.contracts, START.timestamp())  # as every second
    heard.quote(START + timedelta(hours=1), 20_001)
    heard.quote(START + timedelta(seconds=30), 20_002)
    assert heard.prices == [20_000, 20_002]
