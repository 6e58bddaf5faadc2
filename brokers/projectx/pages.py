"""Reads that may take several requests, correct without trusting what nobody documented."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

from brokers.base import ReadFailed
from brokers.projectx import wire

ORDERS_A_PAGE = 100
PAGES = 50
BARS_A_REQUEST = 20_000


def orders(query: Callable[[int], wire.OrderPage]) -> list[wire.Order]:
    """Return every order that `query(page_offset)` pages through, asked in ascending order of id.

    Whether the offset counts rows or pages is not documented, nor is the longest page: the second page shows which.
    Almost always one page holds everything and says so. Otherwise all pages are read twice and must agree, because an
    order that ends between two requests moves the others up. Raises ReadFailed for repeats, gaps and disagreement.
    """
    first = query(0)
    if first.total == len(first.orders) or (first.total is None and not first.orders):
        if len({order.id for order in first.orders}) < len(first.orders):
            raise ReadFailed("an order is listed twice")
        return first.orders
    once, again = _walk(query, first), _walk(query, query(0))
    if [order.id for order in once] != [order.id for order in again]:
        raise ReadFailed("the orders changed while their pages were read")
    return again


def _walk(query: Callable[[int], wire.OrderPage], first: wire.OrderPage) -> list[wire.Order]:
    found, total, size = list(first.orders), first.total, len(first.orders)
    if not found:
        raise ReadFailed(f"no orders on the first page, {total} in total")
    page = query(1)
    known = [order.id for order in first.orders[1:]]
    counts_rows = [order.id for order in page.orders[: size - 1]] == known
    fresh = page.orders[size - 1 :] if counts_rows else page.orders
    for pages in range(2, PAGES):
        if page.total != total:
            raise ReadFailed(f"there were {total} orders, then {page.total}, while their pages were read")
        found += fresh
        if any(later.id <= earlier.id for earlier, later in pairwise(found)):
            raise ReadFailed("the pages of orders repeat or are out of order")
        if len(found) == total or (total is None and not fresh):
            return found
        if not fresh:
            break
        page = query(len(found) if counts_rows else pages)
        fresh = page.orders
    raise ReadFailed(f"{len(found)} orders on all pages, {total} in total")


def bars(
    fetch: Callable[[datetime, int], list[wire.Bar]], start: datetime, end: datetime, limit: int
) -> list[wire.Bar]:
    """Return the newest `limit` bars that opened in [start, end), oldest first, each opening time once.

    `fetch(end, limit)` brings the newest bars of the window up to `end`, in any order; one at `end` is left out.
    """
    found: dict[datetime, wire.Bar] = {}
    until = end
    while len(found) < limit:
        asked = min(limit + 1, BARS_A_REQUEST)  # one more: the venue may count the bar at `end` in
        page = fetch(until, asked)
        for bar in page:
            if start <= bar.t < end:
                found.setdefault(bar.t, bar)
        if len(page) < asked:
            break
        oldest = min(bar.t for bar in page)
        if not start < oldest < until:
            break
        until = oldest
    return sorted(found.values(), key=lambda bar: bar.t)[-limit:]
