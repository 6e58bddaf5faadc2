"""How one bar fills working orders: the rule shared by the simulated venue and the backtest kernel.

A bar says where the price was, not in which order. The rule takes what is certain and, where it is not, the worse case:

 1. At the open. Every order that works meets the open price: a market order fills at it; a stop that the open has
    reached (buy: open >= price) fills at the open, not at its price; a limit that the open has passed (buy:
    open < price) fills at the open. Stops and market orders go before limits, then by id.
 2. Within the bar. A stop fills at its price if the range reaches it (buy: high >= price). A limit fills at its price
    only if the range goes strictly beyond (buy: low < price): a touch does not prove that our place in the queue was
    reached. The order nearest to the open goes first, of two equally near the buy, then by id. Nothing at the venue
    ties two entries together, so both sides of an entry pair may fill in one bar.
 3. Slippage is added to the price of market, stop and trailing stop orders against us, never to limits.
 4. Siblings. A fill cancels its sibling, with all legs that hang on it. If the bar reaches both a stop and its sibling
    limit, the stop fills.
 5. Legs. An entry's fill puts its legs at the fill price (after slippage) + offset, and they meet the bar right after:
    a stop leg is hit if any price of the bar reaches it, also one that may lie before the entry (at the entry's price
    before slippage if it starts beyond that); then
    a target leg fills only if the price certainly went beyond it after the entry: for an entry filled at the open, or
    by a stop, when the bar's extreme is beyond the target; for a limit filled within the bar only when the close is.
 6. Trailing stops are met at the price they had before the bar (1, 2, 5); then they follow the bar's best price (a leg
    of a limit filled within the bar: the better of entry and close). If the close is then beyond the moved stop, the
    price certainly came back through it: it fills there, after everything else, by id.

Quantities are whole: a fill is of the full order. Partial fills, fees and session hours are the venue's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from market.bars import Bar
from market.orders import OrderType, Side


@dataclass(frozen=True, slots=True)
class Resting:
    """An order as the matching sees it; prices and distances in ticks.

    price         limit or stop price; None for a market order, and for a trailing stop that starts at the bar's open
    parent        id of the entry that activates it; such a leg hangs on the parent's fill price plus `offset`.
                  An activated leg is given back without parent and offset, with its price
    offset        signed ticks from the parent's fill to this leg's price; None for an order of its own
    sibling       id of the order that is cancelled when this one fills (bracket legs)
    trail         ticks that a trailing stop keeps behind the best price since it works
    """

    id: int
    side: Side
    type: OrderType
    quantity: int
    price: int | None = None
    parent: int | None = None
    offset: int | None = None
    sibling: int | None = None
    trail: int | None = None

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError(f"order {self.id}: quantity {self.quantity} must be positive")
        if (self.parent is None) != (self.offset is None):
            raise ValueError(f"order {self.id}: parent {self.parent} and offset {self.offset} belong together")
        if self.type is OrderType.TRAILING_STOP and (self.trail is None or self.trail <= 0):
            raise ValueError(f"order {self.id}: a trailing stop needs a positive trail, not {self.trail}")
        if self.type in (OrderType.LIMIT, OrderType.STOP) and self.price is None and self.parent is None:
            raise ValueError(f"order {self.id}: a {self.type} order needs a price")


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution inside a bar; `price` in ticks after slippage."""

    order_id: int
    side: Side
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bar did: its fills in order, the orders that work after it, the ids it cancelled (siblings of fills)."""

    fills: tuple[Fill, ...]
    working: tuple[Resting, ...]
    cancelled: tuple[int, ...]


def step(bar: Bar, orders: Sequence[Resting], *, slippage: int = 0) -> Outcome:
    """Return what `bar` does to `orders`, all of which live from its open, by the rule above.

    slippage   ticks against us on market, stop and trailing stop orders
    Working orders come back in the order given. Raises ValueError for two orders with one id, a leg whose entry is not
    among the orders or has its own direction, and negative slippage.
    """
    matching = _Matching(bar, orders, slippage)
    matching.open()
    matching.move()
    matching.trail()
    return matching.outcome


class Book:
    """Orders that meet one bar: what still rests, by id in the order given, and what became of the rest.

    For readings of a bar: this one, and the backtest's kindest (`backtest.kindness`).
    """

    def __init__(self, bar: Bar, orders: Sequence[Resting], slippage: int) -> None:
        self.bar, self.slippage = bar, slippage
        self.resting = {order.id: order for order in orders}
        self.fills: list[Fill] = []
        self.cancelled: list[int] = []

    @property
    def outcome(self) -> Outcome:
        return Outcome(tuple(self.fills), tuple(self.resting.values()), tuple(self.cancelled))

    def live(self) -> list[Resting]:
        """Return the orders that may fill: legs wait for their entry."""
        return [order for order in self.resting.values() if order.parent is None]

    def reached(self, order: Resting) -> bool:
        """Return whether the bar came to the order's price."""
        upwards = (order.side is Side.BUY) is (order.type is not OrderType.LIMIT)
        return meets(order, self.bar.high if upwards else self.bar.low)

    def nearness(self, order: Resting) -> tuple[int, int, int]:
        """Return the key that sorts the side nearer to the open first; a tie is long."""
        return (abs(price_of(order) - self.bar.open), -order.side, order.id)

    def execute(self, order: Resting, price: int) -> list[Resting] | None:
        """Fill `order` at `price` before slippage and hang its legs on the fill; returns them, None if it is gone."""
        if self.resting.pop(order.id, None) is None:
            return None
        slippage = 0 if order.type is OrderType.LIMIT else order.side * self.slippage
        fill = Fill(order.id, order.side, order.quantity, price + slippage)
        self.fills.append(fill)
        legs = [leg for leg in self.resting.values() if leg.parent == order.id]
        for leg in legs:
            self.resting[leg.id] = replace(leg, price=fill.price + (leg.offset or 0), parent=None, offset=None)
        return legs

    def cancel(self, order_id: int) -> None:
        """Take an order away with its legs, if it still rests."""
        if self.resting.pop(order_id, None) is not None:
            self.cancelled.append(order_id)
            for leg in [leg.id for leg in self.resting.values() if leg.parent == order_id]:
                self.cancel(leg)


