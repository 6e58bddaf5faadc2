"""Without PostgreSQL: cancel and close, kept in the journal, booked once when it is back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.base import OutcomeUnknown, ReadFailed, Refused
from market.orders import OrderStatus, Role
from tests.tradingbot.guard.clockwork import Clockwork
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import by_hand, long_position
from tradingbot.models import Fill, Notification, Order, Position
from tradingbot.operations import reconciliation
from tradingbot.operations.guard import remembering
from tradingbot.operations.guard.journal import KEPT, Journal
from tradingbot.operations.guard.remembering import Alone
from tradingbot.operations.guard.watching import learn

FLAT = datetime(2026, 11, 18, 21, 0, tzinfo=UTC)  # 15:00 Chicago


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    clockwork = Clockwork()
    monkeypatch.setattr(remembering, "time", clockwork)
    return clockwork


@pytest.fixture
def alone(desk: Desk, tmp_path: Path) -> Alone:
    return Alone(Journal(tmp_path / "guard.jsonl"), lambda login: desk.broker)


def acts(alone: Alone) -> list[tuple[str, str]]:
    """Return kind and outcome of what was written down."""
    file = alone.journal.file
    lines = [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []
    return [(line["kind"], "taken" if " taken " in line["sentence"] else line["sentence"]) for line in lines]


def positions(desk: Desk) -> list[object]:
    return desk.venue.ledger.positions(desk.account.broker_account_id)


def test_a_protected_position_is_left_alone_until_the_flat_time(desk: Desk, alone: Alone, machine: Clockwork):
    long_position(desk)
    plan = learn(desk.account, now=desk.now)
    for _ in range(20):
        alone.round(plan, now=desk.now)
        machine.wait(2)
    assert (acts(alone), alone.exposed) == ([], True)
    desk.now = FLAT
    for _ in range(4):
        alone.round(plan, now=desk.now)
        machine.wait(2)
    assert positions(desk) == []
    assert desk.broker.orders_in_flight(desk.account.broker_account_id) == []
    assert [kind for kind, _ in acts(alone)][:1] == ["close"]
    assert acts(alone)[-1] == ("note", f"{desk.account.name}: flat, seen twice")
    assert not alone.exposed


def test_working_entries_are_cancelled_at_the_flat_time(desk: Desk, alone: Alone, machine: Clockwork):
    desk.send(desk.pair())
    plan = learn(desk.account, now=desk.now)
    alone.round(plan, now=FLAT)
    assert acts(alone) == [("cancel", "taken")] * 2
    assert desk.broker.orders_in_flight(desk.account.broker_account_id) == []


def test_nine_seconds_without_a_stop_close_the_position(desk: Desk, alone: Alone, machine: Clockwork):
    entry = long_position(desk)
    plan = learn(desk.account, now=desk.now)
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    for _ in range(4):
        alone.round(plan, now=desk.now)
        machine.wait(2.9)
    assert positions(desk) != []
    alone.round(plan, now=desk.now)
    assert positions(desk) == []
    alone.round(plan, now=desk.now)  # the target has nothing to take any more
    assert acts(alone) == [("close", "taken"), ("cancel", "taken")]


def test_legs_are_left_over_when_two_rounds_show_no_position(desk: Desk, alone: Alone, machine: Clockwork, monkeypatch):
    long_position(desk)
    plan = learn(desk.account, now=desk.now)
    with monkeypatch.context() as lagging:
        lagging.setattr(desk.broker, "positions", lambda account_id, **_: [])
        alone.round(plan, now=desk.now)
    alone.round(plan, now=desk.now)
    assert acts(alone) == []
    desk.broker.close(desk.account.broker_account_id, desk.contract.broker_contract_id)  # by hand
    alone.round(plan, now=desk.now)
    assert acts(alone) == []
    alone.round(plan, now=desk.now)
    assert acts(alone) == [("cancel", "taken")] * 2


def test_a_position_that_is_not_ours_is_left_until_the_flat_time(desk: Desk, alone: Alone, machine: Clockwork):
    entry = long_position(desk)
    plan = learn(desk.account, now=desk.now)
    foreign = remembering.Plan(**{name: getattr(plan, name) for name in plan.__slots__} | {"contracts": frozenset()})
    desk.broker.cancel(desk.account.broker_account_id, entry.legs.get(role=Role.STOP).broker_order_id)
    for _ in range(3):
        alone.round(foreign, now=desk.now)
        machine.wait(9)
    assert acts(alone) == []
    alone.round(foreign, now=FLAT)
    assert positions(desk) == []


def test_a_contract_is_ours_to_protect_while_something_of_our_entry_is_left(desk: Desk):
    long_position(desk)
    assert learn(desk.account, now=desk.now).contracts == {desk.contract.broker_contract_id}
    desk.minute(0, 0, -45, -42)  # its stop fills
    desk.settle()
    by_hand(desk, 2)
    desk.settle()
    assert Position.objects.get().quantity == 2
    assert learn(desk.account, now=desk.now).contracts == frozenset()


def test_a_close_in_flight_is_not_sent_twice(desk: Desk, alone: Alone, machine: Clockwork, monkeypatch):
    long_position(desk)
    plan = learn(desk.account, now=desk.now)
    calls = []

    def lost(account_id: int, contract_id: str) -> None:
        calls.append(contract_id)
        raise OutcomeUnknown("the connection was reset")

    monkeypatch.setattr(desk.broker, "close", lost)
    for _ in range(4):
        alone.round(plan, now=FLAT)
        machine.wait(1)
    assert len(calls) == 1
    machine.wait(2)
    alone.round(plan, now=FLAT)
    assert len(calls) == 2


def test_the_opposite_of_a_filled_entry_is_cancelled(desk: Desk, alone: Alone, machine: Clockwork):
    sell = desk.send(desk.pair())[1]
    plan = learn(desk.account, now=desk.now)
    alone.round(plan, now=desk.now)
    assert acts(alone) == []
    desk.minute(22, 25, 21, 22)  # the buy stop at +20 fills
    alone.round(plan, now=desk.now)
    shown = {report.id for report in desk.broker.orders_in_flight(desk.account.broker_account_id)}
    assert (acts(alone), sell.broker_order_id in shown) == ([("cancel", "taken")], False)


def test_the_other_entry_of_a_pair_is_no_stop(desk: Desk, alone: Alone, machine: Clockwork, monkeypatch):
    desk.send(desk.pair())
    desk.minute(22, 25, 21, 22)
    plan = learn(desk.account, now=desk.now)
    stop = next(o for o in desk.broker.orders_in_flight(desk.account.broker_account_id) if o.tag.endswith("-SL"))
    desk.broker.cancel(desk.account.broker_account_id, stop.id)

    def refuse(account_id: int, order_id: int) -> None:
        raise Refused("not now")

    monkeypatch.setattr(desk.broker, "cancel", refuse)  # the other entry stays, a sell stop of the position's size
    alone.round(plan, now=desk.now)
    machine.wait(9.1)
    alone.round(plan, now=desk.now)
    assert positions(desk) == []


def test_a_failed_read_decides_nothing(desk: Desk, alone: Alone, machine: Clockwork, monkeypatch):
    long_position(desk)
    plan = learn(desk.account, now=desk.now)

    def fail(account_id: int, **_: object) -> list[object]:
        raise ReadFailed("HTTP 502")

    monkeypatch.setattr(desk.broker, "positions", fail)
    with pytest.raises(ReadFailed):
        alone.round(plan, now=FLAT)
    assert acts(alone) == []


def test_what_was_done_is_booked_once_and_the_file_put_away(desk: Desk, alone: Alone, machine: Clockwork):
    long_position(desk)
    plan = learn(desk.account, now=desk.now)
    alone.round(plan, now=FLAT)
    alone.round(plan, now=FLAT)
    lines = len(acts(alone))
    saved = alone.journal.file.read_text()
    assert alone.journal.book() == lines >= 2
    assert not alone.journal.waits
    alone.journal.file.write_text(saved + '{"id": "torn')  # the crash came before the file was put away
    assert alone.journal.book() == 0
    assert Notification.objects.filter(title__startswith="Done without PostgreSQL").count() == lines
    reconciliation.reconcile(desk.account, now=FLAT, max_age=0)
    assert Position.objects.get().quantity == 0
    assert set(Fill.objects.filter(side=-1).values_list("order__role", flat=True)) == {Role.EXIT}  # the close is ours
    cancelled = Order.objects.filter(events__kind="guard")
    assert {order.status for order in cancelled} == {OrderStatus.CANCELLED}


def test_only_a_few_booked_files_stay(desk: Desk, tmp_path: Path):
    journal = Journal(tmp_path / "guard.jsonl")
    for number in range(KEPT + 3):
        journal.write(desk.account.pk, "note", f"act {number}", at=desk.now)
        assert journal.book() == 1
    assert len(list(tmp_path.iterdir())) == KEPT
    assert "act 7" in (tmp_path / "guard.1.jsonl").read_text()
