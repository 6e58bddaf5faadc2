"""How long calls took, kept as counts: of many numbers only how many lie between two bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)
"""Seconds, upper ends; one more bucket holds what took longer than the last."""


def bucket(seconds: float) -> int:
    """Return the number of the bucket that `seconds` belong to."""
    return bisect_left(BOUNDS, seconds)


def nothing() -> list[int]:
    """Return buckets that hold nothing."""
    return [0] * (len(BOUNDS) + 1)


def together(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Return the sum of two sets of buckets; an empty one counts as nothing."""
    return [a + b for a, b in zip(one or nothing(), other or nothing(), strict=True)]


def quantile(buckets: Sequence[int], share: float, *, slowest: float) -> float | None:
    """Return seconds within which `share` of the calls ended, rounded up to a bound; None without calls."""
    total = sum(buckets)
    if not total:
        return None
    passed = 0
    for number, bound in zip(buckets, (*BOUNDS, slowest), strict=True):
        passed += number
        if passed >= share * total:
            return min(bound, slowest)
    return slowest
