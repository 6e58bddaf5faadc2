"""The whole stream against a venue behind a socket: real hubs, real PostgreSQL, real Redis."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest
from django.db import connections

from brokers.base import Lane, OrderReport, ReadFailed
from brokers.projectx.hubs import Pace
from brokers.projectx.hubs.signalr import Timeouts
from brokers.simulated.broker import SimulatedBroker
from market.bars import Bars, epoch
from market.sessions import regular_session
from strategies import pdh_pdl
from strategies.parameters import dump, parse
from tests.brokers.simulated.served import served
from tests.brokers.simulated.stage import BUY, MARKET, MNQ, START, STOP
from tests.brokers.simulated.stage import Stage as VenueStage
from tests.factories import AccountFactory, ContractFactory, LoginFactory, StrategyFactory
from tests.tradingbot.operations.ledgers import calendar_days
from tradingbot.models import (
    Account,
    BarDay,
    Contract,
    Fill,
    Heartbeat,
    Login,
    Notification,
    Order,
    Position,
    Strategy,
    StreamEvent,
)
from tradingbot.operations import bars, decisions, quotes, reconciliation, streaming, venues
from tradingbot.operations.streaming import goals, user_side
from tradingbot.operations.streaming.running import Stream
from tradingbot.queues import redis

PACE = Pace(first=0.02, longest=0.2, evicted=0.3, again=0.5, timeouts=Timeouts(open=20, completion=20, silence=40))

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker_queues")]


class Keys:
    """Tokens of the venue's own, without a wire."""

    def __init__(self, venue: VenueStage) -> None:
        from brokers.simulated.tokens import Tokens

        self._tokens = Tokens(venue.venue.ledger, venue.now)
        self._token = self._tokens.give("demo")

    def get(self) -> str:
        return self._token

    def renew(self, stale: str | None) -> str:
        return self._token


class Scene:
    def __init__(self, venue: VenueStage, url: str, login: Login, account: Account, contract: Contract) -> None:
        self.venue, self.url, self.login, self.account, self.contract = venue, url, login, account, contract
        self.keys = Keys(venue)
        self._rows = ThreadPoolExecutor(1)

    async def rows(self, read: Callable[[], object]) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._rows, read)

    async def wait(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        give_up = time.monotonic() + seconds
        while not await self.rows(condition):
            assert time.monotonic() < give_up, f"{what} did not come; {streaming.read(self.login)}"
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Stream]:
        made, stop = Stream(self.login, self.keys, now=self.venue.now, pace=PACE), asyncio.Event()
        task = asyncio.create_task(made.run(stop))
        try:
            yield made
        finally:
            stop.set()
            await task

    def status(self) -> streaming.Status:
        said = streaming.read(self.login)
        assert said is not None
        return said

    def delivers(self) -> bool:
        status = streaming.read(self.login)
        return status is not None and status.user and status.market and not status.problems

    def passed_on(self) -> None:
        """Wait until the venue's loop has done what was given to it: it answers after that."""
        httpx.get(f"{self.url}/api/Status/ping", timeout=60).raise_for_status()

    def close(self) -> None:
        self._rows.submit(connections.close_all)
        self._rows.shutdown()


@pytest.fixture
def scene() -> Iterator[Scene]:
    calendar_days()
    venue = VenueStage(start=START)
    with served(venue) as url:
        login = LoginFactory(base_url=url)
        account = AccountFactory(login=login, broker_account_id=venue.account_id, name="50KTC-V2-TEST-1")
        StrategyFactory(account=account)
        venues.use(login, SimulatedBroker(venue.venue, venue.now))
        scene = Scene(venue, url, login, account, ContractFactory(broker_contract_id=MNQ))
        yield scene
        scene.close()
        venues.forget()


