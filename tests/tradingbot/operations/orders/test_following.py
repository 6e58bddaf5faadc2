"""Tick mode: the stop goes where a price between two closed bars wants it, once, and never back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from market.orders import Role, Side
from market.plans import Management
from tests.tradingbot.operations.orders.desk import PRICE, Desk
from tests.tradingbot.operations.orders.test_managing import at_venue, enter, minute, position
from tradingbot.models import Order, OrderEvent, Strategy
from tradingbot.operations import orders
from tradingbot.operations.orders import following
from tradingbot.operations.orders.changing import request_modify
from tradingbot.operations.streaming import goals
from tradingbot.queues import redis


@pytest.fixture
def held(desk: Desk, make_strategy: Callable[[Desk], Strategy]) -> Desk:
    desk.strategy = make_strategy(desk)
    desk.strategy.follow_ticks = True
    desk.strategy.save()
    return desk


def price(desk: Desk, ticks: int) -> Decimal:
    return desk.spec.price(PRICE + ticks)


def wanted(desk: Desk) -> list[int]:
    """Return the goals in ticks from the entry."""
    found = following.goals(desk.account.login, now=desk.now)
    return [desk.spec.ticks(goal.price) - PRICE for goal in found]


def follow(desk: Desk, entry: Order, ticks: int) -> list[str]:
    return [decision.code for decision in following.follow(entry, price(desk, ticks), now=desk.now)]


def test_a_trailing_stop_follows_the_price_within_the_minute(held: Desk):
    entry = enter(held, trail_ticks=50)
    assert wanted(held) == [11]  # the stop is 40 behind, so at 11 it would be 39 behind
    held.minute(0, 30, 0, 25)
    assert follow(held, entry, 30) == ["trail"]
    assert at_venue(held)["stop"] == (4, -20)
    assert (follow(held, entry, 30), follow(held, entry, 25)) == ([], [])
    assert wanted(held) == [31]
    assert minute(held, 25, 28, 25, 28) == []  # the closed bars know no better


def test_a_short_follows_downwards(held: Desk):
    entry = enter(held, side=Side.SELL, trail_ticks=50)
    assert wanted(held) == [-11]
    held.minute(0, 0, -60, -50)
    assert follow(held, entry, -60) == ["trail"]
    assert at_venue(held)["stop"] == (4, -10)


def test_breakeven_is_reached_by_one_price_and_asked_for_once(held: Desk):
    entry = enter(held, Management(breakeven_r=Decimal(1), breakeven_offset_ticks=4))
    assert wanted(held) == [40]
    held.minute(0, 45, 0, 41)
    assert follow(held, entry, 39) == []
    assert follow(held, entry, 40) == ["breakeven"]
    assert (at_venue(held)["stop"], wanted(held)) == ((4, 4), [])


def test_the_nearer_of_two_goals_is_the_next(held: Desk):
    enter(held, Management(breakeven_r=Decimal(1)), trail_ticks=60)
    assert wanted(held) == [21]


def test_a_price_that_has_come_back_closes_the_position(held: Desk):
    entry = enter(held, trail_ticks=50)
    held.minute(0, 100, 0, 20)  # the stop would go to 50
    assert follow(held, entry, 100) == ["trail_passed"]
    assert position(held) == 0


def test_without_the_switch_ticks_say_nothing(held: Desk):
    entry = enter(held, trail_ticks=50)
    Strategy.objects.update(follow_ticks=False)
    held.minute(0, 30, 0, 25)
    entry = Order.objects.get(pk=entry.pk)
    assert (wanted(held), follow(held, entry, 30)) == ([], [])


def test_an_entry_that_is_closed_has_no_goal(held: Desk):
    entry = enter(held, trail_ticks=50)
    held.minute(0, 0, -50, -45)
    held.settle()
    assert (wanted(held), follow(held, entry, 30)) == ([], [])


def test_two_processes_never_move_a_stop_back(held: Desk):
    entry = enter(held, trail_ticks=50)
    stop = Order.objects.get(role=Role.STOP)
    held.minute(0, 60, 0, 55)
    assert follow(held, entry, 60) == ["trail"]
    stop_as_it_was = stop  # read before the move, by the other process
    assert not request_modify(stop_as_it_was, price(held, 5), by="bar", now=held.now, towards=Side.BUY)
    assert request_modify(stop_as_it_was, price(held, 5), by="a person", now=held.now)


def test_the_best_price_that_the_stream_keeps_is_what_counts(held: Desk, broker_queues: None):
    entry = enter(held, trail_ticks=50)
    held.minute(0, 30, 0, 25)
    assert goals.check(entry, now=held.now) == []
    redis().set(goals.key(entry.pk), str(price(held, 30)), px=goals.KEPT)
    assert [decision.code for decision in goals.check(entry, now=held.now)] == ["trail"]
    asked = OrderEvent.objects.filter(order__role=Role.STOP, kind="modify asked").count()
    orders.sweep(now=held.now)
    assert asked == 1
