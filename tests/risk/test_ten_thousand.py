"""The two laws that an account hangs on, over 10,000 random sequences of trades; `make laws`, a minute or two.

An example is a seed: nothing is drawn piece by piece, which is what makes so many quick. A failure names its seed. What
shrinks to a small example runs with every change, in test_drawdown.py and test_gate_laws.py.
"""

from __future__ import annotations

from decimal import Decimal as D
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.orders import OrderType, Side
from risk import drawdown
from risk.gate import EntryRequest, EntrySide
from risk.strategies import StrategyLimits
from tests.risk.states import MARKET, MES, MNQ
from tests.risk.test_gate_laws import SLIPPAGE, Account

SEQUENCES = 10_000
SIZES = ((50_000, 2_000), (100_000, 3_000), (150_000, 4_500), (0, 2_000), (0, 3_000), (0, 4_500))

pytestmark = [pytest.mark.laws, pytest.mark.timeout(1800)]
many = settings(max_examples=SEQUENCES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**63)


@many
@given(seeds)
def test_the_floor_never_falls_and_never_exceeds_the_lock(seed):
    random = Random(seed)
    start, loss = map(D, random.choice(SIZES))
    balance = highest = start
    floor = drawdown.floor(start=start, maximum_loss=loss, highest_eod=highest)
    for _ in range(random.randrange(1, 40)):
        for _ in range(random.randrange(0, 8)):
            balance += D(random.randrange(-60_000, 70_000)) / 100
            during = drawdown.floor(start=start, maximum_loss=loss, highest_eod=highest)
            assert during == floor, "it moved inside a day"
        highest = max(highest, balance)
        after = drawdown.floor(start=start, maximum_loss=loss, highest_eod=highest)
        assert floor <= after <= start
        assert after == start or after == highest - loss
        assert floor != start or after == start, "it stands at the lock for good"
        floor = after


def entry(random: Random) -> EntryRequest:
    up = EntrySide(Side.BUY, OrderType.STOP, MARKET + random.randrange(1, 500), random.randrange(4, 400))
    down = EntrySide(Side.SELL, OrderType.STOP, MARKET - random.randrange(1, 500), random.randrange(4, 400))
    paired = random.random() < 0.5
    sides = (up, down) if paired else (random.choice((up, down)),)
    return EntryRequest(random.choice((MNQ, MES)), random.randrange(1, 31), sides, oco=paired, reference=MARKET)


@many
@given(seeds)
def test_whatever_is_admitted_no_order_of_fills_reaches_a_limit(seed):
    """Entries, fills in part and stops with slippage up to the reserve follow each other in any order."""
    random = Random(seed)
    daily = random.choice((None, random.randrange(1, 3_000)))
    own = random.choice((None, random.randrange(1, 2_000)))
    limits = StrategyLimits(daily_loss=None if own is None else D(own))
    account = Account(random.randrange(0, 4_000), daily, limits)
    for _ in range(random.randrange(1, 13)):
        orders = [p for p, item in enumerate(account.book) if item.quantity and not item.is_position]
        what = random.choice(["ask", *["fill"] * bool(orders), *["stop"] * bool(account.marks)])
        if what == "ask":
            account.ask(entry(random))
        elif what == "fill":
            place = random.choice(orders)
            worst = -account.book[place].stop_ticks - SLIPPAGE
            account.fill(place, random.randrange(1, 31), random.randrange(worst, 2_001))
        else:
            account.stop(random.choice(sorted(account.marks)), random.randrange(0, SLIPPAGE + 1))
        account.check()
