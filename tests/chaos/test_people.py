"""Web or a command dies while a person asks for something; who asks again gets it, once."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.chaos.life import OPEN, Life, judge
from tests.chaos.system import System, wait

pytestmark = pytest.mark.chaos


class Web:
    """The REST API of a scenario; `dies_at` names the fault point of its first life."""

    def __init__(self, run: System, dies_at: str) -> None:
        self.run = run
        self._port = run.machine.port()
        self._token = run.act("token")
        self._start(f"{dies_at}=kill")

    def again(self) -> None:
        """Start it anew, as the supervisor does."""
        self._start("")

    def post(self, path: str, key: str = "", **body: object) -> int | None:
        """Return the status, None when nobody answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/v1/{path}/",
            data=json.dumps(body).encode(),
            headers={
                "authorization": f"Token {self._token}",
                "content-type": "application/json",
                "idempotency-key": key,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except (urllib.error.URLError, OSError):
            return None

    def _start(self, faults: str) -> None:
        self.run.start(
            "web", "--port", str(self._port), module="tradingbot.processes.web", env={"TRADINGBOT_FAULTS": faults}
        )
        wait(lambda: self.post("orders") is not None, "web", 60)


@pytest.fixture
def all_up(run: System) -> System:
    run.beat()
    run.worker()
    run.guard()
    return run


@pytest.mark.parametrize("point", ["place.before_intent", "place.after_intent"])
def test_web_dies_at_an_order_and_the_client_asks_again(run: System, point: str):
    run.act("look")
    web = Web(run, point)
    price = run.act("price")
    order: dict[str, object] = {
        "symbol": "MNQ",
        "side": "buy",
        "quantity": 1,
        "type": "stop",
        "price": str(price + 100),
        "stop_loss": str(price),
    }
    assert web.post("orders", "once", **order) is None  # it died
    web.again()
    wait(lambda: web.post("orders", "once", **order) in (200, 201), "the second answer", 30)
    assert web.post("orders", "once", **order) in (200, 201)
    run.worker()
    run.beat()
    run.guard()
    life = Life(run)
    life.sent()
    life.flat()
    life.settled()
    judge(run, f"web kill {point}, asked again")
    assert run.one("SELECT count(*) FROM tradingbot_order WHERE role = 'entry'") == 1
    assert run.struck() == [f"{point}.kill"]


@pytest.mark.parametrize("point", ["cancel.before_request", "cancel.after_request"])
def test_web_dies_at_a_cancel_and_the_client_asks_again(all_up: System, point: str):
    life = Life(all_up)
    life.begin()
    life.sent()
    web = Web(all_up, point)
    assert web.post(f"orders/{life.ids[0]}/cancel") is None
    web.again()
    assert web.post(f"orders/{life.ids[0]}/cancel") in (202, 409)  # 409: it is being cancelled, or is
    wait(lambda: len(life.entries_working()) == 1, "the cancel", 60)
    life.flat()
    life.settled()
    judge(all_up, f"web kill {point}, asked again")
    assert all_up.struck() == [f"{point}.kill"]


@pytest.mark.parametrize("point", ["flatten.before_request", "flatten.after_request"])
def test_web_dies_at_the_emergency_stop_and_the_client_asks_again(all_up: System, point: str):
    life = Life(all_up)
    life.begin()
    life.sent()
    life.fill()
    life.booked()
    web = Web(all_up, point)
    assert web.post("emergency-stop", confirm="flatten all") is None
    web.again()
    assert web.post("emergency-stop", confirm="flatten all") == 202
    life.flattened()
    life.settled()
    judge(all_up, f"web kill {point}, asked again")
    assert all_up.struck() == [f"{point}.kill"]


@pytest.mark.parametrize("point", ["modify.before_request", "modify.after_request"])
def test_a_command_dies_at_a_modify(all_up: System, point: str):
    """What was committed is done by a worker, what was not is asked for again."""
    life = Life(all_up)
    life.begin()
    life.sent()
    life.fill()
    life.booked()
    working = "SELECT id, stop_price FROM tradingbot_order WHERE role = 'stop' AND status = 'working'"
    (stop,) = all_up.wait(lambda: all_up.rows(working), "a working stop")
    price = stop["stop_price"] + 1
    arguments = ("modify", str(stop["id"]), "--price", f"{price:f}")
    all_up.start("command", *arguments, env={"TRADINGBOT_FAULTS": f"{point}=kill"})
    all_up.wait(all_up.struck, "the kill", 60)
    if point == "modify.before_request":
        all_up.start("command again", *arguments)
    moved = f"SELECT 1 FROM orders WHERE status = {OPEN} AND stop = {int(price * 4)}"
    all_up.wait(lambda: all_up.ledger(moved), "the stop at its new price")
    life.flat()
    life.settled()
    judge(all_up, f"command kill {point}")
    assert all_up.struck() == [f"{point}.kill"]
