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
from dataclasses import replace

from market.bars import Bar
from market.matching import Fill, Outcome, Resting
from market.orders import OrderType, Side


def step(bar: Bar, orders: Sequence[Resting], pairs: Mapping[int, int], *, slippage: int) -> Outcome:
    """Return what `bar` does to `orders` in the kindest reading. `pairs`: entry -> the other entry of its pair."""
    reading = _Reading(bar, orders, pairs, slippage)
    for order in sorted(reading.live(), key=lambda order: (order.type is OrderType.LIMIT, order.id)):
        if _meets(order, bar.open):
            reading.fill(order, bar.open, at_open=True)
    reached = {order.id: order for order in reading.live() if reading.reached(order)}
    for order in sorted(reached.values(), key=reading.nearness):
        sibling = reached.get(order.sibling) if order.sibling is not None else None
        better = sibling if sibling is not None and sibling.type is OrderType.LIMIT else order
        reading.fill(better, _price(better), at_open=False)
    return Outcome(tuple(reading.fills), tuple(reading.resting.values()), tuple(reading.cancelled))


class _Reading:
    """The state of one step: what still rests, by id in the order given."""

    def __init__(self, bar: Bar, orders: Sequence[Resting], pairs: Mapping[int, int], slippage: int) -> None:
        self.bar, self.pairs, self.slippage = bar, pairs, slippage
        self.resting = {order.id: order for order in orders}
        self.fills: list[Fill] = []
        self.cancelled: list[int] = []

    def live(self) -> list[Resting]:
        return [order for order in self.resting.values() if order.parent is None]

    def reached(self, order: Resting) -> bool:
        upwards = (order.side is Side.BUY) is (order.type is not OrderType.LIMIT)
        return _meets(order, self.bar.high if upwards else self.bar.low)

    def nearness(self, order: Resting) -> tuple[int, int, int]:
        return (abs(_price(order) - self.bar.open), -order.side, order.id)

    def fill(self, order: Resting, price: int, *, at_open: bool) -> None:
        """Fill `order` at `price` before slippage unless it is gone, then let its legs meet the bar."""
        if self.resting.pop(order.id, None) is None:
            return
        slippage = 0 if order.type is OrderType.LIMIT else order.side * self.slippage
        fill = Fill(order.id, order.side, order.quantity, price + slippage)
        self.fills.append(fill)
        for other in (order.sibling, self.pairs.get(order.id)):
            if other is not None:
                self._cancel(other)
        legs = [leg for leg in self.resting.values() if leg.parent == order.id]
        for leg in legs:
            self.resting[leg.id] = replace(leg, price=fill.price + (leg.offset or 0), parent=None, offset=None)
        for leg in sorted(legs, key=lambda leg: (leg.type is not OrderType.LIMIT, leg.id)):
            live = self.resting.get(leg.id)
            if live is None:
                continue
            if _meets(live, price):
                self.fill(live, price, at_open=at_open)
            elif self.reached(live) if at_open or live.type is OrderType.LIMIT else _meets(live, self.bar.close):
                self.fill(live, _price(live), at_open=at_open)

    def _cancel(self, order_id: int) -> None:
        if self.resting.pop(order_id, None) is not None:
            self.cancelled.append(order_id)
            for leg in [leg.id for leg in self.resting.values() if leg.parent == order_id]:
                self._cancel(leg)


def _meets(order: Resting, price: int) -> bool:
    """Return whether an order fills when the market is at `price`."""
    if order.type is OrderType.MARKET:
        return True
    beyond = (price - _price(order)) * order.side
    return beyond < 0 if order.type is OrderType.LIMIT else beyond >= 0


def _price(order: Resting) -> int:
    if order.price is None:
        raise ValueError(f"order {order.id} has no price")
    return order.price
