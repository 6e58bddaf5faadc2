"""The same sessions through the live operations at the venue and through the kernel: order for order, fill for fill.

Here each lives through the days in which what it declares occurs; `make parity` lives through October with all six.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from backtest.codes import O_ENDING, Ending, Reason
from backtest.results import Result
from backtest.trades import dollars
from tests.backtest.compared import (
    live_entries,
    live_fills,
    live_net,
    simulated_entries,
    simulated_fills,
    simulated_net,
)
from tests.backtest.live import Life
from tradingbot.models import Order
from tradingbot.operations import backtests, venues

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Case:
    """A strategy as it is set, the sessions it lives through, and what must occur in them."""

    kind: str
    values: dict[str, Any]
    reasons: frozenset[Reason]
    last: date
    endings: frozenset[Ending] = frozenset({Ending.FILLED})
    first: date = date(2026, 10, 5)
    seed: int = 11
    shape: Callable[[Life], None] = lambda life: None
    in_october: frozenset[Reason] = frozenset()


def _october(life: Life) -> None:
    opens = {session.trade_date.day: session.rth_opens_at for session in life.traded}
    life.market.calm(date(2026, 10, 1), opens[1] + timedelta(hours=2))  # held until the flat time
    life.market.calm(date(2026, 10, 2), opens[2])  # neither side is reached
    for day in {5, 20} & opens.keys():  # both sides of the pair in one minute
        life.market.spread(date(2026, 10, day), opens[day], 900)


OCTOBER = {"first": date(2026, 10, 1), "last": date(2026, 10, 30)}
CASES = (
    Case(
        "overnight_range",
        {"size": 2, "breakeven_points": "8", "target_atr": "3"},
        frozenset({Reason.STOP, Reason.BREAKEVEN, Reason.FLAT}),
        date(2026, 10, 7),
        frozenset({Ending.FILLED, Ending.CANCELLED, Ending.EXPIRED}),
        OCTOBER["first"],
        shape=_october,
        in_october=frozenset({Reason.TARGET}),
    ),
    Case(
        "ema_cross",
        {"size": 4, "trail_atr": "2", "breakeven_r": "0.5", "partial_r": "0.7", "hold_minutes": 25, "max_entries": 4},
        frozenset({Reason.PARTIAL, Reason.HOLD, Reason.TRAIL, Reason.BREAKEVEN}),
        date(2026, 10, 5),
        seed=18,
    ),
    Case(
        "trend_following",
        {"size": 2, "max_adds": 2, "add_spacing_atr": "0.5", "trail_atr": "3", "fast_period": 5, "slow_period": 15},
        frozenset({Reason.STOP, Reason.TRAIL, Reason.SIGNAL, Reason.FLAT}),
        date(2026, 10, 6),
        seed=12,
    ),
    Case(
        "mean_reversion",
        {"size": 3, "risk_per_trade": "120", "rsi_low": 40, "rsi_high": 60, "distance_atr": "1.0"},
        frozenset({Reason.STOP, Reason.TARGET}),
        date(2026, 10, 5),
    ),
    Case(
        "pdh_pdl",
        {"size": 3, "mode": "breakout", "partial_r": "0.5", "breakeven_r": "0.5", "max_entries": 4},
        frozenset({Reason.STOP, Reason.TARGET, Reason.PARTIAL, Reason.BREAKEVEN}),
        date(2026, 10, 5),
        seed=26,
    ),
    Case(
        "orb_rubber_band",
        {
            "size": 2,
            "entry_minutes": 10,
            "time_entry": True,
            "breakeven_r": "0.5",
            "target_r": "1",
            "max_entries": 3,
        },
        frozenset({Reason.STOP, Reason.TARGET, Reason.BREAKEVEN}),
        date(2026, 10, 6),
        frozenset({Ending.FILLED, Ending.EXPIRED}),
        seed=16,
    ),
)


def _params() -> Iterator[Any]:
    for case in CASES:
        yield pytest.param(case, id=case.kind, marks=pytest.mark.xdist_group("parity"))
        month = replace(case, reasons=case.reasons | case.in_october, **OCTOBER)
        yield pytest.param(month, id=f"{case.kind}-october", marks=pytest.mark.parity)


@pytest.fixture(scope="module", params=list(_params()))
def lived(request: Any, django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Case, Life, Result]]:
    """Lived through once, rolled back at the end."""
    from django.db import connection, transaction

    case = request.param
    with django_db_blocker.unblock(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # the machine may be busy
        life = Life(case.kind, case.values, first=case.first, last=case.last, seed=case.seed)
        case.shape(life)
        life.run()
        wish = backtests.Wish(case.kind, "MNQ", case.values, case.first, case.last, slippage=1)
        result, _ = backtests.simulate(wish, life.contract, now=life.now)
        yield case, life, result
        transaction.set_rollback(True)
    venues.forget()


Lived = tuple[Case, Life, Result]


def test_the_same_entries_are_placed_and_end_in_the_same_way(lived: Lived):
    _, life, result = lived
    assert live_entries(life) == simulated_entries(result)
    assert life.late() == []


def test_the_same_contracts_fill_in_the_same_minutes_at_the_same_prices(lived: Lived):
    _, life, result = lived
    assert live_fills(life) == simulated_fills(result)


def test_net_results_agree_to_the_cent_day_by_day(lived: Lived):
    _, life, result = lived
    assert live_net(life) == simulated_net(result)
    balance = life.venue.ledger.accounts()[0].balance
    assert Decimal(150_000) + dollars(result.simulated.trades.net.sum()) == balance


def test_what_is_managed_and_how_entries_end_occurs(lived: Lived):
    case, _, result = lived
    assert case.reasons <= set(result.simulated.trades.reason.tolist())
    assert case.endings <= set(result.simulated.orders[0][:, O_ENDING].tolist())
    if case.values.get("max_adds"):
        assert Order.objects.filter(adds=True, filled__gt=0).exists()
