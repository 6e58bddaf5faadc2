"""Strategies that trail, take parts, end and add: live at the venue minute by minute, and in the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from backtest.codes import O_ENDING, O_FILL, O_SIDE, Ending, Reason
from backtest.results import Result
from market.bars import epoch
from market.sessions import flat_by
from tests.backtest.live import MINUTE, LiveMonth
from tradingbot.models import Fill, Order
from tradingbot.operations import accounts, backtests, venues

DAY = date(2026, 10, 6)
KINDS: dict[str, dict[str, Any]] = {
    "ema_cross": {
        "size": 4,
        "trail_atr": "2",
        "breakeven_r": "0.5",
        "partial_r": "0.7",
        "hold_minutes": 8,
        "timeframe": "2m",
    },
    "trend_following": {
        "size": 3,
        "max_adds": 2,
        "add_spacing_atr": "0.5",
        "trail_atr": "3",
        "max_entries": 20,
        "timeframe": "2m",
    },
}
SHOWN = {
    "ema_cross": {Reason.PARTIAL, Reason.HOLD},
    "trend_following": {Reason.STOP},
}

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]


class LiveDays(LiveMonth):
    """Every minute is seen as it closes, from 09:30 until nothing is open and no entry may follow."""

    def run(self) -> None:
        for session in self.traded:
            self._morning(session)
            last_entry = session.rth_opens_at + timedelta(minutes=60)
            while self.now < flat_by(session) and (self.now <= last_entry or self._exposed()):
                accounts.refresh(self.account_row, now=self.now)
                self._to(self.now + MINUTE, session)
            self._close(session)


@pytest.fixture(params=sorted(KINDS))
def lived(request, db) -> Iterator[tuple[LiveDays, Result]]:
    values = KINDS[request.param] | {"entry_until": "10:30", "flat_at": "11:00"}
    days = LiveDays(request.param, values, first=DAY, last=DAY, seed=5)
    days.run()
    wish = backtests.Wish(request.param, "MNQ", values, DAY, DAY, slippage=1)
    found, _ = backtests.simulate(wish, days.contract, now=days.now)
    yield days, found
    venues.forget()


def test_the_same_entries_fill_and_the_same_contracts_leave_in_the_same_minutes(lived: tuple[LiveDays, Result]) -> None:
    days, found = lived
    ticks = days.contract.spec.ticks
    entries = Order.objects.filter(role="entry", filled__gt=0)
    (placed,) = found.simulated.orders
    filled = placed[placed[:, O_ENDING] == Ending.FILLED]
    assert Counter((o.side, ticks(o.average_price)) for o in entries) == Counter(
        zip(filled[:, O_SIDE].tolist(), filled[:, O_FILL].tolist(), strict=True)
    )
    live: Counter[tuple[int, int, int]] = Counter()
    for fill in Fill.objects.exclude(order__role="entry"):
        live[epoch(fill.at) // 60 * 60, fill.side, ticks(fill.price)] += fill.quantity
    trades, simulated = found.simulated.trades, Counter[tuple[int, int, int]]()
    for at, side, price, quantity in zip(
        *(column.tolist() for column in (trades.exited_at, trades.side, trades.exit, trades.quantity)), strict=True
    ):
        simulated[at, -side, price] += quantity
    assert live == simulated
    assert set(trades.reason.tolist()) >= SHOWN[days.strategy.kind]
    assert entries.filter(adds=True).exists() == (days.strategy.kind == "trend_following")
