"""The shared rate budget: lanes, the window, waiting, and a Redis that goes away."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import uuid
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from brokers import budget
from brokers.base import Lane, NotSent, OverBudget
from brokers.budget import Budget, LocalBudget, SharedBudget
from brokers.simulated.throttle import Throttle

wall = time.time  # noqa: TID251  the clock that processes share
URL: str = settings.REDIS_URL


class Clock:
    """Seconds that pass only by waiting."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def local(amount: int, clock: Clock, **options: float) -> LocalBudget:
    return LocalBudget(amount, clock=clock, sleep=clock.sleep, **options)


def shared(login: str | None = None, **options: object) -> SharedBudget:
    return SharedBudget(URL, login or f"test-{uuid.uuid4()}", wall=wall, **options)


def take_all(spent: Budget, lane: Lane) -> int:
    """Return how many requests `lane` may still send."""
    count = 0
    try:
        while count < 10_000:
            spent.take(lane, wait=False)
            count += 1
    except OverBudget:
        pass
    return count


# of 160: 75 % for reconcile, 80 % for place and so on; each lane takes what the one below it had to leave
LADDER = {Lane.RECONCILE: 120, Lane.PLACE: 128, Lane.RESOLVE: 136, Lane.STOP: 144, Lane.CANCEL: 160}


@pytest.mark.parametrize("where", ["local", "shared"])
def test_each_lane_leaves_a_reserve_to_those_before_it(where: str):
    spent = shared() if where == "shared" else local(160, Clock())
    taken = 0
    for lane, until in LADDER.items():
        taken += take_all(spent, lane)
        assert taken == until
    for lane in Lane:
        assert take_all(spent, lane) == 0


@pytest.mark.parametrize("where", ["local", "shared"])
def test_bars_have_their_own_window_besides(where: str):
    spent = shared() if where == "shared" else local(160, Clock())
    assert take_all(spent, Lane.BARS) == 30
    assert take_all(spent, Lane.RECONCILE) == 90


@pytest.mark.parametrize("where", ["local", "shared"])
def test_a_request_for_bars_that_finds_no_room_counts_nowhere(where: str):
    spent = shared() if where == "shared" else local(160, Clock())
    for _ in range(96):
        spent.take(Lane.RECONCILE, wait=False)
    assert take_all(spent, Lane.BARS) == 0
    assert isinstance(spent, LocalBudget) or spent.usage().bars == 0
    assert take_all(spent, Lane.CANCEL) == 64


@pytest.mark.parametrize("where", ["local", "shared"])
def test_the_speed_of_the_clock_multiplies_the_budget(where: str):
    spent = shared(speed=3.0) if where == "shared" else local(160, Clock(), speed=3.0)
    assert take_all(spent, Lane.BARS) == 90
    assert take_all(spent, Lane.RECONCILE) == 270
    assert take_all(spent, Lane.CANCEL) == 120


def test_a_mutation_over_budget_fails_at_once_and_says_when_it_may_come_back():
    clock = Clock()
    spent = local(10, clock)
    assert take_all(spent, Lane.PLACE) == 8
    clock.now += 20
    with pytest.raises(OverBudget) as caught:
        spent.take(Lane.PLACE, wait=False)
    assert (caught.value.retry_after, clock.slept) == (42.0, [])
    assert isinstance(caught.value, NotSent)
    clock.now += 42
    spent.take(Lane.PLACE, wait=False)


def test_a_read_waits_for_its_turn_but_not_for_ever():
    clock = Clock()
    spent = local(10, clock)
    take_all(spent, Lane.RECONCILE)
    with pytest.raises(OverBudget) as caught:
        spent.take(Lane.RECONCILE, wait=True)
    assert (caught.value.retry_after, clock.slept) == (62.0, [])  # longer than its patience: it does not even begin
    clock.now += 60.5
    spent.take(Lane.RECONCILE, wait=True)
    assert clock.slept == [1.5]


def test_bars_wait_a_whole_window():
    clock = Clock()
    spent = local(160, clock)
    for _ in range(95):
        spent.take(Lane.BARS, wait=True)
    assert clock.slept == [32.0, 32.0, 32.0]


@examples(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Lane), st.floats(0, 20)), max_size=120))
def test_no_window_ever_holds_more_than_the_amount(events: list[tuple[Lane, float]]):
    clock = Clock()
    spent = local(12, clock)
    taken: list[float] = []
    for lane, pause in events:
        clock.now += pause
        try:
            spent.take(lane, wait=False)
        except OverBudget:
            share = int(12 * budget.SHARE[lane])
            assert sum(clock.now - at < budget.WINDOW for at in taken) >= share
        else:
            taken.append(clock.now)
    for first, at in enumerate(taken):
        assert sum(0 <= later - at < 60 for later in taken[first:]) <= 12


@examples(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, budget.ON_THE_WAY, exclude_max=True)), max_size=200))
def test_a_venue_that_counts_what_arrives_passes_all_however_long_it_was_on_its_way(events: list[tuple[float, float]]):
    clock = Clock()
    spent = local(12, clock)
    arrivals = []
    for pause, on_the_way in events:
        clock.now += pause
        with contextlib.suppress(OverBudget):
            spent.take(Lane.CANCEL, wait=False)
            arrivals.append(clock.now + on_the_way)
    times = iter(sorted(arrivals))
    venue = Throttle(12, 60, lambda: next(times))
    assert [venue.take("login") for _ in arrivals] == [0.0] * len(arrivals)


