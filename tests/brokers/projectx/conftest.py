from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx

from brokers.base import Lane
from brokers.projectx import Call, Gateway, Login, MemoryTokens, ProjectX, Timeouts

URL = "https://venue.test"
USER, KEY, TOKEN = "trader@example.test", "k3y-that-nobody-may-see", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


class Unlimited:
    """A budget that counts and never ends."""

    def __init__(self) -> None:
        self.taken: list[tuple[Lane, bool]] = []

    def take(self, lane: Lane, *, wait: bool) -> None:
        self.taken.append((lane, wait))


class Desk:
    """A broker with everything around it in view."""

    def __init__(self, url: str = URL, timeouts: Timeouts | None = None, **options: object) -> None:
        self.calls: list[Call] = []
        self.budget = Unlimited()
        self.gateway = Gateway(
            url,
            self.budget,
            observe=self.calls.append,
            wall=lambda: 0.0,
            timeouts=timeouts or Timeouts(),
        )
        self.login = Login(self.gateway, USER, KEY)
        self.broker = ProjectX(self.gateway, MemoryTokens(self.login), **options)


def logged_in(token: str = TOKEN) -> httpx.Response:
    return httpx.Response(200, json={"token": token, "success": True, "errorCode": 0, "errorMessage": None})


@pytest.fixture
def venue() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.post("/api/Auth/loginKey").mock(return_value=logged_in())
        yield router


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.broker.disconnect()
