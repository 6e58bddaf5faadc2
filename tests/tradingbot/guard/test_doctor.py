"""What `doctor` says of guard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from tests.factories import AccountFactory
from tradingbot.doctor import running
from tradingbot.models import Heartbeat
from tradingbot.operations import heartbeats
from tradingbot.operations.guard.journal import Journal
from tradingbot.supervisor.instance import single_instance


@pytest.fixture
def run(db: None, settings, tmp_path: Path) -> Iterator[None]:
    """A system that runs, as far as its lock can tell."""
    settings.VAR_DIR = tmp_path
    with single_instance(tmp_path / "run"):
        yield


def test_a_guard_that_watches_is_well(run):
    heartbeats.beat("guard", note="2 account(s) of paper, 1 exposed, 20 requests in the last minute")
    finding = running.guard()
    assert (finding.verdict, finding.sentence[:12]) == ("ok", "2 account(s)")


def test_a_guard_without_a_sign_of_life_is_broken(run):
    assert running.guard().verdict == "ok"  # nothing to watch
    AccountFactory()
    assert running.guard().verdict == "bad"
    heartbeats.beat("guard")
    Heartbeat.objects.update(at=Now() - timedelta(seconds=100))
    finding = running.guard()
    assert (finding.verdict, finding.sentence) == ("bad", "silent for 100 s")


def test_acts_that_wait_to_be_booked_are_named(run, tmp_path: Path):
    journal = Journal(tmp_path / "guard.jsonl")
    account = AccountFactory()
    journal.write(account.pk, "note", "flat, seen twice", at=account.balance_at)
    assert running.guard().verdict == "warn"
    journal.book()
    heartbeats.beat("guard")
    assert running.guard().verdict == "ok"
