"""Bars and signals out of hypothesis, as the kernel takes them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from backtest.codes import (
    ADDS,
    BREAKEVEN,
    EXIT_LONG,
    EXIT_SHORT,
    EXPIRES,
    KIND,
    LONG,
    OCO,
    PARTIALS,
    PARTS,
    PRICE,
    QUANTITY,
    ROW,
    SHORT,
    SIGNAL_COLUMNS,
    STOP_TICKS,
    TARGET_TICKS,
    TRAIL_TICKS,
    Policy,
)
from market.bars import Int
from market.plans import Kind

START = 1000
_steps = st.integers(-6, 6)
_bar = st.tuples(_steps, st.integers(-2, 2), st.integers(0, 6), st.integers(0, 6), st.integers(0, 9))
_pair, _long, _short, _nothing = range(4)
_slip = st.integers(0, 2)
_slips = st.one_of(st.lists(_slip, min_size=1, max_size=1), st.lists(_slip, min_size=3, max_size=3))  # of each hour


@st.composite
def runs(draw: st.DrawFn, policy: Policy) -> tuple[Any, ...]:
    """Draw all arguments of `backtest.kernel.run`: a few sessions, a dozen signals, any management."""
    rows = draw(st.lists(_bar, min_size=2, max_size=45))
    moves, gaps, above, below, holes = np.array(rows, np.int64).T
    closes = START + np.cumsum(moves)
    opens = np.concatenate(([START], closes[:-1])) + gaps
    highs, lows = np.maximum(opens, closes) + above, np.minimum(opens, closes) - below
    opened_at = 60 * (np.arange(len(rows)) + np.cumsum(holes == 9) + draw(st.integers(0, 59)))  # within two hours
    dates = np.cumsum(holes == 8)
    flat_at = np.empty(len(rows), np.int64)
    for date in np.unique(dates):
        mine = dates == date
        flat_at[mine] = opened_at[mine][-1] + 60 * draw(st.integers(-10, 3))
    at = sorted(draw(st.sets(st.integers(0, len(rows) - 1), max_size=12)))
    signals = np.array([draw(_signals(row, int(closes[row]), int(opened_at[row]))) for row in at], np.int64)
    bars = [np.ascontiguousarray(column) for column in (opened_at, opens, highs, lows, closes, dates, flat_at)]
    details, begins = draw(_details(bars[1:5])) if policy is Policy.DETAIL else _no_details(len(rows))
    return (
        *bars,
        np.array(draw(st.lists(st.sampled_from([True] * 9 + [False]), min_size=len(rows), max_size=len(rows)))),
        signals.reshape(-1, SIGNAL_COLUMNS),
        details,
        begins,
        np.array(draw(_slips), np.int64),
        draw(st.integers(0, 2)),  # offset of the breakeven
        draw(st.sampled_from([0, 0, 300])),  # hold
        draw(st.integers(0, 2)),  # additions
        int(policy),
        2,  # least stop
    )


@st.composite
def _signals(draw: st.DrawFn, row: int, close: int, opened_at: int) -> list[int]:
    columns = [0] * SIGNAL_COLUMNS
    asks = draw(st.sampled_from([_pair, _pair, _long, _short, _nothing]))
    columns[ROW], columns[OCO], columns[QUANTITY] = row, asks == _pair, draw(st.integers(0, 3))
    columns[EXIT_LONG], columns[EXIT_SHORT] = draw(st.integers(0, 4)) == 0, draw(st.integers(0, 4)) == 0
    columns[TRAIL_TICKS], columns[ADDS] = draw(st.sampled_from([0, 0, 4, 9])), draw(st.integers(0, 3)) == 0
    for part in range(min(max(columns[QUANTITY], 1) - 1, draw(st.integers(0, 2)))):
        columns[PARTS + part] = 1
    for side, first, mine in ((1, LONG, (_pair, _long)), (-1, SHORT, (_pair, _short))):
        if asks not in mine:
            continue
        kind = Kind.STOP if asks == _pair else draw(st.sampled_from([Kind.MARKET, Kind.LIMIT, Kind.STOP]))
        away = side * draw(st.integers(0, 9)) * (1 if kind is Kind.STOP else -1)
        columns[first + KIND], columns[first + PRICE] = kind, 0 if kind is Kind.MARKET else close + away
        columns[first + STOP_TICKS], columns[first + TARGET_TICKS] = (
            draw(st.integers(1, 15)),
            draw(st.sampled_from([0, 3, 10])),
        )
        columns[first + EXPIRES] = opened_at + 60 * draw(st.integers(0, 30))
        columns[first + BREAKEVEN] = draw(st.sampled_from([0, 0, 3, 8]))
        columns[first + PARTIALS] = draw(st.integers(1, 8))
        columns[first + PARTIALS + 1] = columns[first + PARTIALS] + draw(st.integers(0, 8))
    return columns


@st.composite
def _details(draw: st.DrawFn, prices: list[Int]) -> tuple[Int, Int]:
    """Draw for most bars the three straight ways that lead from its open over both extremes to its close."""
    pieces: list[tuple[int, int, int, int]] = []
    begins = [0]
    for opened, high, low, close in zip(*(column.tolist() for column in prices), strict=True):
        corners = draw(st.sampled_from([(), (opened, high, low, close), (opened, low, high, close)]))
        pieces += [(a, max(a, b), min(a, b), b) for a, b in pairwise(corners)]
        begins.append(len(pieces))
    return np.array(pieces, np.int64).reshape(-1, 4), np.array(begins, np.int64)


def _no_details(length: int) -> tuple[Int, Int]:
    return np.zeros((0, 4), np.int64), np.zeros(length + 1, np.int64)
