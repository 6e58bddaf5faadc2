"""The wire: paths, fields, types and statuses of the venue's swagger (March 2026) and its September additions."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.server import create_app
from brokers.simulated.tokens import Credentials
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import LIMIT, MARKET, MNQ, START, STOP, Stage

ENVELOPE = {"success": bool, "errorCode": int, "errorMessage": (str, type(None))}
NUMBER = (int, float)
ACCOUNT = {"id": int, "name": str, "balance": NUMBER, "canTrade": bool, "isVisible": bool, "simulated": bool}
CONTRACT = {
    "id": str,
    "name": str,
    "description": str,
    "tickSize": NUMBER,
    "tickValue": NUMBER,
    "activeContract": bool,
    "symbolId": str,
}
BAR = {"t": str, "o": NUMBER, "h": NUMBER, "l": NUMBER, "c": NUMBER, "v": int}
ORDER = {
    "id": int,
    "accountId": int,
    "contractId": str,
    "symbolId": str,
    "creationTimestamp": str,
    "updateTimestamp": str,
    "status": int,
    "type": int,
    "side": int,
    "size": int,
    "limitPrice": (*NUMBER, type(None)),
    "stopPrice": (*NUMBER, type(None)),
    "fillVolume": int,
    "filledPrice": (*NUMBER, type(None)),
    "customTag": (str, type(None)),
}
LEG = ORDER | {"parentOrderId": int}
POSITION = {
    "id": int,
    "accountId": int,
    "contractId": str,
    "contractDisplayName": str,
    "creationTimestamp": str,
    "type": int,
    "size": int,
    "averagePrice": NUMBER,
}
TRADE = {
    "id": int,
    "accountId": int,
    "contractId": str,
    "creationTimestamp": str,
    "price": NUMBER,
    "profitAndLoss": (*NUMBER, type(None)),
    "fees": NUMBER,
    "commissions": NUMBER,
    "side": int,
    "size": int,
    "voided": bool,
    "orderId": int,
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(?<!0)\+00:00|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
BODIES = {
    "/api/Account/search": {"onlyActiveAccounts": True},
    "/api/Contract/search": {"live": False},
    "/api/Contract/available": {"live": False},
    "/api/Contract/searchById": {"contractId": MNQ},
    "/api/History/retrieveBars": {
        "contractId": MNQ,
        "live": False,
        "startTime": "2026-11-18T14:00:00Z",
        "endTime": "2026-11-18T09:30:00-05:00",
        "unit": 2,
        "unitNumber": 1,
        "limit": 5,
        "includePartialBar": False,
    },
    "/api/Order/search": {"accountId": 1001, "startTimestamp": "2026-11-18T14:00:00Z"},
    "/api/Order/searchOpen": {"accountId": 1001},
    "/api/Order/searchById": {"accountId": 1001, "orderId": 1},
    "/api/Order/v2/query": {"filter": {"accountId": 1001}},
    "/api/Order/place": {"accountId": 1001, "contractId": MNQ, "type": MARKET, "side": 0, "size": 1},
    "/api/Order/modify": {"accountId": 1001, "orderId": 1},
    "/api/Order/cancel": {"accountId": 1001, "orderId": 1},
    "/api/Position/searchOpen": {"accountId": 1001},
    "/api/Position/closeContract": {"accountId": 1001, "contractId": MNQ},
    "/api/Position/partialCloseContract": {"accountId": 1001, "contractId": MNQ, "size": 1},
    "/api/Trade/search": {"accountId": 1001},
}


class Client:
    """A logged-in client and the stage behind it."""

    def __init__(self, stage: Stage, http: httpx.Client) -> None:
        self.stage = stage
        self.http = http
        answer = http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}).json()
        self.http.headers["authorization"] = f"Bearer {answer['token']}"

    def post(self, path: str, **more: object) -> dict:
        answer = self.http.post(path, json=BODIES[path] | more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        body = answer.json()
        assert body["success"] is (body["errorCode"] == 0)
        return body


@pytest.fixture(params=[Behaviour()])
def client(request) -> Iterator[Client]:
    stage = Stage(request.param)
    with served(stage) as url, httpx.Client(base_url=url) as http:
        yield Client(stage, http)


def has(model: dict, fields: dict) -> None:
    assert set(model) == set(fields)
    for name, kinds in fields.items():
        assert isinstance(model[name], kinds), (name, model[name])
        assert kinds is not int or not isinstance(model[name], bool)
        assert "Timestamp" not in name or TIME.fullmatch(model[name])


def test_accounts_and_contracts(client):
    answer = client.post("/api/Account/search")
    has(answer, ENVELOPE | {"accounts": list})
    has(answer["accounts"][0], ACCOUNT)
    answer = client.post("/api/Contract/available")
    has(answer, ENVELOPE | {"contracts": list})
    assert len(answer["contracts"]) == 51
    for contract in answer["contracts"]:
        has(contract, CONTRACT)
    mnq = next(c for c in answer["contracts"] if c["id"] == MNQ)
    assert mnq == {
        "id": MNQ,
        "name": "MNQZ6",
        "description": "Micro E-mini NASDAQ-100: December 2026",
        "tickSize": 0.25,
        "tickValue": 0.5,
        "activeContract": True,
        "symbolId": "F.US.MNQ",
    }
    names = [c["name"] for c in client.post("/api/Contract/search", searchText="NQ")["contracts"]]
    assert names == ["NQZ6", "MNQZ6", "QMF7", "QGF7"] or names == ["NQZ6", "MNQZ6", "QMF7", "QGZ6"]
    assert client.post("/api/Contract/available", live=True)["contracts"] == []
    assert len(client.post("/api/Contract/search")["contracts"]) == 20
    expired = client.post("/api/Contract/searchById", contractId="CON.F.US.MNQ.H20")
    assert expired["contract"]["activeContract"] is False
    assert client.post("/api/Contract/searchById", contractId="CON.F.US.MNQ.F20")["errorCode"] == 1


def test_bars_come_newest_first_and_their_errors_have_codes(client):
    client.stage.bar(20000, 20004, 19999.5, 20003)
    answer = client.post("/api/History/retrieveBars")
    has(answer, ENVELOPE | {"bars": list})
    assert answer["bars"] == [
        {"t": "2026-11-18T14:30:00+00:00", "o": 20000, "h": 20004, "l": 19999.5, "c": 20003, "v": 120},
        {"t": "2026-11-18T14:29:00+00:00", "o": 20000, "h": 20000, "l": 20000, "c": 20000, "v": 120},
    ]
    has(answer["bars"][0], BAR)
    for more, code in (
        ({"contractId": "x"}, 1), ({"live": True}, 1), ({"unit": 0}, 2), ({"unit": 7}, 2), ({"unitNumber": 0}, 3),
        ({"limit": 0}, 4), ({"limit": 20001}, 4),
    ):  # fmt: skip
        assert client.post("/api/History/retrieveBars", **more)["errorCode"] == code


def test_the_life_of_a_bracket_over_the_wire(client):
    legs = {"stopLossBracket": {"ticks": -40, "type": 4}, "takeProfitBracket": {"ticks": 61, "type": 1}}
    placed = client.post("/api/Order/place", type=STOP, stopPrice=20010.25, customTag="a", **legs)
    has(placed, ENVELOPE | {"orderId": int})
    entry = placed["orderId"]

    answer = client.post(
        "/api/Order/v2/query", filter={"accountId": 1001, "statuses": [1, 6, 7, 8]}, includeTotalCount=True
    )
    has(answer, ENVELOPE | {"orders": list, "totalCount": int})
    order, stop, target = answer["orders"]
    has(order, ORDER)
    has(stop, LEG | {"trailDistance": int, "trailPrice": NUMBER})
    has(target, LEG | {"trailDistance": int, "trailPrice": NUMBER, "linkedOrderId": int})
    assert [o["status"] for o in answer["orders"]] == [1, 8, 8]
    assert (order["id"], order["stopPrice"], order["customTag"], order["limitPrice"]) == (entry, 20010.25, "a", None)
    assert (stop["trailDistance"], stop["trailPrice"], stop["stopPrice"], stop["customTag"]) == (-40, -10, None, "a-SL")
    assert (target["trailDistance"], target["trailPrice"], target["linkedOrderId"]) == (61, 15.25, stop["id"])
    for path in ("/api/Order/searchOpen", "/api/Order/search"):
        assert [o["id"] for o in client.post(path)["orders"]] == [entry]

    client.stage.move(20000, 20012)
    stop, target = client.post("/api/Order/searchOpen")["orders"]
    has(stop, LEG)
    assert (stop["stopPrice"], target["limitPrice"], stop["parentOrderId"]) == (20000.25, 20025.5, entry)
    position = client.post("/api/Position/searchOpen")["positions"][0]
    has(position, POSITION)
    assert (position["type"], position["size"], position["averagePrice"]) == (1, 1, 20010.25)
    assert position["contractDisplayName"] == "MNQZ26"

    assert client.post("/api/Order/modify", orderId=stop["id"], stopPrice=20011)["success"]
    client.stage.move(20012, 20010)
    answer = client.post("/api/Trade/search")
    has(answer, ENVELOPE | {"trades": list})
    closing, opening = answer["trades"]
    for trade in (closing, opening):
        has(trade, TRADE)
    assert (closing["price"], closing["profitAndLoss"], closing["side"]) == (20011, 1.5, 1)
    assert (opening["profitAndLoss"], opening["fees"], opening["commissions"]) == (None, 0.36, 0.25)
    assert client.post("/api/Account/search")["accounts"][0]["balance"] == 50000.28
    found = client.post("/api/Order/searchById", orderId=target["id"])
    has(found, ENVELOPE | {"order": dict})
    assert found["order"]["status"] == 3


def test_numbers_travel_as_decimals(client):
    client.post("/api/Order/place", size=1)
    client.stage.move(20000, 20001)
    client.post("/api/Order/place", size=2)
    text = client.http.post("/api/Position/searchOpen", json=BODIES["/api/Position/searchOpen"]).text
    assert '"averagePrice":20000.666666667' in text
    text = client.http.post("/api/Trade/search", json=BODIES["/api/Trade/search"]).text
    assert '"fees":0.72,"commissions":0.50' in text


def test_refusals_keep_http_200(client):
    refused = client.post("/api/Order/place", size=0)
    has(refused, ENVELOPE | {"orderId": type(None)})
    assert (refused["errorCode"], refused["errorMessage"]) == (2, "Invalid size (0). Size should be greater than zero.")
    for path in ("/api/Order/search", "/api/Order/searchOpen", "/api/Position/searchOpen", "/api/Trade/search"):
        assert client.post(path, accountId=5)["errorCode"] == 1
    assert client.post("/api/Order/v2/query", filter={"accountId": 5})["errorCode"] == 1
    assert client.post("/api/Order/searchById")["errorCode"] == 1
    assert client.post("/api/Order/cancel")["errorCode"] == 2
    assert client.post("/api/Order/modify")["errorCode"] == 2
    assert client.post("/api/Position/closeContract")["errorCode"] == 2
    assert client.post("/api/Position/partialCloseContract", accountId=5)["errorCode"] == 1


def test_queries_filter_sort_and_page(client):
    ids = []
    for price in (19000, 19001, 19002):
        ids.append(client.post("/api/Order/place", type=LIMIT, limitPrice=price)["orderId"])
        client.stage.wait(1)
    client.post("/api/Order/cancel", orderId=ids[1])

    def query(wanted: dict | None = None, **more: object) -> list[int]:
        answer = client.post("/api/Order/v2/query", filter={"accountId": 1001} | (wanted or {}), **more)
        return [order["id"] for order in answer["orders"]]

    assert query() == ids
    assert query(sortDirection=1) == ids[::-1]
    assert query(sortBy=1, pageSize=2, pageOffset=1) == ids[1:]
    assert query({"statuses": [3]}) == [ids[1]]
    assert query({"contractId": "CON.F.US.MES.Z26"}) == []
    assert query({"createdAfter": "2026-11-18T14:30:00.5Z", "createdBefore": "2026-11-18T14:30:01.5Z"}) == [ids[1]]
    window = {"startTimestamp": "2026-11-18T14:30:01Z", "endTimestamp": "2026-11-18T14:30:01Z"}
    assert [order["id"] for order in client.post("/api/Order/search", **window)["orders"]] == [ids[1]]


@pytest.mark.parametrize(("path", "body"), [
    ("/api/Order/place", BODIES["/api/Order/place"] | {"side": "Bid"}),
    ("/api/Order/place", BODIES["/api/Order/place"] | {"size": 1.5}),
    ("/api/Order/place", BODIES["/api/Order/place"] | {"size": 2**31}),
    ("/api/Order/place", {"accountId": 1001}),
    ("/api/Order/place", [1]),
    ("/api/Order/v2/query", {"filter": {}}),
    ("/api/Order/search", {"accountId": 1001, "startTimestamp": "yesterday"}),
    ("/api/Auth/loginKey", {"userName": "demo"}),
])  # fmt: skip
def test_a_body_that_does_not_bind_is_a_problem(client, path, body):
    answer = client.http.post(path, json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "instance"}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"accountId":' + b" " * 70000 + b"1001}"])
def test_a_body_that_is_no_json_or_huge_is_a_problem(client, content):
    assert client.http.post("/api/Position/searchOpen", content=content).status_code == 400


def test_everything_but_login_and_ping_wants_a_token(client):
    for path, body in BODIES.items():
        answer = client.http.post(path, json=body, headers={"authorization": "Bearer x.y.z"})
        assert (answer.status_code, answer.content) == (401, b"")
    assert client.http.get("/api/Status/ping", headers={"authorization": ""}).text == "pong"
    for path in ("/api/Auth/validate", "/api/Auth/logout"):
        assert client.http.post(path, headers={"authorization": ""}).status_code == 401


def test_login_validate_and_logout(client):
    old = client.http.headers["authorization"]
    answer = client.http.post("/api/Auth/validate").json()
    has(answer, ENVELOPE | {"newToken": str})
    client.http.headers["authorization"] = f"Bearer {answer['newToken']}"
    assert client.http.post("/api/Auth/logout").json() == {"success": True, "errorCode": 0, "errorMessage": None}
    assert client.http.post("/api/Auth/validate").status_code == 401
    client.http.headers["authorization"] = old
    assert client.post("/api/Account/search")["success"]


@pytest.mark.parametrize(
    ("client", "status"), [(Behaviour(), 401), (Behaviour(after_expiry="code_3"), 200)], indirect=["client"]
)
def test_an_expired_token(client, status):
    client.stage.wait(86401)
    answer = client.http.post("/api/Auth/validate")
    assert answer.status_code == status
    assert status == 401 or answer.json()["errorCode"] == 3
    assert client.http.post("/api/Account/search", json=BODIES["/api/Account/search"]).status_code == 401


def test_only_the_configured_login_is_accepted():
    stage = Stage()
    with served(stage, credentials=Credentials("demo", "secret")) as url, httpx.Client(base_url=url) as http:
        answer = http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "wrong"})
        assert answer.json() == {"token": None, "success": False, "errorCode": 3, "errorMessage": None}
        assert http.post("/api/Auth/loginKey", json={"userName": "DEMO", "apiKey": "secret"}).json()["success"]


def test_requests_over_the_limit_get_429_and_nothing_happens():
    stage = Stage()
    with served(stage, speed=0.1) as url, httpx.Client(base_url=url) as http:  # 20 requests, 5 for bars
        client = Client(stage, http)
        for _ in range(20):
            client.post("/api/Account/search")
        answer = http.post("/api/Order/place", json=BODIES["/api/Order/place"])
        assert (answer.status_code, answer.content) == (429, b"")
        assert stage.fills == []
        for _ in range(5):
            client.post("/api/History/retrieveBars")
        assert http.post("/api/History/retrieveBars", json=BODIES["/api/History/retrieveBars"]).status_code == 429


def test_a_new_token_is_no_way_around_the_limit_of_its_login():
    stage = Stage()
    with served(stage, speed=0.1) as url, httpx.Client(base_url=url) as http:
        for _ in range(20):
            token = http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}).json()["token"]
            answered = search(http, token)
        assert answered == 200
        other = http.post("/api/Auth/loginKey", json={"userName": "other", "apiKey": "demo"}).json()["token"]
        renamed = http.post("/api/Auth/loginKey", json={"userName": "Demo", "apiKey": "demo"}).json()["token"]
        assert [search(http, one) for one in (token, renamed, other)] == [429, 429, 200]


def search(http: httpx.Client, token: str) -> int:
    asked = http.post(
        "/api/Account/search", json=BODIES["/api/Account/search"], headers={"authorization": f"Bearer {token}"}
    )
    return asked.status_code


@pytest.mark.parametrize(
    "client", [Behaviour(commissions=False, bars_order="oldest", show_suspended=True)], indirect=True
)
def test_switches_of_the_wire(client):
    entry = client.post("/api/Order/place", stopLossBracket={"ticks": -40, "type": 4})["orderId"]
    assert "commissions" not in client.post("/api/Trade/search")["trades"][0]
    resting = client.post("/api/Order/place", type=LIMIT, limitPrice=19000, stopLossBracket={"ticks": -40, "type": 4})
    statuses = {o["id"]: o["status"] for o in client.post("/api/Order/search")["orders"]}
    assert statuses == {entry: 2, entry + 1: 1, resting["orderId"]: 1, resting["orderId"] + 1: 8}
    client.stage.bar(20000, 20000, 20000, 20000)
    assert [b["t"][14:16] for b in client.post("/api/History/retrieveBars")["bars"]] == ["29", "30"]


def test_a_request_brings_the_market_up_to_its_time(client):
    client.post("/api/Order/place", type=STOP, stopPrice=20002)
    client.stage.market.add(START, 20000, 20012, 20000, 20012)
    client.stage.at += timedelta(seconds=15)
    assert client.post("/api/Position/searchOpen")["positions"][0]["size"] == 1


def test_the_ledger_is_shown_to_this_machine_with_every_request(client):
    client.post("/api/Order/place", size=2, customTag="a")
    client.http.post("/api/Order/place", json={}, headers={"authorization": ""})
    client.post("/api/Position/searchOpen")
    client.stage.venue.flush()
    dump = client.http.get("/_ledger").json()
    assert dump["orders"][0]["customTag"] == "a"
    assert (dump["executions"][0]["size"], dump["positions"][0]["size"]) == (2, 2)
    assert dump["orders"][0]["machineAt"] != dump["orders"][0]["creationTimestamp"]
    named = [(row["kind"], row["name"], json.loads(row["data"]).get("status")) for row in dump["journal"]]
    assert [row for row in named if row[0] != "event"] == [
        ("read", "Auth/loginKey", 200),
        ("request", "Order/place", None),
        ("read", "Order/place", 401),
        ("read", "Position/searchOpen", 200),
    ]
    assert "demo" not in json.dumps(dump["journal"])
    last = dump["journal"][-1]["id"]
    assert client.http.get(f"/_ledger?after={last - 1}").json()["journal"] == dump["journal"][-1:]


def test_the_ledger_is_not_shown_to_other_machines():
    stage = Stage()

    async def ask(host: str) -> int:
        transport = httpx.ASGITransport(create_app(stage.venue, stage.now), client=(host, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://venue") as http:
            return (await http.get("/_ledger")).status_code

    assert [asyncio.run(ask(host)) for host in ("127.0.0.1", "::1", "192.0.2.1", "elsewhere")] == [200, 200, 404, 404]


def test_the_market_runs_without_requests():
    class Watched(Stage):
        """Counts how often it is asked for the time."""

        def __init__(self) -> None:
            self.asked = threading.Semaphore(0)
            super().__init__()

        def now(self) -> datetime:
            self.asked.release()
            return self.at

    stage = Watched()
    stage.place(STOP, 0, stop_price=20002)
    with served(stage):
        stage.market.add(START, 20000, 20012, 20000, 20012)
        stage.at += timedelta(minutes=1)
        while stage.asked.acquire(blocking=False):
            pass
        # At the start once, then once a look: the third comes after the work of the first look at the new time.
        assert all(stage.asked.acquire(timeout=10) for _ in range(3))
        assert stage.prices == [20002]