def test_all_processes_of_a_login_share_one_budget_and_other_logins_do_not():
    login = f"test-{uuid.uuid4()}"
    one, two, other = shared(login), shared(login), shared()
    assert take_all(one, Lane.RECONCILE) == 120
    assert (take_all(two, Lane.RECONCILE), take_all(two, Lane.PLACE)) == (0, 8)
    assert take_all(other, Lane.PLACE) == 128


def test_twenty_threads_never_take_more_than_there_is():
    login = f"test-{uuid.uuid4()}"
    ready, counts = threading.Barrier(20), []

    def work() -> None:
        mine = shared(login)
        ready.wait()
        counts.append(take_all(mine, Lane.PLACE))

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 128


def test_the_shared_window_says_when_it_is_free_again():
    spent = shared(amount=4)
    take_all(spent, Lane.PLACE)
    with pytest.raises(OverBudget) as caught:
        spent.take(Lane.PLACE, wait=False)
    assert 57 < caught.value.retry_after <= 62


def without_redis(clock: Clock) -> SharedBudget:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return SharedBudget(f"redis://127.0.0.1:{port}/0", "login", wall=wall, clock=clock, sleep=clock.sleep)


def test_without_redis_cancels_stops_and_questions_go_on_from_a_few_requests(caplog):
    spent = without_redis(Clock())
    started = time.monotonic()
    assert (take_all(spent, Lane.RESOLVE), take_all(spent, Lane.STOP), take_all(spent, Lane.CANCEL)) == (10, 0, 2)
    assert time.monotonic() - started < 1
    assert caplog.text.count("Redis is away") == 1
    assert spent.usage() is None


@pytest.mark.parametrize("lane", [Lane.PLACE, Lane.RECONCILE, Lane.BARS])
def test_without_redis_nothing_is_entered_or_read_and_the_reason_is_said(lane: Lane):
    clock = Clock()
    spent = without_redis(clock)
    with pytest.raises(OverBudget, match=f"Redis is away, .* lane {lane.name}"):
        spent.take(lane, wait=lane is not Lane.PLACE)
    assert clock.slept == {Lane.PLACE: [], Lane.RECONCILE: [2.0], Lane.BARS: [2.0] * 17}[lane]
    assert take_all(spent, Lane.CANCEL) == 12  # and it took nothing from them


def test_a_redis_that_hangs_costs_half_a_second_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, never answers
        clock = Clock()
        spent = SharedBudget(
            f"redis://127.0.0.1:{listener.getsockname()[1]}/0", "login", wall=wall, clock=clock, sleep=clock.sleep
        )
        started = time.monotonic()
        assert take_all(spent, Lane.CANCEL) == 12
        assert time.monotonic() - started < 2


def test_the_usage_says_who_sent_what_and_how_much_each_lane_has_left():
    login = f"test-{uuid.uuid4()}"
    spent, reader = shared(login), shared(login)
    empty = reader.usage()
    assert (empty.total, set(empty.by_lane.values()), empty.bars) == (0, {0}, 0)
    assert {lane: empty.left(lane) for lane in LADDER} == LADDER
    for lane, number in ((Lane.RECONCILE, 118), (Lane.PLACE, 4), (Lane.CANCEL, 1)):
        for _ in range(number):
            spent.take(lane, wait=False)
    assert set(reader.usage().by_lane.values()) == {0}  # who sent them is noted beside, when nobody waits
    for lane, number in ((Lane.RECONCILE, 118), (Lane.PLACE, 4), (Lane.CANCEL, 1)):
        for _ in range(number):
            spent.note(lane)
    usage = reader.usage()
    assert usage.total == 123
    assert {lane: number for lane, number in usage.by_lane.items() if number} == {
        Lane.RECONCILE: 118,
        Lane.PLACE: 4,
        Lane.CANCEL: 1,
    }
    assert {lane: usage.left(lane) for lane in Lane} == {
        Lane.CANCEL: 37,
        Lane.STOP: 21,
        Lane.RESOLVE: 13,
        Lane.PLACE: 5,
        Lane.RECONCILE: 0,
        Lane.BARS: 0,
    }


class Forwarder:
    """The way to Redis, which can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._redis = (host, port)
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.mended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self.mended.is_set():
                near.close()
                continue
            far = socket.create_connection(self._redis)
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()

    def cut(self) -> None:
        self.mended.clear()
        while self._sockets:
            with contextlib.suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with source, target, contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def test_redis_comes_and_goes(caplog):
    caplog.set_level(logging.WARNING)
    redis = urlsplit(URL)
    clock = Clock()
    way = Forwarder(redis.hostname, redis.port)
    way.mended.set()
    url = redis._replace(netloc=f"{redis.netloc.rpartition(':')[0]}:{way.port}").geturl()
    spent = SharedBudget(url, f"test-{uuid.uuid4()}", wall=wall, clock=clock, sleep=clock.sleep)
    assert take_all(spent, Lane.RECONCILE) == 120
    way.cut()
    assert take_all(spent, Lane.CANCEL) == 12
    way.mended.set()
    assert take_all(spent, Lane.CANCEL) == 0  # not yet tried again
    clock.now += budget.RETRY_REDIS
    assert take_all(spent, Lane.CANCEL) == 40
    assert [record.message.split(",")[0] for record in caplog.records] == ["Redis is away", "Redis is back"]
    way.close()
