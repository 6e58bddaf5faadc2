"""Paging against venues that differ in everything that is not documented."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.base import ReadFailed
from brokers.projectx import pages, wire

AT = datetime(2026, 10, 1, tzinfo=UTC)


def order(number: int) -> wire.Order:
    return wire.Order(number, 1001, "C", AT, 1, 1, 0, 1, 0)


def venue(
    book: list[int], *, longest: int, by_pages: bool, counts: bool, after: Callable[[int], None] = lambda _: None
) -> tuple[Callable[[int], wire.OrderPage], list[int]]:
    """Return a venue's query over `book` and the offsets it was asked for; `after` runs after each answer."""
    asked: list[int] = []

    def query(offset: int) -> wire.OrderPage:
        asked.append(offset)
        start = offset * longest if by_pages else offset
        page = wire.OrderPage([order(n) for n in book[start : start + longest]], len(book) if counts else None)
        after(len(asked))
        return page

    return query, asked


@settings(max_examples=200, deadline=None)
@given(
    book=st.lists(st.integers(1, 10**10), unique=True, max_size=30).map(sorted),
    longest=st.integers(1, 12),
    by_pages=st.booleans(),
    counts=st.booleans(),
)
def test_all_orders_are_found_whatever_offset_and_longest_page_mean(
    book: list[int], longest: int, by_pages: bool, counts: bool
):
    query, _ = venue(book, longest=longest, by_pages=by_pages, counts=counts)
    assert [found.id for found in pages.orders(query)] == book


@settings(max_examples=200, deadline=None)
@given(
    book=st.lists(st.integers(1, 50), unique=True, min_size=2, max_size=20).map(sorted),
    longest=st.integers(1, 6),
    by_pages=st.booleans(),
    counts=st.booleans(),
    when=st.integers(1, 8),
    leaver=st.integers(0, 19),
    joins=st.booleans(),
)
def test_an_order_that_stays_is_never_missed_while_others_come_and_go(
    book: list[int], longest: int, by_pages: bool, counts: bool, when: int, leaver: int, joins: bool
):
    stays = set(book)
    changing = list(book)

    def change(answers: int) -> None:
        if answers == when and leaver < len(changing):
            stays.discard(changing.pop(leaver))
            if joins:
                changing.append(99)

    query, _ = venue(changing, longest=longest, by_pages=by_pages, counts=counts, after=change)
    try:
        found = {one.id for one in pages.orders(query)}
    except ReadFailed:
        return
    assert stays <= found


def test_one_page_that_is_complete_costs_one_request():
    query, asked = venue([1, 2, 3], longest=100, by_pages=True, counts=True)
    pages.orders(query)
    assert asked == [0]


@pytest.mark.parametrize(
    "answers",
    [
        [([], 2)],
        [([1, 1], 2)],
        [([1, 2], 1), ([], 1)],
        [([1, 2], 4), ([1, 2], 4)],
        [([1, 2], 4), ([2, 1], 4)],
        [([1, 2], 4), ([3], 4), ([], 4)],
        [([1, 2], 4), ([3, 4], 5)],
        [([1, 2], 4), ([3, 4], None)],
        [([1, 2], 3), ([3], 3), ([1, 4], 3), ([5], 3)],
    ],
)
def test_repeats_gaps_and_disagreement_fail_the_read(answers: list[tuple[list[int], int | None]]):
    script = iter(answers)

    def query(offset: int) -> wire.OrderPage:
        ids, total = next(script)
        return wire.OrderPage([order(number) for number in ids], total)

    with pytest.raises(ReadFailed):
        pages.orders(query)
    assert next(script, None) is None


def bar(minute: int, volume: int = 1) -> wire.Bar:
    return wire.Bar(AT + timedelta(minutes=minute), *(Decimal(1),) * 4, volume)


def history(minutes: list[int], *, inclusive: bool, newest_first: bool):
    """Return a venue's bars endpoint and the windows it was asked for."""
    asked: list[tuple[datetime, int]] = []

    def fetch(end: datetime, limit: int) -> list[wire.Bar]:
        asked.append((end, limit))
        inside = [one for one in map(bar, minutes) if one.t < end or (inclusive and one.t == end)]
        return sorted(inside[-limit:], key=lambda one: one.t, reverse=newest_first)

    return fetch, asked


@settings(max_examples=150, deadline=None)
@given(
    minutes=st.lists(st.integers(-5, 60), unique=True, max_size=50).map(sorted),
    limit=st.integers(1, 60),
    longest=st.integers(2, 10),
    inclusive=st.booleans(),
    newest_first=st.booleans(),
)
def test_bars_are_the_newest_of_the_window_in_order_without_repeats(
    minutes: list[int], limit: int, longest: int, inclusive: bool, newest_first: bool
):
    fetch, _ = history(minutes, inclusive=inclusive, newest_first=newest_first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "BARS_A_REQUEST", longest)
        found = pages.bars(fetch, AT, AT + timedelta(minutes=30), limit)
    assert found == [bar(minute) for minute in minutes if 0 <= minute < 30][-limit:]


def test_more_bars_than_one_request_allows_are_fetched_backwards():
    fetch, asked = history(list(range(45_000)), inclusive=False, newest_first=True)
    found = pages.bars(fetch, AT, AT + timedelta(minutes=45_000), 45_000)
    assert [found[0], found[-1], len(found)] == [bar(0), bar(44_999), 45_000]
    assert [(int((end - AT).total_seconds() // 60), limit) for end, limit in asked] == [
        (45_000, 20_000),
        (25_000, 20_000),
        (5_000, 20_000),
    ]


def test_a_venue_that_ignores_the_end_does_not_trap_us():
    calls = []

    def fetch(end: datetime, limit: int) -> list[wire.Bar]:
        calls.append(end)
        return [bar(minute) for minute in range(20_000)]

    assert len(pages.bars(fetch, AT - timedelta(days=1), AT + timedelta(days=90), 30_000)) == 20_000
    assert len(calls) == 2
