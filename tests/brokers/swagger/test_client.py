"""What the client sends is what the swagger allows, property by property."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import respx

from brokers.base import BracketTicks, BrokerError, PlaceOrder
from market.orders import OrderType, Side
from tests.brokers.projectx.conftest import Desk, desk, venue  # noqa: F401  fixtures
from tests.brokers.projectx.test_outcomes import CALLS
from tests.brokers.swagger.schema import problems_of_request

PLACE = "/api/Order/place"
MNQ = "CON.F.US.MNQ.Z26"


@pytest.mark.parametrize("path", CALLS)
def test_every_request(venue: respx.MockRouter, desk: Desk, path: str):  # noqa: F811
    route = venue.post(path).respond(500)
    with pytest.raises(BrokerError):
        CALLS[path](desk.broker)
    assert problems_of_request(path, json.loads(route.calls.last.request.content)) == []


@pytest.mark.parametrize(
    "order",
    [
        PlaceOrder(1001, MNQ, "a1", Side.BUY, OrderType.LIMIT, 2, limit_price=Decimal("24490.25")),
        PlaceOrder(1001, MNQ, "a2", Side.SELL, OrderType.STOP, 1, stop_price=Decimal(24490)),
        PlaceOrder(1001, MNQ, "a3", Side.SELL, OrderType.TRAILING_STOP, 1, trail_price=Decimal("12.5")),
        PlaceOrder(1001, MNQ, "a4", Side.BUY, OrderType.MARKET, 1, bracket=BracketTicks(40, 80)),
    ],
    ids=lambda order: order.type,
)
def test_every_kind_of_order(venue: respx.MockRouter, desk: Desk, order: PlaceOrder):  # noqa: F811
    route = venue.post(PLACE).respond(500)
    with pytest.raises(BrokerError):
        desk.broker.place(order)
    assert problems_of_request(PLACE, json.loads(route.calls.last.request.content)) == []


def test_the_schema_refuses_what_it_should():
    assert problems_of_request(PLACE, {"accountId": 1, "contractId": MNQ, "type": 9, "side": 0, "size": 1, "tag": "x"})
    at = datetime(2026, 11, 18, tzinfo=UTC).isoformat()
    assert problems_of_request("/api/Order/search", {"accountId": "1", "startTimestamp": at})
    assert problems_of_request("/api/Order/search", {"accountId": 1, "startTimestamp": None})
