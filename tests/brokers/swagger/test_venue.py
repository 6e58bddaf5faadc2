"""The venue answers every documented path as the swagger says, to the field, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import BUY, LIMIT, MNQ, Stage
from tests.brokers.simulated.test_server import BODIES
from tests.brokers.swagger.schema import DEFINITIONS, PATHS, problems_of_answer, problems_of_request

AUTH = {"/api/Auth/loginKey", "/api/Auth/logout", "/api/Auth/validate"}
ODD = st.sampled_from([None, True, 0, -1, 1.5, 2**31, 2**63, "1", "NaN", "", [], {}, "x" * 70, MNQ, 1001, 1, 2, 4, 9])


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A venue with a working order, a bracket on a position, trades and a bar."""
    stage = Stage()
    with served(stage, speed=1000) as url, httpx.Client(base_url=url, timeout=60) as client:
        token = client.post("/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}).json()["token"]
        client.headers["authorization"] = f"Bearer {token}"
        ask(client, "/api/Order/place", size=3, stopLossBracket={"ticks": -40, "type": 4})
        stage.place(LIMIT, BUY, 1, limit_price=19_000, custom_tag="resting")
        stage.bar(20_000, 20_004, 19_999.5, 20_003)
        yield client


def ask(client: httpx.Client, path: str, **more: object) -> dict[str, Any]:
    answer = client.post(path, json=BODIES.get(path, {}) | more)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert isinstance(body, dict)
    return body


def test_every_documented_path_has_an_example():
    assert set(BODIES) | AUTH | {"/api/Status/ping"} == set(PATHS)


@pytest.mark.parametrize("path", sorted(BODIES))
def test_requests_and_answers_have_the_documented_fields_types_and_numbers(http: httpx.Client, path: str):
    assert problems_of_request(path, BODIES[path]) == []
    assert problems_of_answer(path, ask(http, path)) == []


def test_lists_that_are_checked_are_not_empty(http: httpx.Client):
    ask(http, "/api/Order/place", size=3)
    for path, name in (
        ("/api/Order/search", "orders"),
        ("/api/Order/v2/query", "orders"),
        ("/api/Trade/search", "trades"),
    ):
        assert ask(http, path)[name]
    assert ask(http, "/api/Position/searchOpen")["positions"]


def test_logins(http: httpx.Client):
    login = http.post("/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}).json()
    assert problems_of_answer("/api/Auth/loginKey", login) == []
    mine = {"authorization": f"Bearer {login['token']}"}
    for path in ("/api/Auth/validate", "/api/Auth/logout"):
        assert problems_of_answer(path, http.post(path, headers=mine).json()) == []
    assert http.post("/api/Auth/validate", headers=mine).status_code == 401
    assert http.get("/api/Status/ping").text == "pong"


@pytest.mark.parametrize("path", sorted(BODIES))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_it_is_asked_it_answers_as_documented(http: httpx.Client, path: str, data: st.DataObject):
    (operation,) = PATHS[path].values()
    request = DEFINITIONS[operation["parameters"][0]["schema"]["$ref"].rpartition("/")[2]]
    body = BODIES[path] | data.draw(st.dictionaries(st.sampled_from(sorted(request["properties"])), ODD, max_size=3))
    for name in data.draw(st.sets(st.sampled_from(sorted(body)), max_size=1)):
        del body[name]
    answer = http.post(path, json=body)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert problems_of_answer(path, answer.json()) == []
    else:
        assert answer.headers["content-type"] == "application/problem+json"