def test_a_fill_is_booked_a_quote_kept_and_everything_said(scene: Scene):
    async def go() -> None:
        async with scene.stream():
            await scene.wait(scene.delivers, "the stream")
            assert await scene.rows(lambda: Login.objects.get(pk=scene.login.pk).entries_blocked) == ""
            await scene.rows(lambda: scene.venue.place(MARKET, BUY, 1, sl=-40, tp=60))
            await scene.wait(lambda: Position.objects.filter(quantity=1).exists(), "the position")
            await scene.wait(lambda: streaming.delivers(scene.contract), "the word that minutes are delivered")
            latest = await scene.rows(lambda: quotes.latest(scene.contract))
            assert isinstance(latest, quotes.Latest)
            assert (latest.last, latest.age < 5) == (20000, True)
            await scene.wait(lambda: scene.status().booked, "the count")
            assert (scene.status().gaps, scene.status().unreadable) == (0, 0)

    asyncio.run(go())
    fill = Fill.objects.get()
    assert (fill.price, fill.order.role) == (20000, "external")
    targets = list(StreamEvent.objects.values_list("target", flat=True))
    assert targets.count("GatewayUserTrade") == 1
    assert len(targets) >= 9
    assert Heartbeat.objects.get(name="stream").note
    assert streaming.read(scene.login) is None  # it has taken back what it said
    assert not streaming.delivers(scene.contract)
    queued = b"".join(redis().lrange("critical", 0, -1))  # type: ignore[arg-type]
    assert b"after_fills" in queued


def test_a_second_stream_stands_by_until_the_first_has_gone(scene: Scene):
    async def go() -> tuple[bool, bool]:
        async with scene.stream() as second_to_none:
            await scene.wait(scene.delivers, "the first")
            async with scene.stream() as second:
                await scene.wait(lambda: Heartbeat.objects.filter(name="stream-standby").exists(), "the second")
                stood_by = not second.user.is_connected
                before = second_to_none.desk.fence
                await _end(second_to_none)
                await scene.wait(lambda: second.user.is_connected and scene.delivers(), "the second's turn")
                assert not await scene.rows(Heartbeat.objects.filter(name="stream-standby").exists)
                return stood_by, (second.desk.fence or 0) > (before or 0)

    assert asyncio.run(go()) == (True, True)


async def _end(stream: Stream) -> None:
    """Let the stream lose its lease, as after a pause of its machine."""

    def steal() -> None:
        from tradingbot.models import Lease

        Lease.objects.update(expires_at="2000-01-01T00:00Z")

    await asyncio.to_thread(_with_closed_connection, steal)
    await stream.health.leave()


def _with_closed_connection(call: Callable[[], None]) -> None:
    try:
        call()
    finally:
        connections.close_all()


def test_after_a_logout_no_entry_leaves_until_everything_is_compared(scene: Scene):
    async def go() -> None:
        async with scene.stream():
            await scene.wait(scene.delivers, "the stream")
            scene.venue.venue.event_switches.logout = True
            blocked = Login.objects.filter(entries_blocked__contains="another session")
            await scene.wait(blocked.exists, "the block")
            await scene.wait(Login.objects.filter(entries_blocked="").exists, "the end of the block")
            await scene.wait(scene.delivers, "the stream again")

    asyncio.run(go())
    alert = Notification.objects.get(title="paper: logged out by the venue")
    assert alert.level == "alert"


def test_what_happened_while_the_hub_was_away_is_read_after_the_connect(scene: Scene):
    async def go() -> None:
        async with scene.stream():
            await scene.wait(scene.delivers, "the stream")
            switches = scene.venue.venue.event_switches
            switches.silent = True
            await scene.rows(lambda: scene.venue.place(MARKET, BUY, 1))
            await scene.rows(scene.passed_on)
            switches.silent, switches.drop = False, "user"
            await scene.wait(Position.objects.filter(quantity=1).exists, "the position")

    asyncio.run(go())
    assert Fill.objects.count() == 1


