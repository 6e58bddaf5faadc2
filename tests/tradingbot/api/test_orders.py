from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.db.models.functions import Now
from rest_framework.test import APIClient

from market.bars import epoch
from tests.factories import NOW, AccountFactory, ContractFactory, calendar_days
from tests.tradingbot.days import TODAY, flat_bars
from tradingbot.models import Account, Decision, Order
from tradingbot.operations import bars
from tradingbot.queues import waiting

ORDERS = "/api/v1/orders/"
LIMIT = {
    "symbol": "MNQ",
    "side": "buy",
    "quantity": 1,
    "type": "limit",
    "price": "19990.00",
    "stop_loss": "19970.00",
    "take_profit": "20030.00",
}


OFF_TICK = "{} is not on the tick grid of 0.25; the nearest prices are {} and {}."
WRONG_SIDE = "{} is on the wrong side: for a {} it must be {} the entry at 19,990.00."
NOT_AHEAD = "A buy stop must lie above the market, which is at 20,002.50; use a limit order for 19,990.00."


@pytest.fixture
def market(db) -> Account:
    """A practice account and MNQ at 20,002.50."""
    return quiet_market()


def quiet_market() -> Account:
    calendar_days()
    account, contract = AccountFactory(), ContractFactory()
    Account.objects.update(balance_read_at=Now())  # machine time
    bars.record(contract, TODAY, flat_bars(ticks=80_010, until=epoch(NOW)), source="venue", covered_until=NOW, now=NOW)
    return account


def place(api: APIClient, key: str = "", **changes: Any) -> Any:
    body = {name: value for name, value in (LIMIT | changes).items() if value is not None}
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    return api.post(ORDERS, body, format="json", **headers)


def test_an_order_is_committed_with_its_bracket_and_not_sent(api, market):
    response = place(api)
    assert response.status_code == 201, response.json()
    entry, stop, target = response.json()["orders"]
    assert (entry["role"], entry["side"], entry["status"], entry["limit_price"]) == ("entry", "buy", "new", "19990")
    assert (entry["stop_ticks"], entry["target_ticks"]) == (80, 160)
    assert [(leg["role"], leg["side"], leg["status"]) for leg in (stop, target)] == [
        ("stop", "sell", "suspended"),
        ("target", "sell", "suspended"),
    ]
    assert response.json()["decision"]["requested_by"] == "ada (api)"
    assert Order.objects.get(pk=entry["id"]).attempt == 0


def test_a_worker_is_told_of_the_order_once(api, market, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as hints:
        place(api, key="k-0")
        place(api, key="k-0")
    assert len(hints) == 1


def test_a_market_order_measures_its_stop_from_the_newest_price(api, market):
    response = place(api, type="market", price=None, stop_loss="19992.50", take_profit=None)
    assert response.status_code == 201, response.json()
    assert response.json()["orders"][0]["stop_ticks"] == 40  # 20,002.50 less 19,992.50


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"quantity": 0}, "quantity", "Ensure this value is greater than or equal to 1."),
        ({"quantity": "two"}, "quantity", "A valid integer is required."),
        ({"quantity": 1.5}, "quantity", "A valid integer is required."),
        ({"symbol": "XYZ"}, "symbol", "The venue of PRAC-V2-{n} lists no current contract XYZ; it lists MNQ."),
        ({"side": "long"}, "side", '"long" is not a valid choice.'),
        ({"type": "trailing_stop"}, "type", '"trailing_stop" is not a valid choice.'),
        ({"price": None}, "price", "A limit order needs its price."),
        ({"price": "19990.10"}, "price", OFF_TICK.format("19990.1", "19,990.00", "19,990.25")),
        ({"price": "NaN"}, "price", "A valid number is required."),
        ({"price": "-5"}, "price", "Ensure this value is greater than or equal to 0."),
        ({"stop_loss": None}, "stop_loss", "This field is required."),
        ({"stop_loss": "19990.00"}, "stop_loss", WRONG_SIDE.format("19,990.00", "buy", "below")),
        ({"stop_loss": "19999.00"}, "stop_loss", WRONG_SIDE.format("19,999.00", "buy", "below")),
        ({"stop_loss": "19970.30"}, "stop_loss", OFF_TICK.format("19970.3", "19,970.25", "19,970.50")),
        ({"take_profit": "19980.00"}, "take_profit", WRONG_SIDE.format("19,980.00", "buy", "above")),
        ({"side": "sell"}, "stop_loss", WRONG_SIDE.format("19,970.00", "sell", "above")),
        ({"type": "stop"}, "price", NOT_AHEAD),
        ({"type": "market"}, "price", "A market order has no price: leave it out, or set type to limit or stop."),
        ({"account": "nobody"}, "account", "No account is called nobody; known: PRAC-V2-{n}."),
    ],
)
def test_each_wrong_value_gets_one_sentence_and_nothing_is_written(api, market, changes, field, sentence):
    response = place(api, **changes)
    assert response.status_code == 400
    assert response.json() == {field: [sentence.format(n=market.broker_account_id)]}
    assert not Decision.objects.exists()
    assert not Order.objects.exists()


