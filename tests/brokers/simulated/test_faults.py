"""Each fault of the venue does what it says: at the wire, and in the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from brokers.simulated.events import EventSwitches
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import BUY, LIMIT, MARKET, MNQ, SELL, STOP, Stage

TOKEN = "token of the tests"


@dataclass
class Served:
    stage: Stage
    http: httpx.Client

    def ask(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/api/{path}", json={"accountId": self.stage.account_id} | body)

    def place(self, tag: str = "a", **more: Any) -> httpx.Response:
        order = {"contractId": MNQ, "type": LIMIT, "side": BUY, "size": 1, "limitPrice": 19_990, "customTag": tag}
        return self.ask("Order/place", **order | more)

    def fault(self, type: str, **fault: Any) -> httpx.Response:
        return self.http.post("/_faults", json={"type": type} | fault, headers={"authorization": f"Bearer {TOKEN}"})

    def rule(self, effect: str, *calls: str, **more: Any) -> None:
        assert self.fault("rule", effect=effect, calls=calls, **more).status_code == 200

    def tags(self) -> list[str | None]:
        return [order.tag for order in self.stage.venue.ledger.orders(self.stage.account_id)]


@pytest.fixture
def venue() -> Iterator[Served]:
    stage = Stage()
    with served(stage, fault_token=TOKEN) as url, httpx.Client(base_url=url, timeout=5) as http:
        token = http.post("/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}).json()["token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield Served(stage, http)


@pytest.mark.parametrize("effect", ["lost_before", "lost_after", "truncated"])
def test_a_cut_connection_brings_no_whole_answer_and_the_order_is_there_or_not(venue: Served, effect: str):
    venue.rule(effect, "place")
    with pytest.raises(httpx.RemoteProtocolError):
        venue.place()
    assert venue.tags() == ([] if effect == "lost_before" else ["a"])
    assert venue.place("b").json()["success"]


@pytest.mark.parametrize(
    ("effect", "status", "placed"),
    [("error_before", 500, []), ("error_after", 500, ["a"]), ("busy", 429, []), ("denied", 401, []), ("html", 200, [])],
)
def test_an_error_answers_with_its_status(venue: Served, effect: str, status: int, placed: list[str]):
    venue.rule(effect, "place")
    answer = venue.place()
    assert (answer.status_code, venue.tags()) == (status, placed)
    assert answer.headers.get("content-type", "").startswith("text/html") == (effect == "html")


def test_a_late_order_appears_after_its_seconds(venue: Served):
    venue.rule("late", "place", seconds=0.3)
    with pytest.raises(httpx.RemoteProtocolError):
        venue.place()
    assert venue.tags() == []
    give_up = time.monotonic() + 5
    while not venue.tags() and time.monotonic() < give_up:
        time.sleep(0.02)  # asking the venue meanwhile would spend the budget of the order that is on its way
    assert venue.tags() == ["a"]


def test_a_rule_strikes_its_calls_its_account_and_its_count(venue: Served):
    venue.rule("busy", "positions", "orders", account_id=venue.stage.account_id, count=2)
    venue.rule("error_before", "trades", account_id=77)
    asked = ["Order/place", "Order/searchOpen", "Trade/search", "Position/searchOpen", "Order/searchOpen"]
    bodies = {"Trade/search": {"startTimestamp": "2026-11-18T00:00:00Z"}}
    statuses = [venue.ask(path, **bodies.get(path, {})).status_code for path in asked]
    assert statuses == [400, 429, 200, 429, 200]


def test_a_rate_is_drawn_from_the_seed(venue: Served):
    drawn = []
    for seed in (1, 1, 2):
        venue.rule("busy", "positions", count=None, rate=0.5, seed=seed)
        drawn.append([venue.ask("Position/searchOpen").status_code for _ in range(20)])
        venue.http.delete("/_faults", headers={"authorization": f"Bearer {TOKEN}"})
    assert drawn[0] == drawn[1] != drawn[2]
    assert {200, 429} == set(drawn[0])


def test_lists_lag_behind(venue: Served):
    assert venue.fault("lag", seconds=60).status_code == 200
    venue.place("young", type=MARKET, limitPrice=None)
    window = {"startTimestamp": "2026-11-18T00:00:00Z"}
    hidden = [
        venue.ask("Order/search", **window).json()["orders"],
        venue.ask("Trade/search", **window).json()["trades"],
        venue.http.post("/api/Order/v2/query", json={"filter": {"accountId": venue.stage.account_id}}).json()["orders"],
    ]
    assert hidden == [[], [], []]
    venue.fault("lag", seconds=0)
    assert [o["customTag"] for o in venue.ask("Order/search", **window).json()["orders"]] == ["young"]


def test_the_date_header_is_skewed(venue: Served):
    assert venue.fault("skew", seconds=-30).status_code == 200
    date = parsedate_to_datetime(venue.ask("Position/searchOpen").headers["date"])
    machine = datetime.now(UTC)  # noqa: TID251  the header is in the time of the machine
    assert -33 < (date - machine).total_seconds() < -28


def test_an_entry_is_taken_without_its_legs(venue: Served):
    venue.fault("legless", account_id=venue.stage.account_id)
    bracket = {"stopLossBracket": {"ticks": -40, "type": STOP}}
    for tag in ("without", "with"):
        assert venue.place(tag, **bracket).json()["success"]
    assert venue.tags() == ["without", "with", "with-SL"]


def test_an_order_is_filled_contract_by_contract(venue: Served):
    order_id = venue.place(size=3).json()["orderId"]
    for _ in range(3):
        assert venue.fault("fill", order_id=order_id, quantity=1).status_code == 200
    assert [fill.quantity for fill in venue.stage.fills] == [1, 1, 1]
    assert venue.stage.prices == [20_000, 20_000, 20_000]
    assert venue.fault("fill", order_id=order_id).json() == {"error": f"order {order_id} does not work: filled"}


def test_both_entries_of_a_pair_are_filled(venue: Served):
    for tag, side, price in (("up", BUY, 20_010), ("down", SELL, 19_990)):
        ticks = -40 if side == BUY else 40
        bracket = {"stopLossBracket": {"ticks": ticks, "type": STOP}}
        assert venue.place(tag, type=STOP, side=side, limitPrice=None, stopPrice=price, **bracket).json()["success"]
    assert venue.fault("both_sides", account_id=venue.stage.account_id).status_code == 200
    assert [fill.side for fill in venue.stage.fills] == [1, -1]
    assert venue.stage.position is None


def test_somebody_trades_by_hand(venue: Served):
    foreign = {"account_id": venue.stage.account_id, "contract_id": MNQ, "side": SELL}
    assert venue.fault("foreign", size=2, **foreign).status_code == 200
    assert venue.fault("foreign", stop_price="19990", **foreign).status_code == 200
    assert venue.tags() == [None, None]
    assert venue.stage.position is not None
    assert venue.stage.position.quantity == -2


def test_a_voided_trade_leaves_the_account_as_if_it_had_never_been(venue: Served):
    order_id = venue.place(size=2).json()["orderId"]
    for _ in range(2):
        venue.fault("fill", order_id=order_id, quantity=1)
    first = venue.stage.fills[0]
    assert venue.fault("void", execution_id=first.id).status_code == 200
    assert [fill.voided for fill in venue.stage.fills] == [True, False]
    assert venue.stage.position is not None
    assert venue.stage.position.quantity == 1
    assert venue.stage.balance == Decimal(50_000) - first.fees - first.commissions
    window = {"startTimestamp": "2026-11-18T00:00:00Z"}
    shown = {t["id"]: t["voided"] for t in venue.ask("Trade/search", **window).json()["trades"]}
    assert shown[first.id] is True
    assert venue.fault("void", execution_id=first.id).status_code == 400


def test_a_locked_account_refuses_orders(venue: Served):
    venue.fault("can_trade", account_id=venue.stage.account_id, allowed=False)
    assert venue.place().json()["errorCode"] == 4
    venue.fault("can_trade", account_id=venue.stage.account_id, allowed=True)
    assert venue.place("b").json()["success"]


def test_the_hubs_do_what_they_are_told_until_it_is_ended(venue: Served):
    switches = venue.stage.venue.event_switches
    assert venue.fault("hubs", lost=0.5, silent=True).json() == {
        "faults": [{"type": "hubs", "lost": 0.5, "silent": True}]
    }
    venue.fault("hubs", silent=False, refuse=503)
    assert (switches.lost, switches.silent, switches.refuse) == (0.5, False, 503)
    venue.http.delete("/_faults", headers={"authorization": f"Bearer {TOKEN}"})
    assert switches == EventSwitches()


def test_switches_are_turned_while_the_venue_runs_and_stand_as_before_in_the_end(venue: Served):
    venue.stage.market.add(venue.stage.at, 20000, 20001, 19999, 20000)
    venue.stage.wait(60)
    window = {"live": False, "startTime": "2026-11-18T14:00:00Z", "endTime": "2026-11-18T15:00:00Z"}
    wanted = {"contractId": MNQ, "unit": 2, "unitNumber": 1, "limit": 10, "includePartialBar": False}

    def minutes() -> list[str]:
        return [bar["t"][14:16] for bar in venue.ask("History/retrieveBars", **window, **wanted).json()["bars"]]

    assert minutes() == ["30", "29"]
    changed = {"type": "switch", "values": {"bars_order": "oldest", "bracket_ticks": "positive", "commissions": False}}
    assert venue.fault("switch", values={"bars_order": "oldest", "bracket_ticks": "positive", "commissions": "false"})
    assert minutes() == ["29", "30"]
    bracket = {"stopLossBracket": {"ticks": 40, "type": STOP}, "takeProfitBracket": {"ticks": 60, "type": LIMIT}}
    assert venue.place("positive", **bracket).json()["success"]
    assert venue.fault("switch", values={"form": "bare", "second_login": "evicted", "bad_token": "403"}).json() == {
        "faults": [changed, {"type": "hubs", "form": "bare", "second_login": "evicted", "bad_token": 403}]
    }
    venue.http.delete("/_faults", headers={"authorization": f"Bearer {TOKEN}"})
    assert minutes() == ["30", "29"]
    assert not venue.place("signed", **bracket).json()["success"]


def test_what_comes_with_401_and_429_is_a_switch(venue: Served):
    venue.fault("switch", values={"unauthorised": "envelope", "busy": "retry_after", "window": "fixed"})
    accounts = [venue.ask("Account/search", onlyActiveAccounts=True) for _ in range(201)]
    assert [answer.status_code for answer in accounts] == [200] * 200 + [429]
    assert 1 <= int(accounts[-1].headers["retry-after"]) <= 60
    venue.http.headers["authorization"] = "Bearer nonsense"
    refused = venue.ask("Account/search", onlyActiveAccounts=True)
    assert (refused.status_code, refused.json()["success"]) == (401, False)
    venue.fault("switch", values={"unauthorised": "empty"})
    assert venue.ask("Account/search", onlyActiveAccounts=True).content == b""


def test_the_exchange_of_a_token_may_fail(venue: Served):
    venue.rule("error_before", "validate")
    assert [venue.http.post("/api/Auth/validate").status_code for _ in range(2)] == [500, 200]


def test_a_token_that_was_ended_is_refused_and_a_new_one_is_not(venue: Served):
    assert venue.ask("Account/search", onlyActiveAccounts=True).status_code == 200
    venue.fault("end_tokens")
    assert venue.ask("Account/search", onlyActiveAccounts=True).status_code == 401
    token = venue.http.post("/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}).json()["token"]
    venue.http.headers["authorization"] = f"Bearer {token}"
    assert venue.ask("Account/search", onlyActiveAccounts=True).status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {TOKEN}"])
def test_without_the_token_there_is_no_such_place(venue: Served, authorization: str):
    headers = {"authorization": authorization}
    answers = [venue.http.request(method, "/_faults", headers=headers) for method in ("GET", "POST", "DELETE")]
    assert {answer.status_code for answer in answers} == {404}


def test_a_venue_without_a_token_has_no_faults():
    with served(Stage()) as url:
        assert httpx.get(f"{url}/_faults", headers={"authorization": "Bearer None"}).status_code == 404


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "rule", "effect": "lost_after", "calls": ["nonsense"]},
        {"type": "rule", "effect": "sulk"},
        {"type": "rule", "effect": "busy", "rate": 0},
        {"type": "rule", "effect": "busy", "when": "always"},
        {"type": "fill", "order_id": 1},
        {"type": "void", "execution_id": 1},
        {"type": "switch", "values": {"bars_order": "random"}},
        {"type": "switch", "values": {"pending": -1}},
        {"type": "switch", "values": {"segments": 1}},
        {"type": "switch", "values": {"gravity": "off"}},
        {"type": "both_sides", "account_id": 1},
        {},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(venue: Served, fault: dict[str, Any]):
    answer = venue.http.post("/_faults", json=fault, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 400
    assert answer.json()["error"]