def test_a_fill_that_the_hub_did_not_bring_is_noticed(scene: Scene):
    async def go() -> None:
        async with scene.stream() as stream:
            await scene.wait(scene.delivers, "the stream")
            scene.venue.venue.event_switches.lost = 1.0
            await scene.rows(lambda: scene.venue.place(MARKET, BUY, 1))
            await scene.rows(scene.passed_on)
            scene.venue.venue.event_switches.lost = 0.0
            await scene.rows(lambda: reconciliation.check_fills(scene.account, now=scene.venue.now(), max_age=0))
            await scene.wait(lambda: stream.health.gaps == 1, "the gap")
            await scene.wait(lambda: stream.user.connects == 2, "a new connection")

    asyncio.run(go())


def test_a_limit_that_a_quote_reaches_is_hinted_to_critical(scene: Scene):
    async def go() -> None:
        async with scene.stream() as stream:
            await scene.wait(scene.delivers, "the stream")
            await scene.rows(lambda: scene.venue.place(MARKET, BUY, 20))
            await scene.wait(Position.objects.filter(quantity=20).exists, "the position")
            await scene.wait(lambda: stream.seen.watcher._by_contract, "the watch")
            await scene.rows(lambda: scene.venue.bar(20000, 20000, 19800, 19800))  # 200 points, $8,000 of $4,500
            await scene.wait(lambda: b"check_limits" in b"".join(redis().lrange("critical", 0, -1)), "the hint")

    asyncio.run(go())


def test_a_stop_follows_the_price_that_the_hub_brings(scene: Scene):
    Strategy.objects.update(follow_ticks=True)
    common = {"account": scene.account, "contract": scene.contract, "strategy": Strategy.objects.get(), "quantity": 1}
    common |= {"session_date": START.date(), "created_at": START, "updated_at": START}
    ticks = {"stop_ticks": 40, "trail_ticks": 40}
    entry = Order.objects.create(role="entry", side=1, type="market", status="sending", tag="e", **ticks, **common)
    Order.objects.create(role="stop", side=-1, type="stop", status="suspended", tag="e-SL", parent=entry, **common)

    async def go() -> None:
        async with scene.stream() as stream:
            await scene.wait(scene.delivers, "the stream")
            await scene.rows(lambda: scene.venue.place(MARKET, BUY, 1, sl=-40, custom_tag=entry.tag))
            await scene.wait(lambda: stream.seen.goals._by_contract, "the goal")
            await scene.rows(lambda: scene.venue.bar(20000, 20020, 20000, 20020))
            await scene.wait(lambda: b"follow_price" in b"".join(redis().lrange("critical", 0, -1)), "the hint")
            await scene.rows(lambda: goals.check(entry, now=scene.venue.now()))

    asyncio.run(go())
    resting = scene.venue.venue.ledger.orders(scene.account.broker_account_id)
    assert [order.stop for order in resting if order.type == STOP] == [20010 * 4]  # ten points behind 20020, from 19990


def test_minutes_go_from_the_hub_into_the_cache_and_the_strategies_see_them(scene: Scene):
    values = {"mode": "fade", "timeframe": "2m", "delta_bars": 1, "filter_delta": True, "atr_period": 2}
    Strategy.objects.update(kind="pdh_pdl", parameters=dump(parse(pdh_pdl.Parameters, values)))
    for session in (regular_session(START.date() - timedelta(days=1)), regular_session(START.date())):
        until = min(START, session.closes_at)
        at = np.arange(epoch(session.opens_at), epoch(until), 60, dtype=np.int64)
        price = np.full(len(at), 80_000)  # yesterday's high is 80,020
        quiet = Bars(at, price, price + 20, price - 20, price, np.ones_like(at))
        bars.record(scene.contract, session.trade_date, quiet, source="test", covered_until=until, now=START)

    async def go() -> None:
        async with scene.stream() as stream:
            await scene.wait(scene.delivers, "the stream")
            for prices in (
                (20000, 20000, 20000, 20000),  # not seen whole
                (20000, 20003, 19999, 20003),  # 40 bought, down: 40 sold, up: 40 bought
                (20003, 20010, 20003, 20004),  # 40 and 40 bought, back: 40 sold
                (20004, 20004.5, 20004, 20004.5),  # 60 sold, as the last ones were, 60 bought
                (20004, 20004, 20004, 20004),
            ):
                await scene.rows(lambda prices=prices: scene.venue.bar(*prices))
            await scene.wait(lambda: stream.seen.stored >= 3, "the minutes")
            await scene.wait(lambda: redis().llen("normal"), "the hint")

    asyncio.run(go())
    now = START + timedelta(minutes=4, seconds=3)
    bars.fetch(scene.contract, now=now)  # the minute that was not seen whole
    (decision,) = decisions.evaluate(scene.contract, now=now)
    day = BarDay.objects.get(contract=scene.contract, trade_date=START.date())
    made = [bar for bar in day.bars if bar.opened_at >= epoch(START) + 60][:3]
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in made] == [
        (80_000, 80_012, 79_996, 80_012, 120),
        (80_012, 80_040, 80_012, 80_016, 120),
        (80_016, 80_018, 80_016, 80_018, 120),
    ]
    assert [bar.delta for bar in made] == [40, 40, 0]
    assert decision.sentence == "the cumulative delta does not confirm it (delta of the trades)"


