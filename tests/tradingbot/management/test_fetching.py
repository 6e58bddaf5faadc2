"""Bars of past sessions, asked for at the prompt."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from tradingbot.models import BarDay
from tradingbot.operations import contracts


@pytest.fixture
def fetch(stage, monkeypatch):
    monkeypatch.setattr("tradingbot.management.commands.fetch_bars.now", lambda: stage.time.at)
    contracts.refresh(stage.login, now=stage.time.at)

    def run(*typed: str) -> str:
        out = StringIO()
        call_command("fetch_bars", *typed, stdout=out, stderr=StringIO())
        return out.getvalue()

    return run


def test_only_what_is_missing_is_read(fetch):
    first = json.loads(fetch("MNQ", "--sessions", "5", "--json"))
    assert (first["sessions"], BarDay.objects.filter(complete=True).count()) == (5, 4)  # and the open one
    assert first["new"] > 4 * 1_300
    longer = json.loads(fetch("MNQ", "--sessions", "7", "--json"))
    assert longer["sessions"] == 7
    assert longer["new"] == 2 * 1_380
    assert fetch("MNQ", "--sessions", "7").startswith("0 new bar(s); 7 sessions of MNQ are in the cache, 2026-11-")