class _Matching(Book):
    """The state of one step."""

    def __init__(self, bar: Bar, orders: Sequence[Resting], slippage: int) -> None:
        if slippage < 0:
            raise ValueError(f"slippage {slippage} must not be negative")
        super().__init__(bar, orders, slippage)
        self.activated: dict[int, int | None] = {}  # leg -> the best price certainly seen since, None for the bar's
        if len(self.resting) < len(orders):
            raise ValueError(f"two orders with one id: {sorted(order.id for order in orders)}")
        for order in orders:
            entry = self.resting.get(order.parent) if order.parent is not None else None
            if order.parent is not None and (entry is None or entry.side is order.side):
                raise ValueError(f"order {order.id}: no entry {order.parent} of the other direction to hang on")
            if order.parent is None and order.price is None and order.trail is not None:
                self.resting[order.id] = replace(order, price=bar.open + order.side * order.trail)

    def open(self) -> None:
        """Apply rule 1."""
        for order in sorted(self.live(), key=lambda order: (order.type is OrderType.LIMIT, order.id)):
            if meets(order, self.bar.open):
                self._fill(order, self.bar.open, certain=True)

    def move(self) -> None:
        """Apply rules 2 and 4 to the orders that worked before the bar."""
        reached = {order.id: order for order in self.live() if self.reached(order)}
        for order in sorted(reached.values(), key=self.nearness):
            sibling = reached.get(order.sibling) if order.sibling is not None else None
            stopped = sibling is not None and order.type is OrderType.LIMIT and sibling.type is not OrderType.LIMIT
            worse = sibling if sibling is not None and stopped else order
            self._fill(worse, price_of(worse), certain=worse.type is not OrderType.LIMIT)

    def trail(self) -> None:
        """Apply the second half of rule 6."""
        for order in sorted(self.live(), key=lambda order: order.id):
            if order.type is not OrderType.TRAILING_STOP or order.trail is None or order.id not in self.resting:
                continue
            best = self.activated.get(order.id)
            if best is None:
                best = self.bar.high if order.side is Side.SELL else self.bar.low
            follow = max if order.side is Side.SELL else min
            moved = replace(order, price=follow(price_of(order), best + order.side * order.trail))
            self.resting[order.id] = moved
            if meets(moved, self.bar.close):
                self._fill(moved, price_of(moved), certain=True)

    def _fill(self, order: Resting, price: int, *, certain: bool) -> None:
        """Fill `order` at `price` before slippage, then let its legs meet the bar; `certain`: all of it came later."""
        legs = self.execute(order, price)
        if legs is None:
            return
        if order.sibling is not None:
            self.cancel(order.sibling)
        best = None if certain else (max if order.side is Side.BUY else min)(price, self.bar.close)
        self.activated |= dict.fromkeys((leg.id for leg in legs), best)
        for leg in sorted(legs, key=lambda leg: (leg.type is OrderType.LIMIT, leg.id)):
            live = self.resting.get(leg.id)
            if live is None:
                continue
            doubtful = live.type is OrderType.LIMIT and not certain
            if meets(live, price):
                self._fill(live, price, certain=certain)
            elif meets(live, self.bar.close) if doubtful else self.reached(live):
                self._fill(live, price_of(live), certain=certain)


def meets(order: Resting, price: int) -> bool:
    """Return whether an order fills when the market is at `price`."""
    if order.type is OrderType.MARKET:
        return True
    beyond = (price - price_of(order)) * order.side
    return beyond < 0 if order.type is OrderType.LIMIT else beyond >= 0


def price_of(order: Resting) -> int:
    return cast(int, order.price)
