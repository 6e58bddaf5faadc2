"""The flat time of a strategy closes what its own entries hold; what others hold in the contract stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from brokers.base import PlaceOrder
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import trade_date_of
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_managing import enter, position, well
from tradingbot.models import Decision, Order, SessionStep, Strategy, Trade
from tradingbot.operations import orders, reconciliation, sessions

State = SessionStep.State


@pytest.fixture
def held(desk: Desk, make_strategy: Callable[[Desk], Strategy]) -> Desk:
    desk.strategy = make_strategy(desk)
    SessionStep.objects.create(
        account=desk.account,
        strategy=desk.strategy,
        contract=desk.contract,
        session_date=trade_date_of(desk.now),
        step=SessionStep.Step.FLATTEN,
        due_at=desk.now,
        deadline=desk.now + timedelta(hours=6),
    )
    return desk


def flat_time(desk: Desk) -> tuple[str, str]:
    """Let the step that is due run; return its state and note."""
    sessions.due(now=desk.now)
    step = SessionStep.objects.get()
    return step.state, step.note


def by_hand(desk: Desk, quantity: int) -> None:
    desk.broker.place(
        PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag="by hand",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=quantity,
        )
    )
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)


def test_the_strategys_position_is_closed_with_its_legs(held: Desk) -> None:
    enter(held)
    assert flat_time(held) == (State.PENDING, "closing 4 MNQ")
    assert position(held) == 0
    assert Decision.objects.get(code="flat_time").sentence == "4 MNQ closed at market: it is the strategy's flat time."
    held.settle()
    assert flat_time(held) == (State.DONE, "0 entries cancelled, no position")
    assert not Order.objects.live().exists()
    assert Trade.objects.get().exit_role == Role.EXIT


def test_a_position_of_others_stays(held: Desk) -> None:
    by_hand(held, 2)
    assert flat_time(held) == (State.DONE, "0 entries cancelled, no position")
    assert position(held) == 2


def test_of_a_position_that_is_shared_the_strategys_part_is_closed(held: Desk) -> None:
    enter(held)
    by_hand(held, 2)
    flat_time(held)
    held.settle()
    assert position(held) == 2
    assert flat_time(held)[0] == State.DONE
    assert position(held) == 2


def test_an_entry_that_a_person_added_keeps_its_legs(held: Desk) -> None:
    enter(held)
    held.strategy, strategy = None, held.strategy
    theirs = enter(held, quantity=2, adds=True)
    flat_time(held)
    held.settle()
    assert position(held) == 2
    assert Order.objects.get(role=Role.EXIT).strategy == strategy
    assert set(Order.objects.live().values_list("parent", flat=True)) == {theirs.pk}
    well(held)


def test_a_stop_that_has_filled_unseen_is_not_closed_again(held: Desk) -> None:
    enter(held)
    held.minute(0, 0, -50, -45)
    flat_time(held)
    assert position(held) == 0
    held.settle()
    assert flat_time(held)[0] == State.DONE
    assert position(held) == 0


def test_an_exit_that_is_under_way_is_waited_for(held: Desk) -> None:
    enter(held)
    leaving = orders.exit(held.account, held.contract, 4, now=held.now, by="its plan")
    assert flat_time(held) == (State.PENDING, "closing 4 MNQ")
    assert position(held) == 4
    orders.send(leaving, now=held.now)
    held.settle()
    assert flat_time(held)[0] == State.DONE
    assert position(held) == 0
    assert not Decision.objects.filter(code="flat_time").exists()


def test_a_close_that_is_under_way_is_waited_for(held: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(held)
    monkeypatch.setattr(type(held.broker), "close", lambda *_, **__: None)  # it takes the venue a while
    for _ in range(2):
        assert flat_time(held) == (State.PENDING, "closing 4 MNQ")
    assert Decision.objects.filter(code="flat_time").count() == 1


def test_an_entry_that_fills_before_its_cancel_arrives_is_closed_too(held: Desk) -> None:
    held.send(held.pair())
    held.broker.lose_cancels = 2
    assert flat_time(held) == (State.PENDING, "2 entries are being cancelled")
    held.minute(0, 25, 0, 22)
    assert position(held) == 3
    held.settle()
    assert flat_time(held) == (State.PENDING, "closing 3 MNQ")
    held.settle()
    assert position(held) == 0
    assert flat_time(held) == (State.PENDING, "1 entries are being cancelled")  # that of the sell was lost
    Order.objects.filter(status=OrderStatus.CANCEL_PENDING).update(change_sent_at=None)
    assert flat_time(held)[0] == State.PENDING
    held.settle()
    assert flat_time(held)[0] == State.DONE


def test_without_an_answer_of_the_venue_it_is_tried_again(held: Desk) -> None:
    enter(held)
    held.broker.open_lanes = frozenset()
    assert flat_time(held) == (State.PENDING, "the venue does not answer")
    assert set(Order.objects.filter(role=Role.STOP).values_list("status", flat=True)) == {OrderStatus.WORKING}
    assert position(held) == 4
