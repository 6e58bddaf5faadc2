"""What is printed adds up to the bars that the history tells."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.simulated.events import Disorder, EventSwitches
from brokers.simulated.hubs_tape import Tape
from brokers.simulated.products import listed
from market.bars import Bar, epoch
from tests.brokers.simulated.stage import MNQ, START, HandMarket

STEPS = st.lists(st.floats(0.02, 25), min_size=3, max_size=60)
PRICES = st.tuples(*[st.integers(79_990, 80_010)] * 4)


def drawn(prices: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    return prices[0] / 4, max(prices) / 4, min(prices) / 4, prices[3] / 4


@settings(max_examples=60, deadline=None)
@given(st.lists(PRICES, min_size=1, max_size=3), STEPS)
def test_the_prints_of_a_minute_are_its_bar_whenever_it_is_looked_at(
    bars: list[tuple[int, int, int, int]], steps: list[float]
):
    market = HandMarket()
    market.add(START - timedelta(minutes=1), 20000, 20000, 20000, 20000)
    for number, prices in enumerate(bars):
        market.add(START + timedelta(minutes=number), *drawn(prices))
    tape, now = Tape(market, listed(MNQ), START), START
    end = START + timedelta(minutes=len(bars))
    found: dict[int, list] = {}
    before = None
    for seconds in [*steps, 600]:
        now = min(now + timedelta(seconds=seconds), end)
        for one in tape.run(now):
            assert one.at < now
            assert before is None or one.up is (one.price > before.price if one.price != before.price else before.up)
            before = one
            found.setdefault(epoch(one.at) // 60 * 60, []).append(one)
    expected = {bar.opened_at: bar for bar in market._bars[1:]}
    made = {
        minute: Bar(
            minute,
            p[0].price,
            max(x.price for x in p),
            min(x.price for x in p),
            p[-1].price,
            sum(x.quantity for x in p),
        )
        for minute, p in found.items()
    }
    assert made == expected


def test_a_quote_shows_the_last_print_between_bid_and_ask():
    market = HandMarket()
    market.add(START, 20000, 20004, 19998, 20001)
    tape = Tape(market, listed(MNQ), START)
    tape.run(START + timedelta(seconds=60))
    quote = tape.quote(START + timedelta(seconds=60), whole=True)
    assert (quote["lastPrice"], quote["bestAsk"] - quote["bestBid"]) == (20001, listed(MNQ).contract.tick_size)
    assert quote["bestBid"] <= quote["lastPrice"] <= quote["bestAsk"]
    assert (quote["high"], quote["low"], quote["volume"]) == (20004, 19998, 120)


def test_nothing_is_said_when_nothing_changed():
    market = HandMarket()
    market.add(START, 20000, 20004, 19998, 20001)
    tape = Tape(market, listed(MNQ), START)
    assert tape.quote(START)
    assert tape.quote(START + timedelta(seconds=1)) == {}


def test_the_market_does_not_print_while_it_is_closed():
    market = HandMarket()
    tape = Tape(market, listed(MNQ), START.replace(hour=22, minute=10))  # 17:10 New York
    assert tape.run(START.replace(hour=22, minute=30)) == []


EVENTS = [("GatewayUserTrade", {"id": number, "accountId": 1, "size": 1}) for number in range(200)]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_lost_events_are_a_share(share: float):
    left = Disorder(EventSwitches(lost=share)).pass_on(EVENTS)
    assert abs(len(left) - 200 * (1 - share)) <= 25
    assert left == [event for event in EVENTS if event in left]


def test_whatever_is_reordered_or_repeated_arrives():
    disorder = Disorder(EventSwitches(duplicated=0.5, reordered=0.5), seed=3)
    left = [event for start in range(0, 200, 10) for event in disorder.pass_on(EVENTS[start : start + 10])]
    left += disorder.release()
    assert {event[1]["id"] for event in left} == set(range(200))
    assert len(left) > 250
    assert left != sorted(left, key=lambda event: event[1]["id"])
