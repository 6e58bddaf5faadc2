from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.db.models import F

from tradingbot.models import Heartbeat
from tradingbot.operations import heartbeats

pytestmark = pytest.mark.django_db


def make_older(name: str, seconds: float) -> None:
    Heartbeat.objects.filter(name=name).update(at=F("at") - timedelta(seconds=seconds))


def test_who_never_spoke_or_not_for_ninety_seconds_is_silent():
    for name in ("beat", "worker-high"):
        heartbeats.beat(name)
    make_older("worker-high", 91)
    assert heartbeats.silent(["beat", "worker-high", "stream"]) == {"worker-high", "stream"}
    assert heartbeats.silent(["worker-high"], seconds=120) == set()


def test_speaking_again_keeps_one_row_and_the_newest_time():
    heartbeats.beat("beat", note="first")
    make_older("beat", 500)
    heartbeats.beat("beat", note="second")
    (sign,) = heartbeats.overview()
    assert (sign.name, sign.note, sign.pid, sign.alive) == ("beat", "second", os.getpid(), True)
    assert sign.age < 60
