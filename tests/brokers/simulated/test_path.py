from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.simulated.path import MINUTE, Path, seconds
from market.bars import Bar, Bars


@st.composite
def bars(draw):
    low, high = sorted(draw(st.tuples(st.integers(1, 400), st.integers(1, 400))))
    open_, close = draw(st.integers(low, high)), draw(st.integers(low, high))
    return Bar(0, open_, high, low, close, draw(st.integers(0, 5000)))


@settings(max_examples=60)
@given(bars(), st.lists(st.integers(0, MINUTE), max_size=20))
def test_the_pieces_join_and_make_up_the_bar(bar, cuts):
    times = sorted({0, MINUTE, *cuts})
    pieces = [Path(bar).piece(a, b) for a, b in pairwise(times)]
    assert all(a.close == b.open for a, b in pairwise(pieces))
    whole = (pieces[0].open, max(p.high for p in pieces), min(p.low for p in pieces), pieces[-1].close)
    assert whole == (bar.open, bar.high, bar.low, bar.close)
    assert sum(p.volume for p in pieces) == bar.volume


@pytest.mark.parametrize(("bar", "prices"), [
    ((100, 110, 95, 105), [100, 95, 110, 105]),  # the low is nearer
    ((100, 105, 90, 95), [100, 105, 90, 95]),  # the high is nearer
    ((100, 110, 90, 100), [100, 110, 90, 100]),  # a tie: the high first
])  # fmt: skip
def test_the_nearer_extreme_comes_first(bar, prices):
    path = Path(Bar(0, *bar))
    seen = [path.price(at) for at in range(0, MINUTE + 1, MINUTE // 600)]
    assert seen.index(prices[1]) < seen.index(prices[2])
    assert (seen[0], seen[-1]) == (prices[0], prices[-1])


def test_a_bar_without_movement_stands_still():
    assert Path(Bar(0, 7, 7, 7, 7, 12)).piece(0, MINUTE // 4) == Bar(0, 7, 7, 7, 7, 3)


@settings(max_examples=40)
@given(st.lists(bars(), max_size=4))
def test_seconds_of_many_minutes_are_the_pieces_of_each(found):
    minutes = [Bar(60 * i, bar.open, bar.high, bar.low, bar.close, bar.volume) for i, bar in enumerate(found)]
    pieces = [Path(bar).piece(s * 1_000_000, (s + 1) * 1_000_000) for bar in minutes for s in range(60)]
    assert list(seconds(Bars.of(minutes))) == pieces
