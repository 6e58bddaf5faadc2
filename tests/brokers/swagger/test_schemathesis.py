"""schemathesis on the venue: what it makes of the swagger is answered as documented, and never with HTTP 500."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import Stage
from tests.brokers.swagger.schema import with_nulls

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: make lock, make test")
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance  # noqa: E402

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(with_nulls())


@pytest.fixture(scope="module")
def venue() -> Iterator[tuple[str, dict[str, str]]]:
    stage = Stage()
    with served(stage, speed=10_000) as url:
        login = httpx.post(f"{url}/api/Auth/loginKey", json={"userName": "a", "apiKey": "b"}, timeout=60).json()
        yield url, {"Authorization": f"Bearer {login['token']}"}


@SCHEMA.exclude(path="/api/Auth/logout").parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_whatever_the_swagger_allows(case: schemathesis.Case, venue: tuple[str, dict[str, str]]):
    url, headers = venue
    case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)
