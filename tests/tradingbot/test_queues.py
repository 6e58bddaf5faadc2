from __future__ import annotations

import json
import time
from threading import Thread

import pytest
from celery import Celery

from tradingbot import deadlines, queues
from tradingbot.queues import LIMITS, SHED_ABOVE, hint, redis, waiting
from tradingbot.tasks import background, critical, high, low, normal

pytestmark = pytest.mark.usefixtures("broker_queues")

CANARIES = {
    "critical": critical.canary,
    "high": high.canary,
    "normal": normal.canary,
    "low": low.canary,
    "background": background.canary,
}


@pytest.fixture(autouse=True)
def count_anew(monkeypatch):
    monkeypatch.setattr(queues, "_waiting", queues._Waiting())


def fill(number: int) -> None:
    """Let `number` messages wait."""
    redis().rpush("low", *["{}"] * number)


def messages(queue: str) -> list[dict]:
    return [json.loads(message) for message in redis().lrange(queue, 0, -1)]


@pytest.mark.parametrize("queue", CANARIES)
def test_a_task_goes_to_the_queue_of_its_module_with_its_limits(queue):
    task = CANARIES[queue]
    task.apply_async()
    assert waiting() == dict.fromkeys(LIMITS, 0) | {queue: 1}
    assert (task.soft_time_limit, task.time_limit) == LIMITS[queue]


@pytest.mark.parametrize(
    ("number", "taken"),
    [
        (1000, {"critical", "high", "normal", "low", "background"}),
        (1001, {"critical", "high", "normal", "low"}),
        (1201, {"critical", "high", "normal"}),
        (1401, {"critical", "high"}),
        (20_000, {"critical", "high"}),
    ],
)
def test_when_too_much_waits_the_lower_queues_take_no_more(number, taken, monkeypatch):
    sent = set()
    for queue, task in CANARIES.items():
        redis().flushdb()
        fill(number)
        monkeypatch.setattr(queues, "_waiting", queues._Waiting())
        if task.apply_async() is not None:
            sent.add(queue)
    assert sent == taken


def test_the_bound_holds_for_many_publishers_at_once():
    def publish() -> None:
        for _ in range(100):
            background.canary.apply_async()

    threads = [Thread(target=publish) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Counted at most every 100 ms, so it overshoots by what 100 ms can publish, and no further: 2,000 were tried.
    assert SHED_ABOVE["background"] < sum(waiting().values()) < 2000


def test_the_bound_is_asked_again_after_a_tenth_of_a_second(monkeypatch):
    counter = queues._Waiting()
    assert counter.count() == 0
    fill(5)
    assert counter.count() == 0
    counter._counted_at -= 0.1
    assert counter.count() == 5


class TestHint:
    def test_the_same_hint_waits_once(self):
        assert [hint(critical.send_order, order_id=number) for number in (7, 7, 8)] == [True, False, True]
        assert [message["headers"]["kwargsrepr"] for message in messages("critical")] == [
            "{'order_id': 8}",
            "{'order_id': 7}",
        ]

    def test_once_it_is_worked_on_the_next_one_passes(self):
        hint(critical.send_order, order_id=7)
        critical.send_order.before_start("id", [], {"order_id": 7})
        assert hint(critical.send_order, order_id=7)

    def test_a_hint_that_nobody_took_blocks_no_longer_than_it_lives(self):
        hint(critical.send_order, expires=30, order_id=7)
        assert 29_000 < redis().pttl("hint:tradingbot.tasks.critical.send_order:order_id=7") <= 30_000
        (message,) = messages("critical")
        assert message["headers"]["expires"]

    def test_without_redis_nothing_is_raised(self, settings):
        settings.REDIS_URL = "redis://127.0.0.1:1/0"  # where nobody listens
        lost = Celery("lost", broker=settings.REDIS_URL, task_cls=queues.Task, set_as_current=False)
        lost.conf.task_publish_retry = False

        @lost.task(name="tradingbot.tasks.low.lost")
        def task(*, order_id: int) -> None:
            raise AssertionError(f"{order_id} cannot have been published")

        redis.cache_clear()
        try:
            assert not hint(task, order_id=7)
            assert queues._waiting.count() == 0
        finally:
            redis.cache_clear()


class TestDeadline:
    def test_no_mutation_begins_with_less_than_thirteen_seconds_to_the_soft_limit(self, monkeypatch):
        started = time.monotonic()
        critical.sweep.before_start("id", [], {})
        assert deadlines.may_mutate()
        assert deadlines.give_up_at() == pytest.approx(started + 25 - 13, abs=0.5)
        monkeypatch.setattr(deadlines.running, "started", started - 12.1)
        assert not deadlines.may_mutate()
        critical.sweep.after_return("SUCCESS", None, "id", [], {}, None)
        assert deadlines.give_up_at() is None

    def test_background_work_has_no_limit(self):
        background.clean_up.before_start("id", [], {})
        assert deadlines.may_mutate()
