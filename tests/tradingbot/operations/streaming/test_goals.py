"""Prices against goals: who is told of, with which price, and how often."""

from __future__ import annotations

from decimal import Decimal as D

from tradingbot.operations.orders.following import Goal
from tradingbot.operations.streaming.goals import PACE, Goals

LONG, SHORT = Goal(1, "MNQ", 1, D(100)), Goal(2, "MNQ", -1, D(90))


def watching(*wanted: Goal) -> Goals:
    goals = Goals()
    goals.watch(wanted)
    return goals


def test_a_goal_is_told_of_when_its_price_is_reached():
    goals = watching(LONG, SHORT)
    assert goals.price("MNQ", D("99.75"), 0) == []
    assert goals.price("MES", D(200), 0) == []
    assert goals.price("MNQ", None, 0) == []
    assert goals.price("MNQ", D(100), 0) == [(1, D(100))]
    assert goals.price("MNQ", D("89.75"), 0) == [(2, D("89.75"))]


def test_only_a_better_price_is_news_and_the_best_one_is_told_in_the_pace():
    goals = watching(LONG)
    assert goals.price("MNQ", D(101), 0) == [(1, D(101))]
    assert goals.price("MNQ", D(101), 2 * PACE) == []
    assert goals.price("MNQ", D(103), 0.1) == []
    assert goals.price("MNQ", D(102), 0.2) == []
    assert goals.due(PACE) == [(1, D(103))]
    assert goals.due(2 * PACE) == []


def test_a_goal_that_was_moved_keeps_its_pace_and_one_that_is_gone_is_forgotten():
    goals = watching(LONG)
    assert goals.price("MNQ", D(101), 0)
    goals.watch([Goal(1, "MNQ", 1, D("101.25"))])
    assert goals.price("MNQ", D("101.25"), 0.5) == []
    goals.watch([])
    assert goals.due(PACE) == []
    goals.watch([LONG])
    assert goals.price("MNQ", D(100), 0.6) == [(1, D(100))]
