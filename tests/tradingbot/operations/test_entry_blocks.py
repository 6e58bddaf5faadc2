"""Each check that keeps entries back takes back its own reason only; that of a dead stream ends by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from tests.factories import NOW, AccountFactory, LoginFactory
from tradingbot.models import Account, Heartbeat, Login
from tradingbot.operations import entry_blocks, heartbeats, leases, snapshots
from tradingbot.operations.guard import needs
from tradingbot.operations.streaming import state
from tradingbot.tasks import critical

CLOCK = "the machine's clock differs from the venue's by"


@pytest.fixture
def login(db: None) -> Login:
    return LoginFactory()


def blocked() -> str:
    return str(Login.objects.get().entries_blocked)


def test_reasons_stand_beside_each_other_until_each_is_taken_back(login: Login):
    assert entry_blocks.put(login, CLOCK, "-7.2 s")
    state.block_entries(login, "connected, comparing with the venue")
    assert blocked() == f"{CLOCK} -7.2 s; stream: connected, comparing with the venue"
    assert entry_blocks.put(login, CLOCK, "-7.4 s")
    assert blocked() == f"stream: connected, comparing with the venue; {CLOCK} -7.4 s"
    assert not entry_blocks.put(login, CLOCK, "-7.4 s")
    state.allow_entries(login)
    assert blocked() == f"{CLOCK} -7.4 s"
    assert entry_blocks.put(login, CLOCK, "")
    assert blocked() == ""


def test_what_a_person_wrote_stays(login: Login):
    Login.objects.update(entries_blocked="the key was withdrawn")
    state.block_entries(login, "logged out; again")
    assert blocked() == "the key was withdrawn; stream: logged out, again"
    state.allow_entries(login)
    assert blocked() == "the key was withdrawn"


def test_the_block_of_a_killed_stream_ends_when_polling_has_compared_everything(login: Login, broker_queues: None):
    account = AccountFactory(login=login, reconciled_at=snapshots.machine_now())
    leases.take(state.lease(login.pk), seconds=30)
    state.block_entries(login, "connected, comparing with the venue")
    critical.sweep()
    assert blocked() == "stream: connected, comparing with the venue"  # it lives, and may still compare
    leases.give_back(state.lease(login.pk), 1)
    critical.sweep()
    assert blocked() == "stream: connected, comparing with the venue"  # nobody has compared since
    Account.objects.filter(pk=account.pk).update(reconciled_at=snapshots.machine_now())
    critical.sweep()
    assert blocked() == ""


def test_an_account_that_waits_for_itself_does_not_prolong_the_block_of_a_killed_stream(login: Login):
    leases.take(state.lease(login.pk), seconds=30)
    state.block_entries(login, "connected, comparing with the venue")
    leases.give_back(state.lease(login.pk), 1)
    AccountFactory(login=login, reconciled_at=snapshots.machine_now())
    AccountFactory(login=login, reconciled_at=None)
    state.end_orphaned_blocks()
    assert blocked() == ""


def test_the_block_of_a_killed_stream_does_not_hide_a_silent_worker(login: Login):
    heartbeats.beat("beat")
    state.block_entries(login, "connected, comparing with the venue")
    Heartbeat.objects.update(at=Now() - timedelta(seconds=heartbeats.SILENT_AFTER + 1))
    needs.check([login], now=NOW)
    state.allow_entries(login)
    assert blocked() == "missing: beat is silent"
