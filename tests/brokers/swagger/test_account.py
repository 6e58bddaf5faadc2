"""The same suite at a real practice account, read-only: `make test ARGS=tests/brokers/swagger/test_account.py`.

PROJECTX_CONFORMANCE_URL (https://api.topstepx.com), PROJECTX_CONFORMANCE_USER and PROJECTX_CONFORMANCE_KEY name the
login. Nothing is placed, changed, cancelled or closed: only paths of `READS` are ever called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.brokers.swagger.schema import problems_of_answer
from tradingbot import clock

NAMES = ("PROJECTX_CONFORMANCE_URL", "PROJECTX_CONFORMANCE_USER", "PROJECTX_CONFORMANCE_KEY")
MISSING = [name for name in NAMES if not os.environ.get(name)]
READS = (
    *("Account/search", "Contract/available", "Contract/search", "Contract/searchById", "History/retrieveBars"),
    *("Order/search", "Order/searchOpen", "Order/v2/query", "Position/searchOpen", "Trade/search", "Auth/validate"),
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"set {', '.join(MISSING)} to ask a real practice account")


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    url, user, key = (os.environ[name] for name in NAMES)
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        login = client.post("/api/Auth/loginKey", json={"userName": user, "apiKey": key}).json()
        assert login["success"], f"login refused with code {login['errorCode']}"
        client.headers["authorization"] = f"Bearer {login['token']}"
        yield client


@pytest.fixture(scope="module")
def account_id(http: httpx.Client) -> int:
    accounts = read(http, "Account/search", onlyActiveAccounts=True)["accounts"]
    practice = [account for account in accounts if account["name"].upper().startswith("PRAC")]
    assert practice, "the login has no practice account"
    return int(practice[0]["id"])


def read(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    """Return a documented answer of a path that changes nothing."""
    assert path in READS
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == 200, f"{path}: HTTP {answer.status_code}"
    found: dict[str, Any] = answer.json()
    assert problems_of_answer(f"/api/{path}", found) == []
    assert found["success"], f"{path}: code {found['errorCode']}"
    return found


def test_contracts_and_bars(http: httpx.Client):
    listed = read(http, "Contract/available", live=False)["contracts"]
    mnq = next(contract for contract in listed if contract["symbolId"] == "F.US.MNQ" and contract["activeContract"])
    assert read(http, "Contract/searchById", contractId=mnq["id"])["contract"]["name"] == mnq["name"]
    assert read(http, "Contract/search", searchText="MNQ", live=False)["contracts"]
    now = clock.now()
    window = {"startTime": (now - timedelta(days=5)).isoformat(), "endTime": now.isoformat()}
    asked = {
        "contractId": mnq["id"],
        "live": False,
        "unit": 2,
        "unitNumber": 1,
        "limit": 50,
        "includePartialBar": False,
    }
    assert read(http, "History/retrieveBars", includePartialBar=False, **asked, **window)["bars"]


def test_orders_positions_and_trades(http: httpx.Client, account_id: int):
    since = (clock.now() - timedelta(days=7)).isoformat()
    read(http, "Order/search", accountId=account_id, startTimestamp=since)
    read(http, "Order/searchOpen", accountId=account_id)
    read(http, "Order/v2/query", filter={"accountId": account_id, "statuses": [1, 6, 7, 8]}, includeTotalCount=True)
    read(http, "Position/searchOpen", accountId=account_id)
    read(http, "Trade/search", accountId=account_id, startTimestamp=since)


def test_the_token_is_exchanged(http: httpx.Client):
    assert read(http, "Auth/validate")["newToken"]
