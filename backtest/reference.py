"""The event loop in plain Python, bar by bar upon `market.matching.step`: what `backtest.kernel` has to equal.

It is slow and says what is meant. Whoever changes a rule changes it here first; the property test then fails until the
kernel follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from backtest import kindness
from backtest.codes import (
    ADDS,
    BREAKEVEN,
    EXIT_LONG,
    EXIT_SHORT,
    EXPIRES,
    KIND,
    LONG,
    MOST_PARTIALS,
    OCO,
    ORDER_COLUMNS,
    PARTIALS,
    PARTS,
    PRICE,
    QUANTITY,
    REFUSALS,
    ROW,
    SHORT,
    SLOTS,
    STOP_TICKS,
    TARGET_TICKS,
    TRADE_COLUMNS,
    TRAIL_TICKS,
    Ending,
    Policy,
    Reason,
    Refusal,
)
from market.bars import Bar, Int
from market.matching import Outcome, Resting, step
from market.orders import OrderType, Side
from market.plans import Bool, Kind

_TYPES = {Kind.MARKET: OrderType.MARKET, Kind.LIMIT: OrderType.LIMIT, Kind.STOP: OrderType.STOP}
_ENTRY, _STOP, _TARGET = range(3)  # an order's id is three times its number, and its legs' the next two


@dataclass(slots=True)
class _Entry:
    """An entry that works; distances in ticks."""

    number: int
    signal: int
    side: Side
    kind: Kind
    price: int
    quantity: int
    stop: int
    target: int
    trail: int
    breakeven: int
    parts: list[tuple[int, int]]  # profit in ticks, contracts
    expires_at: int
    pair: int | None

    def resting(self) -> list[Resting]:
        market = self.kind is Kind.MARKET
        away, own = self.side.opposite, 3 * self.number
        sibling = own + _TARGET if self.target else None
        orders = [
            Resting(own, self.side, _TYPES[self.kind], self.quantity, None if market else self.price),
            Resting(
                own + _STOP,
                away,
                OrderType.STOP,
                self.quantity,
                parent=own,
                offset=-self.side * self.stop,
                sibling=sibling,
            ),
        ]
        if self.target:
            offset = self.side * self.target
            orders.append(
                Resting(
                    own + _TARGET,
                    away,
                    OrderType.LIMIT,
                    self.quantity,
                    parent=own,
                    offset=offset,
                    sibling=own + _STOP,
                )
            )
        return orders


@dataclass(slots=True)
class _Position:
    """An entry that has filled, and what protects it; `leaves` is why it goes at the next open."""

    entry: _Entry
    price: int
    row: int
    stop: int
    left: int
    age: int
    stopped_by: Reason = Reason.STOP
    best: int = 0
    filled_at: int = 0
    parts_done: int = 0
    taken: int = 0
    leaves: Reason | None = None

    def resting(self) -> list[Resting]:
        away, own = self.entry.side.opposite, 3 * self.entry.number
        if not self.entry.target:
            return [Resting(own + _STOP, away, OrderType.STOP, self.left, self.stop)]
        target = self.price + self.entry.side * self.entry.target
        return [
            Resting(own + _STOP, away, OrderType.STOP, self.left, self.stop, sibling=own + _TARGET),
            Resting(own + _TARGET, away, OrderType.LIMIT, self.left, target, sibling=own + _STOP),
        ]


@dataclass(slots=True)
class _Run:
    """Everything that changes while the bars go by."""

    signals: Int
    slip: int
    offset: int
    hold: int
    most_adds: int
    policy: Policy
    least: int
    working: list[_Entry] = field(default_factory=list)
    held: list[_Position] = field(default_factory=list)
    orders: list[list[int]] = field(default_factory=list)
    trades: list[list[int]] = field(default_factory=list)
    refused: list[int] = field(default_factory=lambda: [0] * REFUSALS)
    pair: tuple[int, int] | None = None  # the numbers of the pair that works
    leaves: Reason | None = None
    halted_on: int | None = None
    added: int = 0
    fills: int = 0

    def end(self, entry: _Entry, row: int, ending: Ending) -> None:
        self.working.remove(entry)
        self.orders[entry.number][7:9] = [ending, row]

    def close(self, position: _Position, quantity: int, row: int, price: int, reason: Reason) -> None:
        entry = position.entry
        self.trades.append(
            [entry.number, entry.side, position.row, position.price, row, price, reason, position.stop, quantity]
        )
        position.left -= quantity
        if not position.left:
            self.held.remove(position)

    def leave(self, row: int, price: int) -> None:
        """Close at `price` what was decided to leave at the close before."""
        for position in sorted(self.held, key=lambda position: position.age):
            at = price - position.entry.side * self.slip
            why = self.leaves or position.leaves
            if why is not None:
                self.close(position, position.left, row, at, why)
            elif position.taken:
                taken, position.taken = position.taken, 0
                self.close(position, taken, row, at, Reason.PARTIAL)
        self.leaves = None

    def match(self, row: int, bar: Bar) -> None:
        """Let the bar fill what works."""
        resting = [order for entry in self.working for order in entry.resting()]
        resting += [order for position in self.held for order in position.resting()]
        resting.sort(key=lambda order: order.id)
        for fill in self._outcome(bar, resting).fills:
            number, role = divmod(fill.order_id, 3)
            if role == _ENTRY:
                entry = next(entry for entry in self.working if entry.number == number)
                self.end(entry, row, Ending.FILLED)
                self.orders[number][9] = fill.price
                stop = fill.price - entry.side * entry.stop
                self.held.append(_Position(entry, fill.price, row, stop, entry.quantity, self.fills))
                self.fills += 1
                continue
            position = next(position for position in self.held if position.entry.number == number)
            why = Reason.TARGET if role == _TARGET else position.stopped_by
            self.close(position, position.left, row, fill.price, why)
        if self.policy is Policy.OPTIMISTIC and self.pair is not None:
            self._cancel_other(row)

    def _outcome(self, bar: Bar, resting: list[Resting]) -> Outcome:
        if self.policy is not Policy.OPTIMISTIC:
            return step(bar, resting, slippage=self.slip)
        one, other = (3 * number for number in self.pair or (-1, -1))
        return kindness.step(bar, resting, {one: other, other: one}, slippage=self.slip)

    def _cancel_other(self, row: int) -> None:
        for entry in [entry for entry in self.working if entry.number in (self.pair or ())]:
            if any(self.orders[number][7] == Ending.FILLED for number in self.pair or ()):
                self.end(entry, row, Ending.CANCELLED)

    def settle(self, row: int, date: int) -> None:
        """Cancel the other entry of a pair, or give up when both have filled."""
        gives_up = False
        if self.pair is not None:
            endings = [self.orders[number][7] for number in self.pair]
            gives_up = endings == [Ending.FILLED, Ending.FILLED]
            self._cancel_other(row)
            if gives_up:
                self.halted_on = date
                for entry in list(self.working):
                    self.end(entry, row, Ending.CANCELLED)
            if any(endings):
                self.pair = None
        while len({position.entry.side for position in self.held}) == 2:
            gives_up = True
            older = min(self.held, key=lambda position: position.age)
            younger = min(
                (position for position in self.held if position.entry.side is not older.entry.side),
                key=lambda position: position.age,
            )
            quantity = min(older.left, younger.left)
            self.close(older, quantity, row, younger.price, Reason.OPPOSITE)
            younger.left -= quantity
            if not younger.left:
                self.held.remove(younger)
        if gives_up and self.held:
            self.leaves = Reason.OPPOSITE

    def manage(self, row: int, bar: Bar) -> None:
        """Move stops, decide about parts and the time limit; effective from the next bar."""
        for position in self.held:
            entry, side = position.entry, position.entry.side
            extreme = bar.high if side is Side.BUY else bar.low
            if position.row == row:
                market = entry.kind is Kind.MARKET
                position.best = extreme if market else bar.close
                position.filled_at = bar.opened_at + (0 if market else 60)
            elif (extreme - position.best) * side > 0:
                position.best = extreme
            profit = (position.best - position.price) * side
            if entry.breakeven and profit >= entry.breakeven:
                self._move(position, position.price + side * self.offset, Reason.BREAKEVEN)
            if entry.trail:
                self._move(position, position.best - side * entry.trail, Reason.TRAIL)
            while position.parts_done < len(entry.parts) and profit >= entry.parts[position.parts_done][0]:
                position.taken += entry.parts[position.parts_done][1]
                position.parts_done += 1
            if self.hold and bar.opened_at + 60 >= position.filled_at + self.hold:
                position.leaves = Reason.HOLD

    def _move(self, position: _Position, price: int, why: Reason) -> None:
        if (price - position.stop) * position.entry.side > 0:
            position.stop, position.stopped_by = price, why

    def decide(self, number: int, bar: Bar, flat_at: int, tradeable: bool, date: int) -> None:
        """Do what a signal asks for at the close of `bar`."""
        signal = self.signals[number].tolist()
        leaving = {Side.BUY: signal[EXIT_LONG], Side.SELL: signal[EXIT_SHORT]}
        if self.leaves is None and any(leaving[position.entry.side] for position in self.held):
            self.leaves = Reason.SIGNAL
        sides = [(side, signal[at : at + SHORT - LONG]) for side, at in ((Side.BUY, LONG), (Side.SELL, SHORT))]
        sides = [(side, asked) for side, asked in sides if asked[KIND]]
        if not sides:
            return
        why = self._refusal(signal, sides, bar, flat_at, tradeable, date)
        if why is not None:
            self.refused[why] += 1
            return
        self.added = self.added + 1 if signal[ADDS] else 0
        first = len(self.orders)
        self.pair = (first, first + 1) if signal[OCO] else self.pair
        for side, asked in sides:
            goals, shares = asked[PARTIALS:], signal[PARTS : PARTS + MOST_PARTIALS]
            entry = _Entry(
                number=len(self.orders),
                signal=number,
                side=side,
                kind=Kind(asked[KIND]),
                price=asked[PRICE],
                quantity=signal[QUANTITY],
                stop=asked[STOP_TICKS],
                target=asked[TARGET_TICKS],
                trail=signal[TRAIL_TICKS],
                breakeven=asked[BREAKEVEN],
                parts=[(goal, share) for goal, share in zip(goals, shares, strict=True) if share],
                expires_at=asked[EXPIRES],
                pair=first if signal[OCO] else None,
            )
            self.working.append(entry)
            pair = first if signal[OCO] else -1
            row = [number, side, entry.kind, entry.price, entry.stop, entry.target, pair, Ending.WORKING, -1, 0]
            self.orders.append(row)

    def _refusal(
        self, signal: list[int], sides: list[tuple[Side, list[int]]], bar: Bar, flat_at: int, tradeable: bool, date: int
    ) -> Refusal | None:
        closed_at = bar.opened_at + 60
        late = closed_at >= flat_at or any(asked[EXPIRES] <= closed_at for _, asked in sides)
        if late or not tradeable:
            return Refusal.WINDOW
        if self.halted_on == date:
            return Refusal.HALTED
        if (len(sides) == 2) != bool(signal[OCO]):
            return Refusal.SIDES
        held = [] if self.leaves else self.held
        if held and not signal[ADDS]:
            return Refusal.HELD
        for side, asked in sides:
            if signal[ADDS] and (not held or held[0].entry.side is not side or self.added >= self.most_adds):
                return Refusal.ADD
            if asked[KIND] == Kind.STOP and (asked[PRICE] - bar.close) * side <= 0:
                return Refusal.PRICE
            if asked[STOP_TICKS] < self.least:
                return Refusal.DISTANCE
            if any(entry.side is side for entry in self.working):
                return Refusal.TAKEN
        if signal[QUANTITY] < 1:
            return Refusal.SIZE
        return Refusal.ROOM if len(self.working) + len(self.held) + len(sides) > SLOTS else None


def run(
    opened_at: Int,
    opens: Int,
    highs: Int,
    lows: Int,
    closes: Int,
    dates: Int,
    flat_at: Int,
    tradeable: Bool,
    signals: Int,
    details: Int,
    detail_from: Int,
    slips: Int,
    offset: int,
    hold: int,
    most_adds: int,
    policy: int,
    least: int,
) -> tuple[Int, Int, Int]:
    """Return what `backtest.kernel.run` returns for the same arguments."""
    now = _Run(signals, int(slips[0]), offset, hold, most_adds, Policy(policy), least)
    due = dict(zip(signals[:, ROW].tolist(), range(len(signals)), strict=True))
    bars = [Bar(*row) for row in np.stack((opened_at, opens, highs, lows, closes), axis=1).tolist()]
    for row, bar in enumerate(bars):
        now.slip = int(slips[bar.opened_at // 3600 - bars[0].opened_at // 3600 if len(slips) > 1 else 0])
        for entry in [entry for entry in now.working if entry.expires_at <= bar.opened_at]:
            now.end(entry, row, Ending.EXPIRED)
        if bar.opened_at >= flat_at[row]:
            for entry in list(now.working):
                now.end(entry, row, Ending.CANCELLED)
            now.leaves = now.leaves or Reason.FLAT
        now.leave(row, bar.open)
        shorter = details[detail_from[row] : detail_from[row + 1]].tolist() if now.policy is Policy.DETAIL else []
        for piece in [Bar(bar.opened_at, *prices) for prices in shorter] or [bar]:
            if now.leaves is not None:
                now.leave(row, piece.open)
            now.match(row, piece)
            now.settle(row, int(dates[row]))
        now.manage(row, bar)
        if row in due:
            now.decide(due[row], bar, int(flat_at[row]), bool(tradeable[row]), int(dates[row]))
        if row + 1 == len(bars) or dates[row + 1] != dates[row]:
            for entry in list(now.working):
                now.end(entry, row, Ending.EXPIRED)
            now.leaves = Reason.END
            now.leave(row, bar.close)
            now.pair = None
    return (
        np.array(now.orders, np.int64).reshape(-1, ORDER_COLUMNS),
        np.array(now.trades, np.int64).reshape(-1, TRADE_COLUMNS),
        np.array(now.refused, np.int64),
    )
