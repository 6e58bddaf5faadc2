"""`manage.py fault`: what is typed reaches the venue, and what the venue says reaches the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from brokers.simulated.faults_http import new_token
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import BUY, LIMIT, Stage


@pytest.fixture
def stage(tmp_path: Path, settings: Any) -> Iterator[Stage]:
    """A venue that listens, with its token where the command looks for it."""
    settings.VENUE_LEDGER = tmp_path / "venue.sqlite3"
    stage = Stage()
    with served(stage, fault_token=new_token(settings.VENUE_LEDGER)) as settings.VENUE_URL:
        yield stage


def fault(*typed: str) -> list[dict[str, Any]]:
    said = call_command("fault", *typed)
    return [] if said == "no faults in force" else [json.loads(line) for line in said.splitlines()]


def test_a_rule_is_listed_and_ended(stage: Stage):
    (rule,) = fault("request", "lost_after", "--call", "place", "--count", "2", "--seed", "7")
    assert (rule["effect"], rule["calls"], rule["count"], rule["seed"], rule["struck"]) == (
        "lost_after",
        ["place"],
        2,
        7,
        0,
    )
    assert fault("list") == [rule]
    assert fault("clear") == []


def test_conditions_are_listed(stage: Stage):
    fault("lag", "10", "--account", str(stage.account_id))
    fault("legless", "--count", "2")
    assert [one["type"] for one in fault("skew", "-5")] == ["lag", "skew", "legless"]
    assert [one["type"] for one in fault("clear", "--account", str(stage.account_id))] == ["skew", "legless"]


def test_switches_are_turned_by_name(stage: Stage):
    assert fault("switch", "pending=2.5", "commissions=false", "form=bare") == [
        {"type": "switch", "values": {"pending": 2.5, "commissions": False}},
        {"type": "hubs", "form": "bare"},
    ]
    with pytest.raises(CommandError, match="unknown switches gravity"):
        fault("switch", "gravity=off")
    with pytest.raises(CommandError, match="write NAME=VALUE"):
        fault("switch", "gravity")
    assert fault("clear") == []


def test_things_happen_at_the_venue(stage: Stage):
    order_id = stage.place(LIMIT, BUY, 2, limit_price=19_990)
    fault("fill", str(order_id), "--quantity", "1")
    fault("foreign", str(stage.account_id), "CON.F.US.MNQ.Z26", "sell", "--size", "3")
    fault("void", str(stage.fills[0].id))
    fault("lock", str(stage.account_id))
    assert [fill.quantity for fill in stage.fills] == [1, 3]
    assert stage.fills[0].voided
    assert stage.position is not None
    assert stage.position.quantity == -3
    assert not stage.venue.account(stage.account_id).can_trade
    fault("unlock", str(stage.account_id))
    assert stage.venue.account(stage.account_id).can_trade


def test_what_cannot_be_is_told_in_one_line(stage: Stage):
    with pytest.raises(CommandError, match="the venue refuses: there is no execution 1"):
        fault("void", "1")
    with pytest.raises(CommandError, match="has no stop entry that works"):
        fault("both", str(stage.account_id))


def test_without_a_venue_it_says_so(tmp_path: Path, settings: Any):
    settings.VENUE_LEDGER = tmp_path / "venue.sqlite3"
    settings.VENUE_URL = "http://127.0.0.1:1"
    with pytest.raises(CommandError, match="no venue of this installation has run"):
        fault("list")
    new_token(settings.VENUE_LEDGER)
    with pytest.raises(CommandError, match="does not answer"):
        fault("list")