def test_a_hub_that_stays_away_while_the_accounts_are_compared_keeps_no_entry_back(scene: Scene):
    async def go() -> None:
        async with scene.stream() as stream:
            await scene.wait(scene.delivers, "the stream")
            venues.use(scene.login, Unreadable(scene.venue.venue, scene.venue.now))
            scene.venue.venue.event_switches.drop = "user"
            await scene.wait(Login.objects.filter(entries_blocked__contains="comparing").exists, "the block")
            stream.heard.lost("the hub stays away")
            venues.use(scene.login, SimulatedBroker(scene.venue.venue, scene.venue.now))
            await scene.wait(Login.objects.filter(entries_blocked="").exists, "the end of the block")
            assert stream.heard.agreed_at is None  # nothing is claimed of a connection that is gone

    asyncio.run(go())


def test_an_account_that_cannot_be_read_keeps_back_its_own_entries_only(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(user_side, "_AGAIN", 0.05)
    names = ("50KTC-V2-TEST-2", "50KTC-V2-TEST-3")
    second, third = (scene.venue.venue.open_account(name, Decimal(50_000), START).id for name in names)
    other = AccountFactory(login=scene.login, broker_account_id=second, name=names[0])
    at_rest = AccountFactory(login=scene.login, broker_account_id=third, name=names[1], can_trade=False)
    broker = PartlyUnreadable(scene.venue.venue, scene.venue.now)
    broker.without = {second}
    venues.use(scene.login, broker)

    def reconciled() -> dict[int, bool]:
        return {account.pk: account.reconciled_at is not None for account in Account.objects.all()}

    async def go() -> None:
        async with scene.stream() as stream:
            await scene.wait(lambda: broker.asked[second] >= 5, "the fifth try")
            assert await scene.rows(lambda: Login.objects.get(pk=scene.login.pk).entries_blocked) == ""
            assert await scene.rows(reconciled) == {scene.account.pk: True, other.pk: False, at_rest.pk: True}
            assert (broker.asked[scene.account.broker_account_id], broker.asked[third]) == (1, 0)
            assert stream.heard.agreed_at is None
            broker.without = set()
            await scene.wait(lambda: reconciled()[other.pk], "the second account")
            await scene.wait(scene.delivers, "the stream")

    asyncio.run(go())
    assert broker.asked[scene.account.broker_account_id] == 1


class PartlyUnreadable(SimulatedBroker):
    """A venue that does not know the accounts `without` when their orders are read; `asked`: how often they were."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.without: set[int] = set()
        self.asked: Counter[int] = Counter()

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        self.asked[account_id] += 1
        if account_id in self.without:
            raise ReadFailed("account not found", code=1)
        return super().orders_in_flight(account_id, lane=lane)


class Unreadable(SimulatedBroker):
    """A venue whose lists cannot be read."""

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        raise ReadFailed("HTTP 500")
