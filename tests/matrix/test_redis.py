"""What happens to Redis happens to the worker: afterwards it works, by itself or restarted, and nothing ran twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from rich.table import Table

from tests.matrix.site import Site, rest, wait

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(400)]

LOST_AFTER = 45.0  # a hint that has not been started by then is lost; the next tick would bring another
BACK_WITHIN = 150.0  # machine seconds: 120 until the supervisor has restarted it, and the start


def stop(site: Site) -> list[int]:
    with site.stopped(6):
        return []


def stop_with_a_task_in_flight(site: Site) -> list[int]:
    number = site.publish(seconds=10)
    wait(lambda: site.starts(number), "the task's start", 30)
    with site.stopped(6):
        return [number]


def stop_with_a_countdown_waiting(site: Site) -> list[int]:
    number = site.publish(countdown=15)
    rest(2)  # a worker holds it now, unacknowledged
    with site.stopped(6):
        return [number]


def stop_under_load(site: Site) -> list[int]:
    numbers = [site.publish(seconds=0.2) for _ in range(40)]
    with site.stopped(6):
        return numbers


def cut(site: Site) -> list[int]:
    numbers = [site.publish(seconds=2)]
    wait(lambda: site.starts(numbers[0]), "the task's start", 30)
    assert site.cut() > 0
    return numbers


def freeze_40(site: Site) -> list[int]:
    site.freeze(40)
    return []


def freeze_125(site: Site) -> list[int]:
    site.freeze(125)
    return []


SCENARIOS: list[tuple[str, Callable[[Site], list[int]]]] = [
    *((f"Redis stopped 6 s ({n})", stop) for n in (1, 2, 3)),
    ("stopped 6 s, a task in flight", stop_with_a_task_in_flight),
    ("stopped 6 s, a countdown waiting", stop_with_a_countdown_waiting),
    ("stopped 6 s, 40 tasks waiting", stop_under_load),
    *((f"CLIENT KILL ({n})", cut) for n in (1, 2, 3)),
    ("frozen 40 s", freeze_40),
    ("frozen 125 s", freeze_125),
]


@pytest.mark.parametrize(("name", "befall"), SCENARIOS, ids=[name for name, _ in SCENARIOS])
def test_the_worker_works_again_and_nothing_ran_twice(site: Site, table: Table, name: str, befall: Callable) -> None:
    before = wait(site.leader, "the worker", 60)
    site.works_again(60)
    numbers = befall(site)
    seconds = site.works_again(BACK_WITHIN)
    left_until = time.monotonic() + LOST_AFTER
    while set(numbers) - set(site.starts(1)) and time.monotonic() < left_until:
        rest(1.0)
    for number in set(numbers) & set(site.starts(1)):
        wait(lambda number=number: site.ended(number), f"the end of probe {number}", 60)
    after = wait(site.leader, "the worker", 60)
    started = site.starts(1)
    twice = sorted({number for number in started if started.count(number) > 1})
    lost = sorted(set(numbers) - set(started))
    restarted = "restarted" if after.pid != before.pid else "by itself"
    table.add_row(name, restarted, f"{seconds:.0f}", str(len(twice)), str(len(lost)))
    assert twice == []
