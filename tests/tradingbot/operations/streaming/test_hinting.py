"""Hints from the stream: the way to the queues is open before the first one is given."""

from __future__ import annotations

import time

import pytest
from kombu import pools

from tradingbot.celery_app import app
from tradingbot.operations.streaming.hinting import Hinter
from tradingbot.queues import redis

pytestmark = pytest.mark.usefixtures("broker_queues")


def test_the_queues_are_there_before_the_first_hint():
    pools.reset()
    app._after_fork()  # as in a process that has published nothing
    hinter = Hinter()
    hinter.start()
    hinter.stop()
    assert redis().exists("_kombu.binding.critical", "_kombu.binding.background") == 2
    assert hinter.published == redis().llen("critical") == 0


def test_the_same_hint_is_published_once_in_a_quarter_of_a_second():
    hinter = Hinter()
    hinter.start()
    for account_id in (1, 1, 1, 2):
        hinter.give("critical.check_fills", caused_at=time.monotonic(), account_id=account_id)
    hinter.stop()
    assert hinter.published == redis().llen("critical") == len(hinter.seconds)
    assert 2 <= hinter.published <= 3  # what waits when it ends is published at once
