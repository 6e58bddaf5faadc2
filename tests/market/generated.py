"""Minute bars made from a seed: a random walk in ticks, quieter in the night, with minutes left out if wanted."""

from collections.abc import Sequence

import numpy as np

from market.bars import Bars, epoch
from market.sessions import Session


def minute_bars(sessions: Sequence[Session], seed: int, *, missing: float = 0.0, start: int = 80_000) -> Bars:
    """Return bars of every session; `missing` is the share of minutes without a bar."""
    random = np.random.default_rng(seed)
    opened_at = np.concatenate(
        [np.arange(epoch(session.opens_at), epoch(session.closes_at), 60, dtype=np.int64) for session in sessions]
    )
    rth = np.concatenate(
        [np.arange(epoch(s.opens_at), epoch(s.closes_at), 60) >= epoch(s.rth_opens_at) for s in sessions]
    )
    kept = random.random(len(opened_at)) >= missing
    opened_at, rth = opened_at[kept], rth[kept]
    size = np.where(rth, 12, 5)
    close = start + np.cumsum(np.rint(random.normal(0, size)).astype(np.int64))
    opening = np.concatenate(([start], close[:-1])) + np.rint(random.normal(0, 1, len(close))).astype(np.int64)
    reach = np.abs(np.rint(random.normal(0, size, (2, len(close))))).astype(np.int64)
    high, low = np.maximum(opening, close) + reach[0], np.minimum(opening, close) - reach[1]
    return Bars(opened_at, opening, high, low, close, random.integers(0, 500, len(close)))
