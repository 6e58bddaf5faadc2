"""Entries are refused while something that looks after them is silent; it is told, and it ends by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from tests.factories import NOW, LoginFactory
from tradingbot.models import Heartbeat, Login, Notification
from tradingbot.operations import heartbeats
from tradingbot.operations.guard import needs


@pytest.fixture
def login(db: None) -> Login:
    for name in (*needs.PROCESSES, "worker-low"):
        heartbeats.beat(name)
    return LoginFactory()


def silence(name: str) -> None:
    Heartbeat.objects.filter(name=name).update(at=Now() - timedelta(seconds=heartbeats.SILENT_AFTER + 1))


def blocked() -> str:
    return str(Login.objects.get().entries_blocked)


def titles() -> list[str]:
    return list(Notification.objects.order_by("pk").values_list("title", flat=True))


def test_a_silent_worker_blocks_entries_until_it_is_back(login: Login):
    assert needs.check([login], now=NOW) == ""
    silence("worker-critical")
    assert needs.check(Login.objects.all(), now=NOW) == blocked() == "missing: worker-critical is silent"
    needs.check(Login.objects.all(), now=NOW)
    assert titles() == ["paper: entries are refused"]
    heartbeats.beat("worker-critical")
    needs.check(Login.objects.all(), now=NOW)
    assert (blocked(), titles()[1:]) == ("", ["paper: entries may leave again"])


def test_what_entries_do_not_need_blocks_nothing(login: Login):
    silence("worker-low")
    Heartbeat.objects.filter(name="beat").delete()  # never started here
    assert needs.check([login], now=NOW) == blocked() == ""


def test_a_block_of_someone_else_stays(login: Login):
    Login.objects.update(entries_blocked="the key was withdrawn")
    silence("beat")
    needs.check(Login.objects.all(), now=NOW)
    assert blocked() == "the key was withdrawn; missing: beat is silent"
    heartbeats.beat("beat")
    needs.check(Login.objects.all(), now=NOW)
    assert (blocked(), titles()) == ("the key was withdrawn", ["paper: entries are refused"] * 2)