def test_without_a_bar_a_market_order_cannot_have_a_stop(api, db):
    AccountFactory()
    ContractFactory()
    response = place(api, type="market", price=None)
    assert list(response.json()) == ["stop_loss"]
    assert "There is no bar of MNQ yet" in response.json()["stop_loss"][0]


def test_two_accounts_without_a_default_are_ambiguous(api, market):
    other = AccountFactory()
    Account.objects.update(balance_read_at=Now())
    assert "name one of" in place(api).json()["account"][0]
    assert place(api, account=other.name).status_code == 201


def test_a_denial_tells_code_sentence_and_rules(api, market):
    Account.objects.update(trading_state="halted", state_reason="news")
    response = place(api)
    assert response.status_code == 422
    body = response.json()
    assert (body["outcome"], body["code"]) == ("denied", "halted")
    assert "halted" in body["sentence"].lower()
    assert [rule["rule"] for rule in body["rules"] if rule["ok"] is False]
    assert not Order.objects.exists()
    assert Decision.objects.get().pk == body["id"]


def test_the_same_key_is_one_order_and_gets_the_same_answer(api, market):
    first, second = place(api, key="k-1"), place(api, key="k-1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert Order.objects.filter(role="entry").count() == 1


def test_a_key_with_another_request_is_refused(api, market):
    place(api, key="k-1")
    response = place(api, key="k-1", quantity=2)
    assert response.status_code == 400
    assert "was used for another request" in response.json()["Idempotency-Key"][0]
    assert Order.objects.filter(role="entry").count() == 1


def test_a_denied_key_stays_denied(api, market):
    Account.objects.update(trading_state="halted")
    assert place(api, key="k-2").status_code == 422
    Account.objects.update(trading_state="active")
    assert place(api, key="k-2").status_code == 422
    assert Decision.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_key_from_several_threads_is_one_order(api, broker_queues):
    quiet_market()

    def once(_: int) -> int:
        try:
            return place(api, key="race").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(once, range(4)))
    assert codes == [200, 200, 200, 201]
    assert waiting()["critical"] == 1  # one hint to send it
    assert Order.objects.filter(role="entry").count() == 1


def test_a_cancel_is_asked_for_and_left_to_a_worker(api, day):
    response = api.post(f"{ORDERS}{day.target.pk}/cancel/")
    assert (response.status_code, response.json()["asked"]) == (202, True)
    day.target.refresh_from_db()
    assert day.target.status == "cancel_pending"
    again = api.post(f"{ORDERS}{day.entry.pk}/cancel/")
    assert (again.status_code, again.json()["asked"]) == (409, False)
    assert "filled" in again.json()["sentence"]
    assert api.post(f"{ORDERS}999999/cancel/").status_code == 404


def test_the_stop_of_an_open_position_is_not_cancelled(api, day):
    response = api.post(f"{ORDERS}{day.stop.pk}/cancel/")
    sentence = f"#{day.stop.pk} is the stop of an open position and stays: move it, or close the position"
    assert (response.status_code, response.json()) == (409, {"asked": False, "sentence": sentence})
    day.stop.refresh_from_db()
    assert day.stop.status == "working"


def test_orders_are_filtered(api, day):
    def tags(**filters: str) -> list[str]:
        return sorted(row["tag"] for row in api.get(ORDERS, filters).json()["results"])

    assert tags() == ["tb-SL", "tb-TP", "tb-entry"]
    assert tags(status="working") == ["tb-SL", "tb-TP"]
    assert tags(role="entry", contract__symbol="MNQ") == ["tb-entry"]
    assert tags(session_date__gte="2026-11-19") == []
    assert api.get(ORDERS, {"session_date": "yesterday"}).status_code == 400
