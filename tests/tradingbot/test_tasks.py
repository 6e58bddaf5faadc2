from __future__ import annotations

import base64
import inspect
import json
from datetime import timedelta
from pathlib import Path

import pytest
from celery.exceptions import Retry
from django.db.models.functions import Now

from brokers.base import OrderReport, OutcomeUnknown, ReadFailed
from market.orders import OrderStatus, OrderType
from tests.factories import AccountFactory, StrategyFactory
from tradingbot.celery_app import QUEUES, app
from tradingbot.models import Account, Heartbeat, Order, Position, Snapshot
from tradingbot.operations import bars, reconciliation, sessions
from tradingbot.queues import Task, redis
from tradingbot.tasks import background, critical, high, low, normal

OURS = sorted(name for name, task in app.tasks.items() if type(task).__module__.startswith("tradingbot.tasks."))
PACKAGE = Path(critical.__file__).parent


def waiting(queue: str) -> list[tuple[str, dict]]:
    """Return what waits on a queue as (task, ids), oldest first."""
    found = []
    for raw in reversed(redis().lrange(queue, 0, -1)):
        message = json.loads(raw)
        body = json.loads(base64.b64decode(message["body"]))
        found.append((message["headers"]["task"].rsplit(".", 1)[-1], body[1]))
    return found


@pytest.mark.parametrize("name", OURS)
def test_a_task_takes_ids_by_name_and_whatever_a_newer_publisher_adds(name):
    task = app.tasks[name]
    assert isinstance(task, Task)
    parameters = inspect.signature(task.run).parameters.values()
    assert {parameter.kind for parameter in parameters} <= {
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    }
    assert any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    assert {str(p.annotation) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY} <= {
        "int",
        "int | None",
        "bool",
    }


def test_only_the_read_on_demand_is_retried_and_only_when_it_failed():
    retried = [name for name in OURS if getattr(app.tasks[name], "autoretry_for", ())]
    assert retried == ["tradingbot.tasks.normal.fetch_bars"]
    assert not any(
        "acks_late" in path.read_text() or "always_eager" in path.read_text() for path in PACKAGE.glob("*.py")
    )


