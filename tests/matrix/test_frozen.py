"""A worker that stands still, whole or in one of its children, works again within two minutes."""

from __future__ import annotations

import time

import psutil
import pytest
from rich.table import Table

from tests.matrix.site import Site, wait

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(400)]

BACK_WITHIN = 120.0


def test_a_frozen_worker_is_replaced(site: Site, table: Table) -> None:
    site.works_again(60)
    leader = wait(site.leader, "the worker", 60)
    leader.suspend()
    frozen_at = time.monotonic()
    wait(lambda: not leader.is_running(), "the end of the frozen worker", BACK_WITHIN)
    wait(lambda: (new := site.leader()) and new.pid != leader.pid, "a new worker", BACK_WITHIN)
    seconds = time.monotonic() - frozen_at
    site.works_again(60)
    table.add_row("worker frozen (SIGSTOP)", "restarted", f"{seconds:.0f}", "", "")
    assert seconds <= BACK_WITHIN


def test_a_frozen_child_is_replaced_and_its_worker_goes_on(site: Site, table: Table) -> None:
    site.works_again(60)
    leader = wait(site.leader, "the worker", 60)
    frozen, *_ = wait(site.children, "the worker's children", 60)
    frozen.suspend()
    frozen_at = time.monotonic()
    for _ in range(10):  # the other child works on
        site.works_again(30)
    wait(lambda: not frozen.is_running(), "the end of the frozen child", BACK_WITHIN)
    wait(lambda: len(site.children()) == 2, "a new child", BACK_WITHIN)
    seconds = time.monotonic() - frozen_at
    table.add_row("one of its children frozen", "child replaced", f"{seconds:.0f}", "", "")
    assert seconds <= BACK_WITHIN
    assert wait(site.leader, "the worker", 60).pid == leader.pid


def test_a_killed_worker_leaves_no_child_and_is_replaced(site: Site, table: Table) -> None:
    site.works_again(60)
    leader, children = wait(site.leader, "the worker", 60), site.children()
    leader.kill()
    killed_at = time.monotonic()
    wait(lambda: (new := site.leader()) and new.pid != leader.pid, "a new worker", 60)
    site.works_again(60)
    table.add_row("worker killed", "restarted", f"{time.monotonic() - killed_at:.0f}", "", "")
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
