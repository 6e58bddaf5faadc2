"""Every row of the table of outcomes: what an answer, or its absence, proves about a mutation or a read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
import respx

from brokers.base import (
    BracketTicks,
    BrokerError,
    Lane,
    LoginFailed,
    NotSent,
    OutcomeUnknown,
    OverBudget,
    PlaceOrder,
    ReadFailed,
    Refused,
    TagInUse,
)
from brokers.projectx import Outcome, ProjectX, Timeouts
from brokers.projectx.answers import KEPT
from brokers.projectx.codes import (
    CANCEL,
    CLOSE,
    MODIFY,
    PARTIAL_CLOSE,
    PLACE,
    CancelCode,
    CloseCode,
    ModifyCode,
    PartialCloseCode,
    PlaceCode,
)
from market.bars import Timeframe
from market.orders import OrderType, Side
from tests.brokers.projectx.conftest import Desk, logged_in

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
ORDER = PlaceOrder(1001, "CON.F.US.MNQ.Z26", "a1", Side.BUY, OrderType.MARKET, 1)

MUTATIONS: dict[str, Callable[[ProjectX], object]] = {
    PLACE.path: lambda broker: broker.place(ORDER),
    CANCEL.path: lambda broker: broker.cancel(1001, 5),
    MODIFY.path: lambda broker: broker.modify(1001, 5, stop_price=Decimal("24490.25")),
    CLOSE.path: lambda broker: broker.close(1001, "CON.F.US.MNQ.Z26"),
    PARTIAL_CLOSE.path: lambda broker: broker.close(1001, "CON.F.US.MNQ.Z26", 1),
}
READS: dict[str, Callable[[ProjectX], object]] = {
    "/api/Account/search": lambda broker: broker.accounts(),
    "/api/Contract/available": lambda broker: broker.contracts(),
    "/api/Contract/search": lambda broker: broker.contracts_of("MNQ"),
    "/api/Contract/searchById": lambda broker: broker.contract("CON.F.US.MNQ.Z26"),
    "/api/History/retrieveBars": lambda broker: broker.bars("CON.F.US.MNQ.Z26", Timeframe.M1, START, END),
    "/api/Order/search": lambda broker: broker.orders_between(1001, START, END),
    "/api/Order/searchOpen": lambda broker: broker.working_orders(1001),
    "/api/Order/searchById": lambda broker: broker.order(1001, 5),
    "/api/Order/v2/query": lambda broker: broker.orders_in_flight(1001),
    "/api/Position/searchOpen": lambda broker: broker.positions(1001),
    "/api/Trade/search": lambda broker: broker.fills(1001, START, END),
}
CALLS = MUTATIONS | READS


def body(code: int, *, success: bool = False, **more: object) -> dict[str, object]:
    return {"success": success, "errorCode": code, "errorMessage": "because", **more}


def outcome(desk: Desk, path: str) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        CALLS[path](desk.broker)
    return caught.value


NOT_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy")]
LOST = [
    httpx.ReadTimeout("slow"),
    httpx.WriteTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("disconnected"),
    httpx.LocalProtocolError("odd"),
    httpx.DecodingError("gzip"),
]


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("error", NOT_SENT, ids=lambda error: type(error).__name__)
def test_without_a_connection_nothing_was_sent(venue: respx.MockRouter, desk: Desk, path: str, error: httpx.HTTPError):
    route = venue.post(path).mock(side_effect=error)
    assert type(outcome(desk, path)) is NotSent
    assert route.call_count == 1


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks_later_proves_nothing_and_nothing_is_repeated(
    venue: respx.MockRouter, desk: Desk, path: str, error: httpx.HTTPError
):
    route = venue.post(path).mock(side_effect=error)
    assert type(outcome(desk, path)) is (OutcomeUnknown if path in MUTATIONS else ReadFailed)
    assert route.call_count == 1


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 405, 409, 410, 418, 429, 500, 502, 503, 504])
def test_statuses_that_prove_nothing(venue: respx.MockRouter, desk: Desk, path: str, status: int):
    route = venue.post(path).respond(status, json=body(0, success=True, orderId=7), headers={"location": "/elsewhere"})
    assert type(outcome(desk, path)) is (OutcomeUnknown if path in MUTATIONS else ReadFailed)
    assert route.call_count == 1
    assert desk.calls[-1].status == status


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_statuses_that_refuse_a_mutation_only_fail_a_read(venue: respx.MockRouter, desk: Desk, path: str, status: int):
    venue.post(path).respond(status, json={"title": "One or more validation errors", "detail": "size"})
    error = outcome(desk, path)
    assert type(error) is (Refused if path in MUTATIONS else ReadFailed)
    assert str(error) == f"{path}: HTTP {status}: size"


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"success":true',
        b'{"success":true,"errorCode":0}{}',
        b'{"errorCode":0,"success":null}',
        b'{"success":"true","errorCode":0}',
        b'{"success":true,"errorCode":"0"}',
        b'{"success":true,"errorCode":0.5}',
        b'\xff\xfe{"success":true,"errorCode":0}',
        b'{"success":true,"errorCode":1,"orderId":7}',
        b'{"success":false,"errorCode":0,"orderId":7}',
        b'{"success":false,"errorCode":11}',
        b'{"success":false,"errorCode":-1}',
        b'{"success":false,"errorCode":99}',
        b"[" * 100_000,
    ],
)
def test_answers_that_prove_nothing(venue: respx.MockRouter, desk: Desk, path: str, content: bytes):
    route = venue.post(path).respond(200, content=content)
    assert type(outcome(desk, path)) is (OutcomeUnknown if path in MUTATIONS else ReadFailed)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("status", "content", "kept"),
    [
        (200, b'{"success":true,"orderId":NaN,"errorCode":0}', '{"success":true,"orderId":NaN,"errorCode":0}'),
        (502, b"<html>bad gateway</html>", "<html>bad gateway</html>"),
        (200, b'{"success":false,"errorCode":6,"errorMessage":"pending"}', '"errorCode":6'),
        (200, b'{"order_id":7,"ok":true}', '{"order_id":7,"ok":true}'),
        (302, b"moved", "moved"),
        (200, b"x" * 10_000_000, "x" * KEPT),
        (200, b"\xff\x00", "\ufffd\ufffd"),
    ],
)
def test_what_was_answered_is_kept_when_it_proves_nothing(
    venue: respx.MockRouter, desk: Desk, status: int, content: bytes, kept: str
):
    venue.post(PLACE.path).respond(status, content=content)
    error = outcome(desk, PLACE.path)
    assert isinstance(error, OutcomeUnknown)
    assert kept in error.raw
    assert len(error.raw) <= KEPT


@pytest.mark.parametrize("order_id", [None, 0, -1, "7", 7.5, 2**63])
def test_a_place_without_an_order_id_proves_nothing(venue: respx.MockRouter, desk: Desk, order_id: object):
    venue.post(PLACE.path).respond(json={"orderId": order_id, "success": True, "errorCode": 0})
    assert type(outcome(desk, PLACE.path)) is OutcomeUnknown


@pytest.mark.parametrize("path", sorted(READS))
@pytest.mark.parametrize(
    "answer",
    [{}, dict.fromkeys(("accounts", "contracts", "contract", "bars", "orders", "positions", "trades"))],
)
def test_a_success_that_brings_no_list_is_not_an_empty_list(
    venue: respx.MockRouter, desk: Desk, path: str, answer: dict[str, None]
):
    venue.post(path).respond(json={"success": True, "errorCode": 0} | answer)
    assert type(outcome(desk, path)) is ReadFailed


DOCUMENTED = [
    (path, int(code), code in ambiguous)
    for path, enum, ambiguous in (
        (PLACE.path, PlaceCode, {6, 7}),
        (CANCEL.path, CancelCode, {4, 5}),
        (MODIFY.path, ModifyCode, {4, 5}),
        (CLOSE.path, CloseCode, {6, 7}),
        (PARTIAL_CLOSE.path, PartialCloseCode, {7, 8}),
    )
    for code in enum
]


def test_the_table_of_documented_codes_is_complete():
    assert [sum(path == each for each, *_ in DOCUMENTED) for path in MUTATIONS] == [10, 6, 7, 8, 9]


@pytest.mark.parametrize(("path", "code", "ambiguous"), DOCUMENTED)
def test_documented_codes_refuse_and_pending_or_unknown_ones_prove_nothing(
    venue: respx.MockRouter, desk: Desk, path: str, code: int, ambiguous: bool
):
    route = venue.post(path).respond(json=body(code, orderId=9))
    error = outcome(desk, path)
    assert (type(error), error.code) == (OutcomeUnknown if ambiguous else Refused, code)
    assert route.call_count == 1
    assert (desk.calls[-1].endpoint, desk.calls[-1].code) == (path, code)
    assert desk.calls[-1].outcome is (Outcome.UNKNOWN if ambiguous else Outcome.REFUSED)


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("/api/Contract/searchById", 1, Refused),
        ("/api/Order/searchById", 1, Refused),
        ("/api/Order/searchOpen", 1, ReadFailed),
        ("/api/History/retrieveBars", 1, ReadFailed),
        ("/api/History/retrieveBars", 4, ReadFailed),
        ("/api/Order/search", 1, ReadFailed),
        ("/api/Order/v2/query", 1, ReadFailed),
        ("/api/Position/searchOpen", 1, ReadFailed),
        ("/api/Trade/search", 1, ReadFailed),
    ],
)
def test_codes_of_reads(venue: respx.MockRouter, desk: Desk, path: str, code: int, expected: type[BrokerError]):
    venue.post(path).respond(json=body(code))
    error = outcome(desk, path)
    assert (type(error), error.code) == (expected, code)


def test_a_tag_in_use_is_told_apart_because_it_proves_that_an_order_exists(venue: respx.MockRouter, desk: Desk):
    venue.post(PLACE.path).respond(json=body(2) | {"errorMessage": "Specified custom tag is already in use."})
    assert type(outcome(desk, PLACE.path)) is TagInUse


@pytest.mark.parametrize("path", CALLS)
def test_a_401_is_followed_by_one_login_and_one_repeat(venue: respx.MockRouter, desk: Desk, path: str):
    login = venue.post("/api/Auth/loginKey").mock(side_effect=[logged_in("first"), logged_in("second")])
    route = venue.post(path).respond(401)
    assert type(outcome(desk, path)) is LoginFailed
    assert login.call_count == 2
    assert [call.request.headers["authorization"] for call in route.calls] == ["Bearer first", "Bearer second"]


def test_the_repeat_after_a_401_counts(venue: respx.MockRouter, desk: Desk):
    accepted = httpx.Response(200, json={"orderId": 3400000001, "success": True, "errorCode": 0})
    route = venue.post(PLACE.path).mock(side_effect=[httpx.Response(401), accepted])
    assert desk.broker.place(ORDER) == 3400000001
    assert route.call_count == 2
    assert [call.outcome for call in desk.calls] == [Outcome.DONE, Outcome.LOGIN_FAILED, Outcome.DONE, Outcome.DONE]


def test_without_time_for_a_login_the_401_stands(venue: respx.MockRouter):
    desk = Desk(timeouts=Timeouts(total=0.5, login=5.0))
    login = venue.post("/api/Auth/loginKey").mock(return_value=logged_in())
    route = venue.post(PLACE.path).respond(401)
    assert type(outcome(desk, PLACE.path)) is LoginFailed
    assert (login.call_count, route.call_count) == (1, 1)


def test_a_call_that_is_interrupted_is_counted_and_the_interruption_goes_on(venue: respx.MockRouter, desk: Desk):
    class TimeLimit(Exception):
        pass

    venue.post(PLACE.path).mock(side_effect=TimeLimit)
    with pytest.raises(TimeLimit):
        desk.broker.place(ORDER)
    assert desk.calls[-1].outcome is Outcome.INTERRUPTED


def test_what_follows_a_401_is_judged_by_the_repeat(venue: respx.MockRouter, desk: Desk):
    route = venue.post(PLACE.path).mock(side_effect=[httpx.Response(401), httpx.ReadTimeout("slow")])
    assert type(outcome(desk, PLACE.path)) is OutcomeUnknown
    assert route.call_count == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(200, json=body(3)), LoginFailed),
        (httpx.Response(200, json=body(9)), LoginFailed),
        (httpx.Response(200, json=body(8)), NotSent),
        (httpx.Response(200, json=body(77)), NotSent),
        (httpx.Response(200, json=body(0, success=True)), NotSent),
        (httpx.Response(200, json=body(0, success=True, token="with a space")), NotSent),
        (httpx.Response(200, json=body(0, success=True, token="line\r\nbreak")), NotSent),
        (httpx.Response(400), LoginFailed),
        (httpx.Response(401), LoginFailed),
        (httpx.Response(429), NotSent),
        (httpx.Response(503), NotSent),
        (httpx.ReadTimeout("slow"), NotSent),
        (httpx.ConnectError("refused"), NotSent),
    ],
)
@pytest.mark.parametrize("path", [PLACE.path, "/api/Position/searchOpen"])
def test_without_a_token_the_order_is_not_sent(
    venue: respx.MockRouter, desk: Desk, path: str, answer: object, expected: type[BrokerError]
):
    venue.post("/api/Auth/loginKey").mock(side_effect=[answer])
    route = venue.post(path).respond(500)
    assert type(outcome(desk, path)) is expected
    assert not route.called


class Spent:
    def take(self, lane: Lane, *, wait: bool) -> None:
        raise OverBudget(f"{lane.name} {wait}", retry_after=3.5)


@pytest.mark.parametrize("path", CALLS)
def test_over_budget_nothing_is_sent(venue: respx.MockRouter, desk: Desk, path: str):
    route = venue.post(path).respond(500)
    venue.post("/api/Order/cancel").respond(json={"success": True, "errorCode": 0})
    desk.broker.cancel(1001, 1)  # logs in
    desk.gateway._budget = Spent()
    before = route.call_count
    error = outcome(desk, path)
    assert isinstance(error, OverBudget)
    assert (error.retry_after, str(error).endswith("False")) == (3.5, path in MUTATIONS)
    assert route.call_count == before
    assert desk.calls[-1].outcome is Outcome.OVER_BUDGET


def test_each_call_takes_from_its_lane(venue: respx.MockRouter, desk: Desk):
    for path in CALLS:
        venue.post(path).respond(500)
    for path in CALLS:
        outcome(desk, path)
    login, *lanes = desk.budget.taken
    assert login == (Lane.CANCEL, True)
    assert dict(zip(CALLS, lanes, strict=True)) == {
        "/api/Order/place": (Lane.PLACE, False),
        "/api/Order/cancel": (Lane.CANCEL, False),
        "/api/Order/modify": (Lane.STOP, False),
        "/api/Position/closeContract": (Lane.CANCEL, False),
        "/api/Position/partialCloseContract": (Lane.CANCEL, False),
        "/api/Account/search": (Lane.RECONCILE, True),
        "/api/Contract/available": (Lane.RECONCILE, True),
        "/api/Contract/search": (Lane.RECONCILE, True),
        "/api/Contract/searchById": (Lane.RECONCILE, True),
        "/api/History/retrieveBars": (Lane.BARS, True),
        "/api/Order/search": (Lane.RECONCILE, True),
        "/api/Order/searchOpen": (Lane.RECONCILE, True),
        "/api/Order/searchById": (Lane.RECONCILE, True),
        "/api/Order/v2/query": (Lane.RECONCILE, True),
        "/api/Position/searchOpen": (Lane.RECONCILE, True),
        "/api/Trade/search": (Lane.RECONCILE, True),
    }


@pytest.mark.parametrize(
    "order",
    [
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.LIMIT, 1),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.STOP, 1, limit_price=Decimal(1)),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.STOP, 1, limit_price=Decimal(1), stop_price=Decimal(1)),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.MARKET, 1, stop_price=Decimal(1)),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.TRAILING_STOP, 1),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.STOP, 1, stop_price=Decimal("NaN")),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.MARKET, 0),
        PlaceOrder(1, "C", "", Side.BUY, OrderType.MARKET, 1),
        PlaceOrder(1, "C", "t" * 61, Side.BUY, OrderType.MARKET, 1),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.MARKET, 1, bracket=BracketTicks(0)),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.MARKET, 1, bracket=BracketTicks(-40, 60)),
        PlaceOrder(1, "C", "t", Side.BUY, OrderType.MARKET, 1, bracket=BracketTicks(40, -60)),
    ],
)
def test_an_order_that_contradicts_itself_never_leaves(venue: respx.MockRouter, desk: Desk, order: PlaceOrder):
    with pytest.raises(Refused, match="not sent"):
        desk.broker.place(order)
    assert not venue.calls


def test_changes_that_change_nothing_or_make_no_sense_never_leave(venue: respx.MockRouter, desk: Desk):
    for change in (
        lambda: desk.broker.modify(1001, 5),
        lambda: desk.broker.modify(1001, 5, quantity=0),
        lambda: desk.broker.modify(1001, 5, stop_price=Decimal("Infinity")),
        lambda: desk.broker.close(1001, "C", 0),
        lambda: desk.broker.close(1001, "C", -1),
    ):
        with pytest.raises(Refused, match="not sent"):
            change()
    with pytest.raises(ValueError, match="limit 0"):
        desk.broker.bars("C", Timeframe.M1, START, END, limit=0)
    assert not venue.calls


def test_an_observer_that_fails_does_not_hide_the_order(venue: respx.MockRouter, desk: Desk, caplog):
    venue.post(PLACE.path).respond(json={"orderId": 7, "success": True, "errorCode": 0})
    desk.gateway._observe = lambda call: 1 / 0
    assert desk.broker.place(ORDER) == 7
    assert "observer" in caplog.text
