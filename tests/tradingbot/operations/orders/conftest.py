from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Strategy
from tradingbot.operations import venues


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """An account that may trade, at a venue in this process, at 10:00 New York of an ordinary Wednesday."""
    yield Desk.open()
    venues.forget()


@pytest.fixture
def make_strategy() -> Callable[[Desk], Strategy]:
    """A configured overnight_range strategy on the desk's account."""

    def make(desk: Desk) -> Strategy:
        return Strategy.objects.create(
            name="overnight", kind="overnight_range", account=desk.account, symbol="MNQ", enabled=True
        )

    return make
