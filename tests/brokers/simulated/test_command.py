"""`manage.py venue` as a process: what it keeps over a kill, and what it says when it cannot start."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from brokers.simulated.ledger import Ledger, micros
from tradingbot.clock import Clock, parse

ROOT = Path(__file__).resolve().parents[3]
NOON = "2026-11-18T12:00:00-05:00@30x"  # never started: the clock stands there
LIMIT = {
    "accountId": 1001,
    "contractId": "CON.F.US.MNQ.Z26",
    "type": 1,
    "side": 0,
    "size": 1,
    "limitPrice": 10000,
    "customTag": "a",
    "stopLossBracket": {"ticks": -40, "type": 4},
}


def venue(var: Path, *options: str) -> subprocess.Popen[str]:
    environment = os.environ | {"VAR_DIR": str(var), "TRADINGBOT_CLOCK": NOON}
    return subprocess.Popen(
        [sys.executable, "manage.py", "venue", "--port", "0", *options],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@contextmanager
def running(var: Path, *options: str, end: signal.Signals = signal.SIGTERM) -> Iterator[httpx.Client]:
    process = venue(var, *options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"venue at (http://\S+), market time 2026-11-18 17:00:00 UTC", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        with httpx.Client(base_url=found[1], timeout=10) as http:
            yield http
    finally:
        process.send_signal(end)
        process.communicate(timeout=20)


def log_in(http: httpx.Client) -> None:
    token = http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}).json()["token"]
    http.headers["authorization"] = f"Bearer {token}"


def failure(*options: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command("venue", "--port", "0", *options)
    return str(error.value)


def test_what_was_answered_survives_a_kill(tmp_path):
    with running(tmp_path, end=signal.SIGKILL) as http:
        log_in(http)
        order = http.post("/api/Order/place", json=LIMIT).json()["orderId"]
        http.post("/api/Order/place", json=LIMIT | {"type": 2, "customTag": "b", "size": 2})
        token = http.headers["authorization"]
        before = http.get("/_ledger").json()
    with running(tmp_path) as http:
        http.headers["authorization"] = token
        assert http.get("/_ledger").json() | {"journal": 0} == before | {"journal": 0}
        orders = http.post("/api/Order/v2/query", json={"filter": {"accountId": 1001, "statuses": [1, 8]}}).json()[
            "orders"
        ]
        assert [o["customTag"] for o in orders] == ["a", "a-SL", "b-SL"]
        assert orders[0]["id"] == order
        again = http.post("/api/Order/place", json=LIMIT).json()
        assert again["errorMessage"] == "Specified custom tag is already in use"
        assert http.post("/api/Position/searchOpen", json={"accountId": 1001}).json()["positions"][0]["size"] == 2


def test_a_ledger_of_a_later_time_is_refused(tmp_path):
    file = tmp_path / "venue.sqlite3"
    ledger = Ledger(file)
    with ledger.transaction():
        ledger.keep("walked_to", str(micros(datetime(2050, 1, 3, 15, tzinfo=UTC))))
    ledger.close()
    problem = failure("--ledger", str(file))
    assert "ends at 2050-01-03 15:00:00 UTC and the clock says 20" in problem
    assert "--fresh" in problem


def test_a_rehearsal_that_begins_again_has_a_new_ledger(tmp_path, monkeypatch):
    file = tmp_path / "venue.sqlite3"
    for at in ("2026-11-18T16:00:00-05:00", "2026-11-18T09:20:00-05:00"):
        standing = Clock(parse(f"{at}@30x"), tmp_path / "clock.json")
        monkeypatch.setattr("tradingbot.clock.clock", standing)
        monkeypatch.setattr("tradingbot.clock.now", standing.now)
        monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
        call_command("venue", "--port", "0", "--ledger", str(file), stdout=io.StringIO())
        ledger = Ledger(file)
        with ledger.transaction():
            ledger.keep("walked_to", str(micros(standing.now())))
        ledger.close()
    assert file.with_name("venue.sqlite3.bak").exists()


def test_options_reach_the_venue(tmp_path):
    bars = tmp_path / "bars.csv"
    bars.write_text("timestamp,open,high,low,close,volume\n2026-11-18T16:59:00Z,21000,21001,20999,21000.5,10\n")
    ledger = tmp_path / "venue.sqlite3"
    Ledger(ledger).close()
    options = ("--replay", f"mnq={bars}", "--slippage", "3", "--partials", "2", "--user", "me", "--key", "mine")
    options += ("--switch", "bars_order=oldest", "--switch", "commissions=false", "--switch", "bad_token=403")
    options += ("--fresh", "--account", "PRAC-1:150000.50", "--ledger", str(ledger))
    with running(tmp_path, *options) as http:
        assert http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}).json()["errorCode"] == 3
        token = http.post("/api/Auth/loginKey", json={"userName": "me", "apiKey": "mine"}).json()["token"]
        http.headers["authorization"] = f"Bearer {token}"
        (account,) = http.post("/api/Account/search", json={"onlyActiveAccounts": True}).json()["accounts"]
        assert (account["name"], account["balance"]) == ("PRAC-1", 150000.5)
        order = {name: LIMIT[name] for name in ("accountId", "contractId", "side")} | {"type": 2, "size": 3}
        http.post("/api/Order/place", json=order)
        (trade,) = http.post("/api/Trade/search", json={"accountId": 1001}).json()["trades"]
        assert (trade["price"], trade["size"]) == (21001.25, 2)
        assert "commissions" not in trade
        assert http.post("/hubs/user/negotiate", headers={"authorization": "Bearer no"}).status_code == 403
    assert ledger.with_name("venue.sqlite3.bak").exists()


@pytest.mark.parametrize(("options", "words"), [
    (("--replay", "MNQ"), "write SYMBOL=FILE"),
    (("--replay", "MNQ=/nowhere.csv"), "/nowhere.csv: No such file"),
    (("--replay", "XYZ=/nowhere.csv"), "unknown symbol 'XYZ'"),
    (("--forward", "MNQ"), "needs PROJECTX_USERNAME and PROJECTX_API_KEY"),
    (("--segments", "7"), "segments 7"),
    (("--slippage", "-1"), "slippage -1"),
    (("--partials", "0"), "partial 0"),
    (("--switch", "bars_order"), "write NAME=VALUE"),
    (("--switch", "bars_order=random"), "random"),
    (("--switch", "gravity=off"), "unknown switches gravity"),
    (("--port", "99999"), "VENUE_PORT: cannot listen on 127.0.0.1:99999"),
    (("--account", "PRAC"), "write NAME:BALANCE"),
    (("--account", "PRAC:much"), "write NAME:BALANCE"),
])  # fmt: skip
def test_a_wrong_option_is_named(options, words):
    assert words in failure(*options)


def test_an_occupied_port_is_named_with_its_variable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        problem = failure("--port", str(taken.getsockname()[1]))
    assert "set VENUE_PORT to a free one" in problem