def test_it_is_retried_after_two_four_and_eight_seconds_and_then_fails(db, contract, broker_queues, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ReadFailed("no answer")

    def run(retries: int) -> None:
        normal.fetch_bars.push_request(retries=retries, called_directly=False, id="one")
        try:
            normal.fetch_bars(contract_id=contract.pk)
        finally:
            normal.fetch_bars.pop_request()

    monkeypatch.setattr(normal.bars, "backfill", fail)
    waited = []
    for retries in range(3):
        with pytest.raises(Retry) as again:
            run(retries)
        waited.append(again.value.when)
    assert waited == [2, 4, 8]
    with pytest.raises(ReadFailed):
        run(3)
    assert not issubclass(OutcomeUnknown, normal.fetch_bars.autoretry_for)


def test_a_venue_that_does_not_answer_is_one_line(caplog):
    error = ReadFailed("no answer within 12 s")
    assert isinstance(error, high.reconcile.throws)
    high.reconcile.on_failure(error, "id", [], {"account_id": 7}, None)
    assert caplog.messages == ["tradingbot.tasks.high.reconcile {'account_id': 7}: no answer within 12 s"]


@pytest.mark.parametrize("queue", QUEUES)
def test_the_canary_of_a_queue_is_the_sign_of_life_of_its_worker(db, queue):
    {m.__name__.rsplit(".", 1)[-1]: m for m in (critical, high, normal, low, background)}[queue].canary()
    assert Heartbeat.objects.get().name == f"worker-{queue}"


class TestTicks:
    pytestmark = pytest.mark.usefixtures("broker_queues")

    @pytest.mark.parametrize(
        ("tick", "queue"),
        [
            (critical.check_fills, "critical"),
            (high.update_balance, "high"),
            (high.check_risk, "high"),
            (high.reconcile, "high"),
        ],
    )
    def test_one_hint_for_each_account_that_we_look_after(self, db, tick, queue):
        watched = [AccountFactory().pk, AccountFactory().pk]
        AccountFactory(enabled=False)
        for _ in range(2):  # the second tick finds its hints waiting
            tick()
        name = tick.name.rsplit(".", 1)[-1]
        assert waiting(queue) == [(name, {"account_id": pk}) for pk in watched]

    @pytest.mark.parametrize("tick", [critical.check_protection, critical.flatten_due])
    def test_accounts_with_nothing_open_need_no_protection(self, account, contract, tick):
        tick()
        assert waiting("critical") == []
        Position.objects.create(account=account, contract=contract, broker_quantity=-1)
        tick()
        assert waiting("critical") == [(tick.name.rsplit(".", 1)[-1], {"account_id": account.pk})]

    def test_an_account_known_to_lack_a_stop_is_looked_at_on_its_own(self, account, contract):
        protected = Position.objects.create(account=AccountFactory(), contract=contract, broker_quantity=1)
        bare = Position.objects.create(account=account, contract=contract, broker_quantity=-1)
        critical.check_protection(unprotected=True)
        assert waiting("critical") == []
        Position.objects.filter(pk=bare.pk).update(unprotected_since=account.balance_at)
        critical.check_protection(unprotected=True)
        assert waiting("critical") == [("check_protection", {"account_id": account.pk})]
        assert protected.account_id != account.pk

    def test_while_an_entry_works_fills_are_asked_for_more_often(self, account, contract):
        critical.check_fills(exposed=True)
        assert waiting("critical") == []
        Order.objects.create(
            account=account, contract=contract, session_date="2026-11-18", tag="t", role="entry", side=1, type="stop",
            quantity=1, stop_price=21_000, stop_ticks=40, status="working",
            created_at=account.balance_at, updated_at=account.balance_at,
        )  # fmt: skip
        critical.check_fills(exposed=True)
        assert waiting("critical") == [("check_fills", {"account_id": account.pk})]

    def test_the_emergency_stop_works_on_every_request_at_once(self, account):
        AccountFactory()
        Account.objects.filter(pk=account.pk).update(flatten_requested_at=account.balance_at)
        critical.emergency_stop()
        assert waiting("critical") == [("flatten_due", {"account_id": account.pk})]


class TestMissingStop:
    """The ladder of 3, 6 and 9 seconds begins with the fill, not with the next tick of ten seconds."""

    pytestmark = pytest.mark.usefixtures("broker_queues")

    @pytest.fixture
    def sold(self, desk, monkeypatch):
        """Three contracts sold at the venue by one side of a pair, of which we have not heard yet."""
        monkeypatch.setattr(critical, "now", lambda: desk.now)
        desk.send(desk.pair())
        desk.minute(0, 0, -25, -22)
        Snapshot.objects.all().delete()
        return desk

    def stops(self, desk) -> list[OrderReport]:
        """Return the stops of the position that work at the venue; the pair's other entry is none."""
        working = desk.broker.orders_in_flight(desk.account.broker_account_id)
        return [
            order
            for order in working
            if order.parent_id and order.type is OrderType.STOP and order.status is OrderStatus.WORKING
        ]

    @pytest.fixture
    def bare(self, sold):
        """The stop is gone before we hear of the fill."""
        (stop,) = self.stops(sold)
        sold.broker.cancel(sold.account.broker_account_id, stop.id)
        return sold

    def test_the_other_entry_is_no_stop_and_the_stop_no_surplus(self, sold):
        critical.check_fills(account_id=sold.account.pk)
        assert [stop.quantity for stop in self.stops(sold)] == [3]

    def test_the_run_that_books_the_fill_sees_it(self, bare):
        critical.check_fills(account_id=bare.account.pk)
        assert Position.objects.get().quantity == -3
        assert Position.objects.get().unprotected_since is not None

    def test_without_a_new_fill_it_does_not_look(self, bare):
        critical.check_fills(account_id=bare.account.pk)
        Position.objects.update(unprotected_since=None)
        Snapshot.objects.all().delete()
        critical.check_fills(account_id=bare.account.pk)
        assert Position.objects.get().unprotected_since is None

    def test_after_a_booking_of_the_stream_it_looks_and_has_the_rest_read(self, bare):
        reconciliation.check_fills(bare.account, now=bare.now)
        assert Position.objects.get().unprotected_since is None
        redis().flushdb()
        critical.after_fills(account_id=bare.account.pk)
        assert Position.objects.get().unprotected_since is not None
        assert waiting("critical") == [("check_fills", {"account_id": bare.account.pk})]

    def test_the_look_after_two_seconds_places_the_stop_once_three_have_passed(self, bare):
        critical.check_fills(account_id=bare.account.pk)
        redis().flushdb()
        critical.check_protection(unprotected=True)
        assert waiting("critical") == [("check_protection", {"account_id": bare.account.pk})]
        Position.objects.update(unprotected_since=Now() - timedelta(seconds=3))
        Snapshot.objects.all().delete()
        critical.check_protection(account_id=bare.account.pk)
        (placed,) = Order.objects.filter(role="stop", parent=None)
        assert (placed.status, placed.quantity, placed.stop_price) == ("working", 3, 21_005)


class TestBarsDue:
    pytestmark = pytest.mark.usefixtures("broker_queues")

    @pytest.fixture
    def now(self, stage, monkeypatch):
        sessions.ensure_calendar(now=stage.time.at)
        monkeypatch.setattr(normal, "now", stage.time.now)
        return stage.time

    def test_fetches_what_is_missing_and_lets_the_strategies_see_it(self, now, stage, contract, account):
        strategy = StrategyFactory(account=stage.account)
        normal.bars_due()
        assert waiting("normal") == [("bars_due", {"contract_id": contract.pk})]
        normal.bars_due(contract_id=contract.pk)
        strategy.refresh_from_db()
        assert strategy.last_evaluated_at == now.at - timedelta(minutes=1)
        assert bars.last_price(contract) is not None

    def test_asks_for_nothing_while_every_closed_minute_is_known(self, now, stage, contract, strategy):
        bars.fetch(contract, now=now.at)
        normal.bars_due()
        assert waiting("normal") == []
