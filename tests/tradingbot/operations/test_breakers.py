"""A venue that fails again and again is left alone by reads and entries, and never by what lessens risk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from brokers.base import Broker, CircuitOpen, Lane, OutcomeUnknown, PlaceOrder, ReadFailed, Refused
from market.orders import OrderType, Side
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import MNQ, Stage
from tests.factories import NOW, AccountFactory, LoginFactory
from tests.tradingbot.browsing import words
from tradingbot.models import Login, Notification
from tradingbot.operations import breakers, budgets, metrics, venues

pytestmark = pytest.mark.usefixtures("broker_queues")

TOKEN = "token of the tests"


@dataclass
class Scene:
    """A login whose venue is behind a socket and goes wrong on demand, with two processes' clients of it."""

    stage: Stage
    login: Login
    url: str
    clients: list[Broker]

    def fault(self, effect: str | None, *calls: str) -> None:
        with httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60) as http:
            http.delete("/_faults").raise_for_status()
            if effect:
                rule = {"type": "rule", "effect": effect, "calls": calls, "count": None}
                http.post("/_faults", json=rule).raise_for_status()

    def read(self, client: int = 0, lane: Lane = Lane.RECONCILE) -> str:
        """Read the positions; returns what came of it in one word."""
        try:
            self.clients[client].positions(self.stage.account_id, lane=lane)
        except CircuitOpen:
            return "waits"
        except ReadFailed:
            return "failed"
        finally:
            assert metrics.settle(10)
        return "answered"

    def place(self, client: int = 0) -> None:
        order = PlaceOrder(self.stage.account_id, MNQ, f"t-{time.monotonic_ns()}", Side.BUY, OrderType.MARKET, 1)
        self.clients[client].place(order)

    def state(self) -> breakers.State | None:
        return breakers.state(self.login)

    def becomes(self, state: breakers.State) -> None:
        soon(lambda: self.state() is state, f"{state}")


def soon(look: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    give_up = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < give_up, f"{what} did not come"
        time.sleep(0.02)


@pytest.fixture
def scene(db, monkeypatch) -> Iterator[Scene]:
    monkeypatch.setattr("tradingbot.clock.clock.anchor", None)
    monkeypatch.setattr(breakers, "FIRST", 1.0)
    monkeypatch.setattr(breakers, "_LOOK", 0.0)
    budgets.of.cache_clear()
    stage = Stage()
    with served(stage, fault_token=TOKEN) as url:
        login = LoginFactory(base_url=url)
        clients = [venues._client(login), venues._client(login)]
        yield Scene(stage, login, url, clients)
        for client in clients:
            client.disconnect()
    metrics.settle()
    budgets.of.cache_clear()


def test_five_failures_of_whichever_process_open_it_and_one_answer_closes_it(scene: Scene):
    scene.fault("error_before", "positions")
    assert [scene.read(number % 2) for number in range(4)] == ["failed"] * 4
    assert scene.state() is breakers.State.CLOSED
    assert scene.read() == "failed"
    assert scene.state() is breakers.State.OPEN
    assert [scene.read(0), scene.read(1)] == ["waits", "waits"]
    scene.becomes(breakers.State.HALF_OPEN)
    assert scene.read(1) == "failed"  # the trial
    assert scene.state() is breakers.State.OPEN
    scene.fault(None)
    scene.becomes(breakers.State.HALF_OPEN)
    assert scene.read() == "answered"
    assert scene.state() is breakers.State.CLOSED
    assert scene.read(1) == "answered"


def test_while_it_is_half_open_one_process_tries_at_a_time(scene: Scene):
    scene.fault("error_before", "positions")
    for _ in range(5):
        scene.read()
    scene.becomes(breakers.State.HALF_OPEN)
    first, second = scene.login.pk, breakers.SharedBreaker(scene.login.pk)
    breakers.SharedBreaker(first).check(Lane.RECONCILE)
    with pytest.raises(CircuitOpen, match="another request finds out"):
        second.check(Lane.RECONCILE)


def test_what_lessens_risk_is_sent_whatever_it_says(scene: Scene):
    scene.place()  # something to close
    scene.fault("error_before", "positions", "close", "cancel")
    while scene.read() != "waits":
        pass
    for lane in (Lane.CANCEL, Lane.STOP, Lane.RESOLVE):
        assert scene.read(lane=lane) == "failed"
    with pytest.raises(OutcomeUnknown):
        scene.clients[0].close(scene.stage.account_id, MNQ)
    with pytest.raises(OutcomeUnknown):
        scene.clients[0].cancel(scene.stage.account_id, 1)
    with pytest.raises(CircuitOpen):
        scene.place()
    scene.fault(None)
    scene.clients[0].close(scene.stage.account_id, MNQ)
    assert scene.stage.position is None or not scene.stage.position.quantity


def test_a_refusal_is_an_answer(scene: Scene):
    for _ in range(6):
        with pytest.raises(Refused):
            scene.clients[0].cancel(scene.stage.account_id, 999_999)
    assert metrics.settle(10)
    assert scene.state() is breakers.State.CLOSED


def test_entries_are_blocked_with_a_reason_told_once_and_leave_again(scene: Scene, panel, monkeypatch):
    for pause in ("FIRST", "LONGEST"):
        monkeypatch.setattr(breakers, pause, 60.0)
    AccountFactory(login=scene.login)
    scene.fault("lost_before", "positions")
    while scene.read() != "waits":
        pass
    for _ in range(2):
        breakers.sync(now=NOW)
    blocked = Login.objects.get(pk=scene.login.pk).entries_blocked
    assert blocked == "venue: it has failed several times in a row, entries wait until it answers"
    assert "Open: the venue fails, reads and entries wait" in words(panel.get("/admin/budgets/"))
    assert b'tradingbot_circuit_open{login="paper"} 1.0' in panel.get("/metrics").content
    scene.fault(None)
    assert scene.read(lane=Lane.RESOLVE) == "answered"  # whoever brings an answer closes it
    breakers.sync(now=NOW)
    assert Login.objects.get(pk=scene.login.pk).entries_blocked == ""
    assert list(Notification.objects.order_by("pk").values_list("title", flat=True)) == [
        "paper: the venue does not answer",
        "paper: the venue answers again",
    ]
    assert "Closed: the venue answers" in words(panel.get("/admin/budgets/"))
