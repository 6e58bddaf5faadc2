"""Minutes made of trades, one contract at a time; a minute that was not seen whole is left to who can read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from market.bars import Bar
from market.orders import Side

MINUTE = 60


@dataclass(slots=True)
class _Forming:
    open: int
    high: int
    low: int
    close: int
    volume: int
    delta: int | None
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Closed:
    """A minute that was seen from its first to its last moment; `bar` is None when nothing traded in it.

    The bar's delta is known if every trade told who was the aggressor.
    """

    opened_at: int
    bar: Bar | None


@dataclass(slots=True)
class Minutes:
    """The minutes of one contract; times in epoch seconds of the venue, prices in ticks.

    settle   machine seconds to wait, after the venue's clock has passed the end of a minute, for trades on their way
    late     minutes of which a trade came after they were given out
    """

    settle: float = 0.25
    late: set[int] = field(default_factory=set)
    _first: int = 0
    _next: int | None = None
    _forming: dict[int, _Forming] = field(default_factory=dict)
    _passed_at: dict[int, float] = field(default_factory=dict)
    _newest: float = 0.0

    def begin(self, at: float) -> None:
        """Everything from `at` on will be seen: the first whole minute is the next one to open."""
        self._first = self._next = -int(-at // MINUTE) * MINUTE
        self._forming.clear()
        self._passed_at.clear()
        self._newest = at

    def interrupt(self) -> None:
        """Something may have been missed: no minute is whole until `begin`."""
        self._next = None
        self._forming.clear()
        self._passed_at.clear()

    def saw(self, at: float, arrived: float) -> None:
        """Note the time of any event; `arrived` is the machine's."""
        if self._next is None or at <= self._newest:
            return
        for end in range(int(self._newest // MINUTE + 1) * MINUTE, int(at // MINUTE) * MINUTE + 1, MINUTE):
            self._passed_at[end] = arrived
        self._newest = at

    def trade(self, at: float, price: int, quantity: int, side: Side | None) -> None:
        """Add a trade to its minute, in whichever order they come; `side` is the aggressor's, None if not told."""
        if self._next is None:
            return
        minute = int(at // MINUTE) * MINUTE
        if minute < self._next:
            if minute >= self._first:
                self.late.add(minute)
            return
        forming, delta = self._forming.get(minute), None if side is None else side * quantity
        if forming is None:
            self._forming[minute] = _Forming(price, price, price, price, quantity, delta, at, at)
            return
        forming.high, forming.low = max(forming.high, price), min(forming.low, price)
        forming.volume += quantity
        forming.delta = None if forming.delta is None or delta is None else forming.delta + delta
        if at < forming.first_at:
            forming.open, forming.first_at = price, at
        if at >= forming.last_at:
            forming.close, forming.last_at = price, at

    def closed(self, now: float) -> list[Closed]:
        """Return the minutes that are over and settled at machine time `now`, oldest first, each once."""
        found = []
        while self._next is not None:
            end = self._next + MINUTE
            passed = self._passed_at.get(end)
            if passed is None or now - passed < self.settle:
                break
            found.append(Closed(self._next, self._bar(self._next)))
            self._next = end
        for end in [end for end in self._passed_at if self._next is not None and end <= self._next - 2 * MINUTE]:
            del self._passed_at[end]
        return found

    def _bar(self, minute: int) -> Bar | None:
        made = self._forming.pop(minute, None)
        if made is None:
            return None
        return Bar(minute, made.open, made.high, made.low, made.close, made.volume, delta=made.delta)
