"""Minutes made of trades."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import Bar
from market.orders import Side
from tradingbot.operations.streaming.candles import Closed, Minutes

START = 1_790_000_040  # a full minute
SIDE = st.sampled_from((Side.BUY, Side.SELL, Side.BUY, Side.SELL, None))
TRADE = st.tuples(st.integers(0, 5 * 60 - 1), st.integers(79_990, 80_010), st.integers(1, 9), SIDE)


def minutes(at: float = START) -> Minutes:
    made = Minutes(settle=0.25)
    made.begin(at)
    return made


@settings(deadline=None)
@given(st.lists(TRADE, max_size=60), st.randoms(use_true_random=False))
def test_bars_are_those_of_the_trades_in_whichever_order_they_come_in_a_minute(
    trades: list[tuple[int, int, int, Side | None]], chance
):
    made = minutes()
    trades = sorted(trades, key=lambda trade: trade[0])
    found: list[Closed] = []
    for minute in range(5):
        mine = [trade for trade in trades if trade[0] // 60 == minute]
        shuffled = mine[:]
        chance.shuffle(shuffled)
        for at, price, quantity, side in shuffled:
            made.trade(START + at, price, quantity, side)
        made.saw(START + minute * 60 + 60, arrived=minute)
        found += made.closed(minute + 0.3)
    assert [closed.opened_at for closed in found] == [START + 60 * minute for minute in range(5)]
    for minute, closed in enumerate(found):
        mine = [trade for trade in trades if trade[0] // 60 == minute]
        if not mine:
            assert closed.bar is None
            continue
        assert closed.bar is not None
        prices = [price for _, price, _, _ in mine]
        assert (closed.bar.high, closed.bar.low) == (max(prices), min(prices))
        assert closed.bar.volume == sum(quantity for _, _, quantity, _ in mine)
        assert closed.bar.open in {price for at, price, _, _ in mine if at == mine[0][0]}
        assert closed.bar.close in {price for at, price, _, _ in mine if at == mine[-1][0]}
        whole = all(side for *_, side in mine)
        assert closed.bar.delta == (sum(quantity * side for _, _, quantity, side in mine) if whole else None)


def test_the_minute_in_which_listening_began_is_not_whole():
    made = minutes(START + 0.5)
    made.trade(START + 30, 100, 1, None)
    made.saw(START + 61, arrived=0)
    made.trade(START + 70, 101, 2, None)
    made.saw(START + 121, arrived=60)
    assert made.closed(100) == [Closed(START + 60, Bar(START + 60, 101, 101, 101, 101, 2))]
    assert made.late == set()


def test_a_minute_waits_for_the_venues_clock_and_then_for_what_is_on_its_way():
    made = minutes()
    made.trade(START + 59, 100, 1, None)
    assert made.closed(1000) == []  # whatever our clock says
    made.saw(START + 60.1, arrived=5.0)
    assert made.closed(5.2) == []
    made.trade(START + 59.9, 102, 1, None)
    assert [closed.bar and closed.bar.close for closed in made.closed(5.25)] == [102]


def test_a_quiet_minute_is_closed_by_the_quotes_alone():
    made = minutes()
    made.saw(START + 121, arrived=1.0)
    assert made.closed(2.0) == [Closed(START, None), Closed(START + 60, None)]


def test_nothing_is_whole_between_an_interruption_and_the_next_beginning():
    made = minutes()
    made.trade(START + 5, 100, 1, None)
    made.interrupt()
    made.trade(START + 6, 100, 1, None)
    made.saw(START + 130, arrived=1.0)
    assert made.closed(9.0) == []
    made.begin(START + 130)
    made.saw(START + 240, arrived=2.0)
    assert [closed.opened_at for closed in made.closed(9.0)] == [START + 180]


def test_a_trade_that_comes_after_its_minute_was_given_out_is_remembered():
    made = minutes()
    made.saw(START + 61, arrived=1.0)
    made.closed(2.0)
    made.trade(START + 59, 100, 1, None)
    made.trade(START - 10, 100, 1, None)  # before we listened
    assert made.late == {START}
