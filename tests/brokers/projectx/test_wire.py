"""Requests and answers byte by byte; the examples are those of the venue's reference."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
import respx

from brokers.base import (
    AccountReport,
    BarReport,
    BracketTicks,
    ContractReport,
    FillReport,
    OrderReport,
    PlaceOrder,
    PositionReport,
    ReadFailed,
)
from brokers.projectx import BracketSign, reports
from brokers.projectx.requests import number
from market.bars import Timeframe
from market.contracts import Contract
from market.orders import OrderStatus, OrderType, Side
from tests.brokers.projectx.conftest import KEY, USER, Desk

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
CONTRACT = "CON.F.US.MNQ.Z26"
ACCEPTED = '{"orderId":3400000001,"success":true,"errorCode":0,"errorMessage":null}'


def sent(venue: respx.MockRouter) -> object:
    return json.loads(venue.calls.last.request.content, parse_float=Decimal)


def answer(venue: respx.MockRouter, path: str, **more: object) -> None:
    venue.post(path).respond(
        content=msgspec.json.encode({"success": True, "errorCode": 0, "errorMessage": None} | more)
    )


def test_place_with_both_brackets_sends_the_references_example(venue: respx.MockRouter, desk: Desk):
    venue.post("/api/Order/place").respond(content=ACCEPTED)
    order = PlaceOrder(1001, CONTRACT, "a1", Side.BUY, OrderType.MARKET, 1, bracket=BracketTicks(40, 60))
    assert desk.broker.place(order) == 3400000001
    assert sent(venue) == json.loads(
        '{"accountId":1001,"contractId":"CON.F.US.MNQ.Z26","type":2,"side":0,"size":1,"customTag":"a1",'
        '"stopLossBracket":{"ticks":-40,"type":4},"takeProfitBracket":{"ticks":60,"type":1}}'
    )


@pytest.mark.parametrize(
    ("sign", "side", "bracket", "expected"),
    [
        (BracketSign.SIGNED, Side.BUY, BracketTicks(40, 60), (-40, 60)),
        (BracketSign.SIGNED, Side.SELL, BracketTicks(40, 60), (40, -60)),
        (BracketSign.SIGNED, Side.SELL, BracketTicks(40), (40, None)),
        (BracketSign.POSITIVE, Side.BUY, BracketTicks(40, 60), (40, 60)),
        (BracketSign.POSITIVE, Side.SELL, BracketTicks(10, 20), (10, 20)),
        (BracketSign.POSITIVE, Side.SELL, BracketTicks(10), (10, None)),
    ],
)
def test_bracket_ticks_have_the_configured_sign(
    venue: respx.MockRouter, sign: BracketSign, side: Side, bracket: BracketTicks, expected: tuple[int, int | None]
):
    desk = Desk(bracket_sign=sign)
    venue.post("/api/Order/place").respond(content=ACCEPTED)
    desk.broker.place(PlaceOrder(1001, CONTRACT, "a1", side, OrderType.MARKET, 1, bracket=bracket))
    stop, target = sent(venue)["stopLossBracket"], sent(venue).get("takeProfitBracket")
    assert (stop, target and target["ticks"]) == ({"ticks": expected[0], "type": 4}, expected[1])


@pytest.mark.parametrize(
    ("kind", "price", "expected"),
    [
        (OrderType.LIMIT, {"limit_price": Decimal("24490.25")}, {"type": 1, "limitPrice": Decimal("24490.25")}),
        (OrderType.STOP, {"stop_price": Decimal("0.0066155")}, {"type": 4, "stopPrice": Decimal("0.0066155")}),
        (OrderType.TRAILING_STOP, {"trail_price": Decimal("70.44")}, {"type": 5, "trailPrice": Decimal("70.44")}),
    ],
)
def test_each_type_carries_its_price_and_no_other(
    venue: respx.MockRouter, desk: Desk, kind: OrderType, price: dict[str, Decimal], expected: dict[str, object]
):
    venue.post("/api/Order/place").respond(content=ACCEPTED)
    desk.broker.place(PlaceOrder(1001, CONTRACT, "a1", Side.SELL, kind, 2, **price))
    common = {"accountId": 1001, "contractId": CONTRACT, "side": 1, "size": 2, "customTag": "a1"}
    assert sent(venue) == common | expected


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("24490.25", "24490.25"),
        ("0.0000005", "0.0000005"),
        ("5E-7", "0.0000005"),
        ("2.449E+4", "24490"),
        ("6335.250000000", "6335.250000000"),
        ("-37.63", "-37.63"),
    ],
)
def test_prices_travel_in_plain_digits(price: str, text: str):
    assert bytes(number(Decimal(price))) == text.encode()


def test_other_requests(venue: respx.MockRouter, desk: Desk):
    for path in ("Order/cancel", "Order/modify", "Position/closeContract", "Position/partialCloseContract"):
        answer(venue, f"/api/{path}")
    desk.broker.cancel(1001, 3400000001)
    assert sent(venue) == {"accountId": 1001, "orderId": 3400000001}
    desk.broker.modify(1001, 3400000001, stop_price=Decimal("24500.50"))
    assert sent(venue) == {"accountId": 1001, "orderId": 3400000001, "stopPrice": Decimal("24500.50")}
    desk.broker.modify(1001, 3400000001, quantity=2, limit_price=Decimal(1), trail_price=Decimal(2))
    assert sent(venue) == {"accountId": 1001, "orderId": 3400000001, "size": 2, "limitPrice": 1, "trailPrice": 2}
    desk.broker.close(1001, CONTRACT)
    assert sent(venue) == {"accountId": 1001, "contractId": CONTRACT}
    desk.broker.close(1001, CONTRACT, 2)
    assert sent(venue) == {"accountId": 1001, "contractId": CONTRACT, "size": 2}


def test_login_and_headers(venue: respx.MockRouter, desk: Desk):
    answer(venue, "/api/Account/search", accounts=[])
    desk.broker.accounts()
    login, search = [call.request for call in venue.calls]
    assert json.loads(login.content) == {"userName": USER, "apiKey": KEY}
    assert "authorization" not in login.headers
    assert json.loads(search.content) == {"onlyActiveAccounts": True}
    assert search.headers["content-type"] == search.headers["accept"] == "application/json"


def test_the_references_stop_child(venue: respx.MockRouter, desk: Desk):
    venue.post("/api/Order/search").respond(
        content='{"orders":[{"id":3400000002,"accountId":1001,"contractId":"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ",'
        '"creationTimestamp":"2026-10-01T14:30:00.123456+00:00","updateTimestamp":"2026-10-01T14:30:00.143+00:00",'
        '"status":1,"type":4,"side":1,"size":1,"limitPrice":null,"stopPrice":24490.25,"fillVolume":0,'
        '"filledPrice":null,"customTag":"a1-SL","parentOrderId":3400000001}],'
        '"success":true,"errorCode":0,"errorMessage":null}'
    )
    assert desk.broker.orders_between(1001, START, END) == [
        OrderReport(
            id=3400000002,
            account_id=1001,
            contract_id=CONTRACT,
            created_at=datetime(2026, 10, 1, 14, 30, 0, 123456, tzinfo=UTC),
            updated_at=datetime(2026, 10, 1, 14, 30, 0, 143000, tzinfo=UTC),
            status=OrderStatus.WORKING,
            type=OrderType.STOP,
            side=Side.SELL,
            quantity=1,
            filled=0,
            stop_price=Decimal("24490.25"),
            tag="a1-SL",
            parent_id=3400000001,
        )
    ]
    assert sent(venue) == {
        "accountId": 1001,
        "startTimestamp": "2026-10-01T00:00:00Z",
        "endTimestamp": "2026-10-02T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("number", "filled", "expected"),
    [
        (0, 0, None),
        (1, 0, OrderStatus.WORKING),
        (1, 1, OrderStatus.PARTIAL),
        (2, 3, OrderStatus.FILLED),
        (3, 1, OrderStatus.CANCELLED),
        (4, 0, OrderStatus.EXPIRED),
        (5, 0, OrderStatus.REJECTED),
        (6, 0, None),
        (7, 0, OrderStatus.CANCEL_PENDING),
        (8, 0, OrderStatus.SUSPENDED),
        (9, 0, None),
        (-1, 0, None),
    ],
)
def test_status_numbers(number: int, filled: int, expected: OrderStatus | None):
    assert reports.status(number, filled) is expected


def order(**changes: object) -> dict[str, object]:
    return {
        "id": 1,
        "accountId": 1001,
        "contractId": CONTRACT,
        "symbolId": "F.US.MNQ",
        "creationTimestamp": "2026-10-01T14:30:00+00:00",
        "status": 1,
        "type": 1,
        "side": 0,
        "size": 1,
        "fillVolume": 0,
    } | changes


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, OrderType.LIMIT),
        (2, OrderType.MARKET),
        (4, OrderType.STOP),
        (5, OrderType.TRAILING_STOP),
        (0, None),
        (3, None),
        (6, None),
    ],
)
def test_types_of_orders_that_others_placed(
    venue: respx.MockRouter, desk: Desk, number: int, expected: OrderType | None
):
    answer(venue, "/api/Order/search", orders=[order(type=number)])
    assert [report.type for report in desk.broker.orders_between(1001, START, END)] == [expected]


def test_in_flight_asks_for_what_has_not_ended_and_drops_what_ended_meanwhile(venue: respx.MockRouter, desk: Desk):
    rows = [order(id=n, status=n) for n in (1, 2, 3, 6, 7, 8)] + [order(id=9, status=0)]
    venue.post("/api/Order/v2/query").respond(json={"orders": rows, "totalCount": 7})  # without an envelope
    found = desk.broker.orders_in_flight(1001)
    assert [(report.id, report.status) for report in found] == [
        (1, OrderStatus.WORKING),
        (6, None),
        (7, OrderStatus.CANCEL_PENDING),
        (8, OrderStatus.SUSPENDED),
        (9, None),
    ]
    assert sent(venue) == {
        "filter": {"accountId": 1001, "statuses": [1, 6, 7, 8]},
        "pageSize": 100,
        "pageOffset": 0,
        "sortBy": 1,
        "sortDirection": 0,
        "includeTotalCount": True,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "1"},
        {"id": 1.5},
        {"id": 2**63},
        {"side": 2},
        {"size": -1},
        {"fillVolume": None},
        {"status": "Open"},
        {"limitPrice": "NaN"},
        {"stopPrice": "Infinity"},
        {"creationTimestamp": "2026-10-01T14:30:00"},
        {"creationTimestamp": "yesterday"},
        {"accountId": 1002},
    ],
)
def test_one_row_that_makes_no_sense_fails_the_read(venue: respx.MockRouter, desk: Desk, changes: dict[str, object]):
    answer(venue, "/api/Order/search", orders=[order(id=7), order(**changes)])
    with pytest.raises(ReadFailed):
        desk.broker.orders_between(1001, START, END)


@pytest.mark.parametrize(
    ("text", "microsecond", "second"),
    [
        ("2026-10-01T14:30:05+00:00", 0, 5),
        ("2026-10-01T14:30:05Z", 0, 5),
        ("2026-10-01T14:30:05.1+00:00", 100000, 5),
        ("2026-10-01T14:30:05.12+00:00", 120000, 5),
        ("2026-10-01T14:30:05.123+00:00", 123000, 5),
        ("2026-10-01T14:30:05.1234+00:00", 123400, 5),
        ("2026-10-01T14:30:05.15673+00:00", 156730, 5),
        ("2026-10-01T14:30:05.123456+00:00", 123456, 5),
        ("2026-10-01T14:30:05.1234567+00:00", 123457, 5),
        ("2026-10-01T14:30:05.9999999+00:00", 0, 6),
        ("2026-10-01T10:30:05.5-04:00", 500000, 5),
    ],
)
def test_timestamps_with_up_to_seven_digits(
    venue: respx.MockRouter, desk: Desk, text: str, microsecond: int, second: int
):
    answer(venue, "/api/Order/search", orders=[order(creationTimestamp=text)])
    (report,) = desk.broker.orders_between(1001, START, END)
    assert report.created_at == datetime(2026, 10, 1, 14, 30, second, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "6335.250000000",
        "0.1",
        "0.0000005",
        "24490.25",
        "100000000000000000000.123456789",
        "30199",
        "0.30000000000000004",
    ],
)
def test_money_and_prices_are_exact_to_the_digit(venue: respx.MockRouter, desk: Desk, text: str):
    venue.post("/api/Account/search").respond(
        content='{"accounts":[{"id":1001,"name":"PRAC-V2-1","balance":BALANCE,"canTrade":true,"isVisible":true,'
        '"simulated":true,"new":{"field":1}}],"success":true,"errorCode":0}'.replace("BALANCE", text)
    )
    (account,) = desk.broker.accounts()
    assert account == AccountReport(1001, "PRAC-V2-1", Decimal(text), True, True, True)
    assert str(account.balance) == str(Decimal(text))


def test_contracts_of_the_simulated_set(venue: respx.MockRouter, desk: Desk):
    row = {
        "id": "CON.F.US.MNQ.Z25",
        "name": "MNQZ5",
        "description": "Micro E-mini Nasdaq-100: December 2025",
        "tickSize": 0.25,
        "tickValue": 0.5,
        "activeContract": True,
        "symbolId": "F.US.MNQ",
    }
    expected = ContractReport(
        Contract("CON.F.US.MNQ.Z25", "MNQ", Decimal("0.25"), Decimal("0.5")), "MNQZ5", row["description"], True
    )
    answer(venue, "/api/Contract/available", contracts=[row])
    assert desk.broker.contracts() == [expected]
    assert sent(venue) == {"live": False}
    answer(venue, "/api/Contract/searchById", contract=row)
    assert desk.broker.contract("CON.F.US.MNQ.Z25") == expected
    answer(venue, "/api/Contract/searchById", contract=row | {"tickSize": 0})
    with pytest.raises(ReadFailed, match="tick size 0"):
        desk.broker.contract("CON.F.US.MNQ.Z25")


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("MNQZ5", "MNQ"),
        ("MNQZ26", "MNQ"),
        ("ESH6", "ES"),
        ("M2KU6", "M2K"),
        ("6EZ6", "6E"),
        ("E7M6", "E7"),
        ("NQM6", "NQ"),
        ("QMZ5", "QM"),
        ("MHGZ5", "MHG"),
        ("ZN", "ZN"),
        ("TNZ25", "TN"),
    ],
)
def test_the_root_of_a_name(name: str, root: str):
    assert reports.root(name) == root


def test_positions_are_signed_and_flat_ones_left_out(venue: respx.MockRouter, desk: Desk):
    row = {"id": 8, "accountId": 1001, "contractId": CONTRACT, "creationTimestamp": "2026-10-01T14:30:00+00:00"}
    rows = [
        row | {"type": 1, "size": 2, "averagePrice": 24500.125},
        row | {"type": 2, "size": 3, "averagePrice": 24500},
        row | {"type": 0, "size": 0, "averagePrice": 24500.25},
    ]
    answer(venue, "/api/Position/searchOpen", positions=rows)
    assert desk.broker.positions(1001) == [
        PositionReport(CONTRACT, 2, Decimal("24500.125")),
        PositionReport(CONTRACT, -3, Decimal(24500)),
    ]
    answer(venue, "/api/Position/searchOpen", positions=[row | {"type": 0, "size": 1, "averagePrice": 1}])
    with pytest.raises(ReadFailed, match="unknown type 0"):
        desk.broker.positions(1001)


def test_fills_come_oldest_first_and_keep_what_is_missing_missing(venue: respx.MockRouter, desk: Desk):
    row = {
        "accountId": 1001,
        "contractId": CONTRACT,
        "price": 29423.0,
        "fees": 0.36,
        "side": 0,
        "size": 1,
        "voided": False,
        "orderId": 3400000001,
    }
    closing = row | {
        "id": 2,
        "creationTimestamp": "2026-10-01T14:31:00+00:00",
        "profitAndLoss": -49.0,
        "commissions": 0.25,
    }
    opening = row | {"id": 1, "creationTimestamp": "2026-10-01T14:30:00+00:00", "profitAndLoss": None, "side": 1}
    busted = row | {"id": 3, "creationTimestamp": "2026-10-01T14:30:00+00:00", "voided": True}
    late = row | {"id": 4, "creationTimestamp": "2026-10-02T00:00:01+00:00"}
    answer(venue, "/api/Trade/search", trades=[late, closing, closing, busted, opening])
    fills = desk.broker.fills(1001, START, END)
    at = datetime(2026, 10, 1, 14, 30, tzinfo=UTC)
    cents = Decimal("0.36")
    price = Decimal(29423)
    assert fills == [
        FillReport(1, 1001, CONTRACT, 3400000001, at, Side.SELL, 1, price, cents, None, None, False),
        FillReport(3, 1001, CONTRACT, 3400000001, at, Side.BUY, 1, price, cents, None, None, True),
        FillReport(
            2,
            1001,
            CONTRACT,
            3400000001,
            at + timedelta(minutes=1),
            Side.BUY,
            1,
            price,
            cents,
            Decimal("0.25"),
            Decimal(-49),
            False,
        ),
    ]


@pytest.mark.parametrize(
    ("timeframe", "unit", "count"),
    [
        (Timeframe.S15, 1, 15),
        (Timeframe.M1, 2, 1),
        (Timeframe.M30, 2, 30),
        (Timeframe.H4, 3, 4),
        (Timeframe.D1, 4, 1),
        (Timeframe.W1, 5, 1),
        (Timeframe.MN1, 6, 1),
    ],
)
def test_bars_of_all_units(venue: respx.MockRouter, desk: Desk, timeframe: Timeframe, unit: int, count: int):
    bar = {"t": "2026-10-01T14:30:00+00:00", "o": 1.25, "h": 2, "l": 1, "c": 1.5, "v": 7, "k": 1, "d": "2026-10-01"}
    answer(venue, "/api/History/retrieveBars", bars=[bar])
    new_york = timezone(timedelta(hours=-4))
    assert desk.broker.bars(CONTRACT, timeframe, START.astimezone(new_york), END, limit=500) == [
        BarReport(datetime(2026, 10, 1, 14, 30, tzinfo=UTC), Decimal("1.25"), Decimal(2), Decimal(1), Decimal("1.5"), 7)
    ]
    assert sent(venue) == {
        "contractId": CONTRACT,
        "live": False,
        "startTime": "2026-10-01T00:00:00Z",
        "endTime": "2026-10-02T00:00:00Z",
        "unit": unit,
        "unitNumber": count,
        "limit": 501,
        "includePartialBar": False,
    }


def test_times_without_a_zone_are_an_error_before_anything_is_sent(venue: respx.MockRouter, desk: Desk):
    with pytest.raises(ValueError, match="no time zone"):
        desk.broker.fills(1001, datetime(2026, 10, 1), END)
    with pytest.raises(ValueError, match="no time zone"):
        desk.broker.bars(CONTRACT, Timeframe.M1, START, datetime(2026, 10, 1))
    assert not venue.calls


@pytest.mark.parametrize(
    ("ours", "skew"),
    [
        (datetime(2026, 10, 1, 14, 29, 57, tzinfo=UTC), 3.0),  # the venue is ahead by at least this
        (datetime(2026, 10, 1, 14, 30, 1, 500_000, tzinfo=UTC), 0.0),  # a whole second, kept for one: proves nothing
        (datetime(2026, 10, 1, 14, 30, 10, tzinfo=UTC), -8.0),
    ],
)
def test_the_skew_is_what_the_last_answer_proves(venue: respx.MockRouter, desk: Desk, ours: datetime, skew: float):
    assert desk.broker.clock_skew() is None
    desk.gateway._wall = ours.timestamp
    venue.post("/api/Account/search").respond(500, headers={"date": "Thu, 01 Oct 2026 14:30:00 GMT"})
    with pytest.raises(ReadFailed):
        desk.broker.accounts()
    assert desk.broker.clock_skew() == skew
    venue.post("/api/Account/search").respond(500, headers={"date": "soon"})
    with pytest.raises(ReadFailed):
        desk.broker.accounts()
    assert desk.broker.clock_skew() == skew
