"""The token in the login's row: exchanged in the daily break, one login for all processes, readable by nobody."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.db.models.functions import Now

from brokers.base import LoginFailed
from brokers.projectx import Call, Gateway, Timeouts
from brokers.projectx import Login as KeyLogin
from brokers.simulated.tokens import Credentials
from tests.brokers.projectx.conftest import Unlimited
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import Stage
from tests.factories import LoginFactory, calendar_days
from tradingbot.clock import Anchor, clock
from tradingbot.models import Login
from tradingbot.operations import venues

pytestmark = pytest.mark.django_db(transaction=True)

NEW_YORK = timedelta(hours=5)
OPEN = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
IN_BREAK = datetime(2026, 11, 18, 17, 30, tzinfo=UTC) + NEW_YORK


@dataclass
class Scene:
    """A login at a venue behind a socket, with what was asked of it."""

    login: Login
    url: str
    calls: list[Call] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)

    def process(self, key: str = "right") -> venues.StoredTokens:
        """Return the tokens as another process sees them."""
        gateway = Gateway(
            self.url, Unlimited(), observe=self.calls.append, wall=lambda: 0.0, timeouts=Timeouts(login=60, total=60)
        )
        self.gateways.append(gateway)
        return venues.StoredTokens(self.login.pk, KeyLogin(gateway, "trader", key))

    def age(self, **duration: float) -> None:
        Login.objects.filter(pk=self.login.pk).update(token_renewed_at=Now() - timedelta(**duration))

    def asked(self) -> Counter[str]:
        return Counter(call.endpoint.rpartition("/")[2] for call in self.calls)


@pytest.fixture
def scene() -> Iterator[Scene]:
    calendar_days()
    with served(Stage(), credentials=Credentials("trader", "right")) as url:
        scene = Scene(LoginFactory(base_url=url, user_name="trader"), url)
        yield scene
        for gateway in scene.gateways:
            gateway.disconnect()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[datetime], None]:
    """Let market time stand."""

    def stand(moment: datetime) -> None:
        monkeypatch.setattr(clock, "anchor", Anchor(moment, 1.0))
        monkeypatch.setattr(clock, "_origin", None)
        monkeypatch.setattr(clock, "_file", tmp_path / "clock.json")

    return stand


@pytest.mark.parametrize(
    ("moment", "age", "asked"),
    [
        (OPEN, timedelta(hours=3), {}),
        (OPEN, timedelta(hours=23), {}),
        (OPEN, timedelta(hours=23, minutes=31), {"validate": 1}),
        (IN_BREAK, timedelta(hours=1), {}),
        (IN_BREAK, timedelta(hours=3), {"validate": 1}),
        (IN_BREAK - timedelta(minutes=20), timedelta(hours=23), {}),  # ten minutes into the break
        (OPEN, timedelta(hours=25), {}),  # useless: whoever needs one logs in
    ],
)
def test_a_token_is_exchanged_in_the_break_or_before_it_expires(scene: Scene, at, moment, age, asked):
    first = scene.process().renew(None)
    scene.calls.clear()
    scene.age(seconds=age.total_seconds())
    at(moment)
    other = scene.process()
    got = other.get()
    assert scene.asked() == asked
    assert (got is None) == (age >= timedelta(hours=24))
    assert got is None or (got != first) == bool(asked)
    assert scene.process().get() == (got or None)
    assert scene.asked() == asked  # the others take it from the row


def test_eight_processes_whose_token_was_refused_log_in_once(scene: Scene):
    stale = scene.process().renew(None)
    scene.calls.clear()

    def renew(number: int) -> str:
        try:
            return scene.process().renew(stale)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        fresh = set(pool.map(renew, range(8)))
    assert len(fresh) == 1
    assert stale not in fresh
    assert scene.asked() == {"loginKey": 1}


def test_neither_key_nor_token_can_be_read_in_the_row_the_errors_or_the_log(scene: Scene, caplog):
    caplog.set_level(logging.DEBUG)
    token = scene.process().renew(None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(login)::text FROM tradingbot_login login")
        row = cursor.fetchone()[0]
    with pytest.raises(LoginFailed) as refused:
        scene.process(key="k3y-that-nobody-may-see").renew(token)
    told = row + repr(refused.value) + caplog.text + repr(scene.calls) + repr(Login.objects.get().__dict__["_state"])
    assert token not in told
    assert token.split(".")[1] not in told
    assert "k3y-that-nobody-may-see" not in told
