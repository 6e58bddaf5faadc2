"""Every price held against the goals of entries that follow ticks: the stream hints, the operation moves the stop."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from redis import RedisError

from tradingbot.models import Decision, Order
from tradingbot.operations.orders import following
from tradingbot.operations.orders.following import Goal
from tradingbot.queues import redis

KEPT = 60_000
"""Machine milliseconds for which the best price of an entry is kept for who takes the hint."""
PACE = 1.0
"""Machine seconds between two hints for one entry: a trend must not use up the login's requests."""


def key(entry_id: int) -> str:
    return f"best:{entry_id}"


class Goals:
    """Used in the loop; `now` is time.monotonic(). An entry is told of when its goal is reached at a new best price."""

    def __init__(self) -> None:
        self._by_contract: dict[str, list[Goal]] = {}
        self._best: dict[int, Decimal] = {}
        self._told_at: dict[int, float] = {}
        self._untold: set[int] = set()

    def watch(self, goals: Iterable[Goal]) -> None:
        """Hold prices against exactly these from now on."""
        self._by_contract = {}
        for goal in goals:
            self._by_contract.setdefault(goal.contract_id, []).append(goal)
        known = {goal.entry_id for group in self._by_contract.values() for goal in group}
        self._best = {entry: price for entry, price in self._best.items() if entry in known}
        self._told_at = {entry: at for entry, at in self._told_at.items() if entry in known}
        self._untold &= known

    def price(self, contract_id: str, price: Decimal | None, now: float) -> list[tuple[int, Decimal]]:
        """Take a price; return the entries to be told of now, each with its best price."""
        if price is None or contract_id not in self._by_contract:
            return []
        for goal in self._by_contract[contract_id]:
            best = self._best.get(goal.entry_id)
            if (price - goal.price) * goal.side >= 0 and (best is None or (price - best) * goal.side > 0):
                self._best[goal.entry_id] = price
                self._untold.add(goal.entry_id)
        return self.due(now) if self._untold else []

    def due(self, now: float) -> list[tuple[int, Decimal]]:
        """Return the entries that were kept back by the pace until now."""
        found = [entry for entry in self._untold if now - self._told_at.get(entry, float("-inf")) >= PACE]
        for entry in found:
            self._untold.discard(entry)
            self._told_at[entry] = now
        return [(entry, self._best[entry]) for entry in found]


def check(entry: Order, *, now: datetime) -> list[Decision]:
    """Move the entry's stops by the best price that the stream has seen; nothing without it."""
    try:
        best: Any = redis().get(key(entry.pk))
    except RedisError:
        return []
    return following.follow(entry, Decimal(best.decode()), now=now) if best else []
