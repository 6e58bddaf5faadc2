from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.report import dump
from tests.brokers.simulated.stage import BUY, MARKET, START, STOP, Stage


def test_a_restarted_venue_goes_on_where_the_ledger_ends(tmp_path):
    """The first venue is dropped without a word, as a kill does; what it walked without a change is walked again."""
    file = tmp_path / "ledger.sqlite3"
    first = Stage(ledger=file)
    entry = first.place(STOP, BUY, 2, stop_price=20010, custom_tag="a", sl=-40, tp=40)
    first.move(20000, 20005)
    second = Stage(ledger=file)
    second.market, second.at = first.market, first.at
    second.venue = Venue(Ledger(file), first.market)
    second.move(20005, 20011)
    assert second.prices == [20010]
    assert [leg.tag for leg in second.legs(entry)] == ["a-SL", "a-TP"]
    assert second.balance == Decimal("49998.78")


def test_a_failure_inside_a_request_leaves_no_trace(monkeypatch):
    stage = Stage()
    before = dump(stage.venue.ledger, stage.at)

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(stage.venue.ledger, "keep", fail)
        with pytest.raises(RuntimeError):
            stage.place(MARKET, BUY, custom_tag="a")
    assert dump(stage.venue.ledger, stage.at) == before
    stage.place(MARKET, BUY, custom_tag="a")


def test_journal_and_executions_cannot_be_changed(tmp_path):
    file = tmp_path / "ledger.sqlite3"
    Stage(ledger=file).place(MARKET, BUY)
    database = sqlite3.connect(file)
    for statement in ("DELETE FROM journal", "UPDATE journal SET data = ''", "DELETE FROM executions"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            database.execute(statement)
    database.close()


def test_the_journal_tells_requests_and_events_with_both_times():
    stage = Stage()
    order = stage.place(MARKET, BUY, custom_tag="a")
    rows = stage.venue.ledger.rows("journal")
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("event", "GatewayUserOrder"),
        ("event", "GatewayUserOrder"),
        ("event", "GatewayUserTrade"),
        ("event", "GatewayUserPosition"),
        ("event", "GatewayUserAccount"),
        ("request", "Order/place"),
    ]
    asked = json.loads(rows[-1]["data"])
    assert (asked["request"]["customTag"], asked["reply"]) == ("a", {"orderId": order})
    assert {row["at"] for row in rows} == {START.isoformat()}
    machine = datetime.fromisoformat(rows[0]["machine_at"])
    assert machine.tzinfo == UTC
    assert machine != START


def test_every_balance_is_kept_with_the_execution_that_made_it():
    stage = Stage()
    stage.place(MARKET, BUY)
    stage.close()
    rows = [(row["balance"], row["execution_id"]) for row in stage.venue.ledger.rows("balances")]
    assert rows == [("50000", None), ("49999.39", stage.fills[0].id), ("49998.78", stage.fills[1].id)]


def test_a_ledger_of_another_version_is_refused(tmp_path):
    file = tmp_path / "ledger.sqlite3"
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(ValueError, match="version 9"):
        Ledger(file)


def test_ids_never_fit_32_bits():
    stage = Stage()
    order = stage.place(MARKET, BUY)
    assert order > 2**31
    assert stage.fills[0].id > 2**31 - 1
