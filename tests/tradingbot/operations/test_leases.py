"""A lease is one process's until it gives it back, it runs out, or the process is dead."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import Error, connection

from tradingbot.models import Lease
from tradingbot.operations import leases

pytestmark = pytest.mark.django_db


def held_by(holder: str) -> int:
    fence = leases.take("exit:1", seconds=30)
    assert fence is not None
    Lease.objects.update(holder=holder)
    return fence


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_a_living_process_keeps_it():
    held_by(leases.holder(os.getppid()))
    assert leases.take("exit:1", seconds=30) is None
    with leases.hold("exit:1", seconds=30) as fence:
        assert fence is None


def test_what_a_dead_process_holds_is_taken_at_once_under_a_new_fence(dead: int):
    fence = held_by(leases.holder(dead))
    assert leases.take("exit:1", seconds=30) == fence + 1
    assert not leases.renew("exit:1", fence, seconds=30)
    assert Lease.objects.get().holder == leases.holder(os.getpid())


@pytest.mark.parametrize("where", ["another-host 12345678-1", "", "{host} 12345678-1"])
def test_a_process_elsewhere_counts_as_living(dead: int, where: str):
    """Its id says nothing here: another machine, the machine before its restart, another container."""
    held_by(f"{where.format(host=leases.holder(0).split()[0])}:{dead}")
    assert leases.take("exit:1", seconds=30) is None


def test_where_processes_cannot_be_told_apart_it_has_to_run_out(dead: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leases, "_place", lambda: "")
    held_by(leases.holder(dead))
    assert leases.take("exit:1", seconds=30) is None


def test_what_was_given_back_or_has_run_out_is_free():
    fence = leases.take("exit:1", seconds=30)
    assert fence is not None
    leases.give_back("exit:1", fence)
    assert leases.take("exit:1", seconds=0) == fence + 1
    assert leases.take("exit:1", seconds=30) == fence + 2


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_given_back_while_postgresql_was_away_is_given_back_afterwards():
    with pytest.raises(Error), leases.hold("exit:1", seconds=30):
        connection.cursor().connection.close()
    connection.close()
    with leases.hold("snapshot:1", seconds=30):  # the next lease of this process, whichever
        assert Lease.objects.filter(name="exit:1").get().fence == 1
        Lease.objects.filter(name="exit:1").update(holder=leases.holder(os.getppid()))
        assert leases.take("exit:1", seconds=30) == 2
