"""The kindest reading of a bar: what `market.matching.step` takes for worse, taken for better where the bar allows it.

 - The first entry of a pair that fills cancels the other at once.
 - If the bar reaches both a stop and its sibling limit, the limit fills.
 - After an entry the bar's best price is still to come: its target fills if the bar went beyond it. Its stop fills only
   if the price was certainly there after the entry: for an entry at the open when the bar reaches it, else when the
   close is beyond it.

Everything certain is as in `step`: the open, the order by nearness, prices, slippage. It is no forecast: the truth lies
between both readings, and their difference says how much a result hangs on the order of prices inside of bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from market.bars import Bar
from market.matching import Book, Outcome, Resting, meets, price_of
from market.orders import OrderType


def step(bar: Bar, orders: Sequence[Resting], pairs: Mapping[int, int], *, slippage: int) -> Outcome:
    """Return what `bar` does to `orders` in the kindest reading. `pairs`: entry -> the other entry of its pair."""
    reading = _Reading(bar, orders, pairs, slippage)
    for order in sorted(reading.live(), key=lambda order: (order.type is OrderType.LIMIT, order.id)):
        if meets(order, bar.open):
            reading.fill(order, bar.open, at_open=True)
    reached = {order.id: order for order in reading.live() if reading.reached(order)}
    for order in sorted(reached.values(), key=reading.nearness):
        sibling = reached.get(order.sibling) if order.sibling is not None else None
        better = sibling if sibling is not None and sibling.type is OrderType.LIMIT else order
        reading.fill(better, price_of(better), at_open=False)
    return reading.outcome


class _Reading(Book):
    """The state of one step."""

    def __init__(self, bar: Bar, orders: Sequence[Resting], pairs: Mapping[int, int], slippage: int) -> None:
        super().__init__(bar, orders, slippage)
        self.pairs = pairs

    def fill(self, order: Resting, price: int, *, at_open: bool) -> None:
        """Fill `order` at `price` before slippage unless it is gone, then let its legs meet the bar."""
        legs = self.execute(order, price)
        if legs is None:
            return
        for other in (order.sibling, self.pairs.get(order.id)):
            if other is not None:
                self.cancel(other)
        for leg in sorted(legs, key=lambda leg: (leg.type is not OrderType.LIMIT, leg.id)):
            live = self.resting.get(leg.id)
            if live is None:
                continue
            if meets(live, price):
                self.fill(live, price, at_open=at_open)
            elif self.reached(live) if at_open or live.type is OrderType.LIMIT else meets(live, self.bar.close):
                self.fill(live, price_of(live), at_open=at_open)
