"""Every documented number has a name here: error codes of client and venue, enums as both read them."""

from __future__ import annotations

import re
from enum import IntEnum

import pytest

from brokers.projectx import codes, reports
from brokers.simulated import codes as venue
from market.orders import OrderStatus
from tests.brokers.swagger.schema import names

CODES: dict[str, list[type[IntEnum]]] = {
    "SearchAccountErrorCode": [codes.NoCode],
    "LoginErrorCode": [codes.LoginCode],
    "ValidateErrorCode": [codes.ValidateCode],
    "LogoutErrorCode": [codes.LogoutCode],
    "SearchOrderByIdErrorCode": [codes.OrderCode],
    "SearchContractByIdErrorCode": [codes.ContractCode],
    "ListAvailableContractErrorCode": [codes.NoCode],
    "RetrieveBarErrorCode": [codes.BarsCode],
    "SearchOrderErrorCode": [codes.AccountCode],
    "SearchPositionErrorCode": [codes.AccountCode],
    "SearchTradeErrorCode": [codes.AccountCode],
    "PlaceOrderErrorCode": [codes.PlaceCode, venue.Placing],
    "CancelOrderErrorCode": [codes.CancelCode],
    "ModifyOrderErrorCode": [codes.ModifyCode, venue.Changing],
    "ClosePositionErrorCode": [codes.CloseCode, venue.Closing],
    "PartialClosePositionErrorCode": [codes.PartialCloseCode, venue.PartlyClosing],
}


def ours(name: str) -> str:
    """Return ORDER_NOT_FOUND of OrderNotFound."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


@pytest.mark.parametrize("definition", CODES)
def test_every_documented_code_has_its_name(definition: str):
    documented = {number: ours(name) for number, name in names(definition).items() if number}
    for enum in CODES[definition]:
        assert {int(code): code.name for code in enum} == documented, enum


def test_every_status_of_an_order_is_read_and_pending_proves_nothing():
    read = {name: reports.status(number, 0) for number, name in names("OrderStatus").items()}
    assert read == {
        "None": None,
        "Open": OrderStatus.WORKING,
        "Filled": OrderStatus.FILLED,
        "Cancelled": OrderStatus.CANCELLED,
        "Expired": OrderStatus.EXPIRED,
        "Rejected": OrderStatus.REJECTED,
        "Pending": None,
        "PendingCancellation": OrderStatus.CANCEL_PENDING,
        "Suspended": OrderStatus.SUSPENDED,
    }
    assert [reports.status(number, 1) for number in (-1, 9, 99)] == [None] * 3


def test_orders_are_asked_for_by_every_status_that_is_no_end():
    assert set(reports.IN_FLIGHT) | reports.ENDED | {0} == set(names("OrderStatus"))


def test_what_we_send_is_what_the_numbers_mean():
    assert {kind: names("OrderType")[number] for kind, number in reports.TYPES.items()} == {
        "limit": "Limit",
        "market": "Market",
        "stop": "Stop",
        "trailing_stop": "TrailingStop",
    }
    assert {side: names("OrderSide")[number] for side, number in reports.SIDES.items()} == {1: "Bid", -1: "Ask"}
    assert {unit: names("AggregateBarUnit")[number] for unit, number in reports.UNITS.items()} == {
        "s": "Second",
        "m": "Minute",
        "h": "Hour",
        "d": "Day",
        "w": "Week",
        "M": "Month",
    }
